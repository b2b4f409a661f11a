"""Connections that die waste no permit, and bytes that are not a call's own answer are not taken for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from stopcast import Outcome, RetryPolicy, Status, Stopper, TokenBucket, Unlimited
from stopcast.sandbox import SANDBOX_CREDENTIALS
from support.processes import tasks
from support.streams import everything

Handle = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]

OK_BODY = b'{"ResponseMetadata":{"RequestId":"id-%d"},"Result":"ok"}'


class Server:
    """Counts its connections and the requests that it read."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.url = ""

    def answer(self, number: int | None = None) -> bytes:
        """Return the answer with a request id of its own, or that of the request with this number."""
        body = OK_BODY % (len(self.requests) if number is None else number)
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@asynccontextmanager
async def serving(handle: Handle, server: Server, *, idle_seconds: float = 60.0) -> AsyncIterator[Server]:
    handling: set[asyncio.Task[object] | None] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.current_task())
        server.connections += 1
        with suppress(TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            while True:
                async with asyncio.timeout(idle_seconds):
                    head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                server.requests.append(await reader.readexactly(length))
                await handle(server.requests[-1], writer)
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await asyncio.gather(*filter(None, handling))


async def test_a_slow_rate_against_a_server_that_drops_idle_connections_early_makes_progress() -> None:
    server = Server()

    async def handle(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(server.answer())

    # Half a second's worth of calls may wait with a connection each: longer than this server keeps one.
    async with (
        serving(handle, server, idle_seconds=0.2),
        Stopper(SANDBOX_CREDENTIALS, endpoint=server.url, limiter=TokenBucket(20)) as stopper,
    ):
        outcomes = await everything(stopper, tasks(40))
        # A call may still meet a connection that the server closes in the same moment.
        assert stopper.meter.calls < 2 * len(server.requests)
    assert {outcome.status for outcome in outcomes} == {Status.STOPPED}


async def test_permits_meet_living_connections_although_none_lives_as_long_as_the_wait_for_a_permit() -> None:
    server = Server()

    async def handle(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(server.answer())

    # More than one attempt: a call may go out in the moment in which the server closes its connection.
    retry = RetryPolicy(max_attempts=5)
    async with (
        serving(handle, server, idle_seconds=0.1),
        Stopper(SANDBOX_CREDENTIALS, endpoint=server.url, limiter=TokenBucket(3), retry=retry) as stopper,
    ):
        outcomes = await everything(stopper, tasks(4))
    assert {outcome.status for outcome in outcomes} == {Status.STOPPED}


async def stop_in_turn(server: Server, handle: Handle, *, count: int, pause_seconds: float) -> list[Outcome]:
    """Stop tasks one after the other, each with one attempt."""
    retry = RetryPolicy(max_attempts=1)
    outcomes: list[Outcome] = []
    async with (
        serving(handle, server),
        Stopper(SANDBOX_CREDENTIALS, endpoint=server.url, limiter=Unlimited(), max_at_once=1, retry=retry) as stopper,
    ):
        for task in tasks(count):
            outcomes.append(await stopper.stop(task))
            await asyncio.sleep(pause_seconds)
    return outcomes


@pytest.mark.parametrize(
    "stray", ["a second answer", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", "bytes of no protocol"]
)
async def test_bytes_that_arrive_on_an_idle_connection_are_not_the_next_call_s_answer(stray: str) -> None:
    server = Server()

    async def handle(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(server.answer())
        if len(server.requests) == 1:
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.write(server.answer() if stray == "a second answer" else stray.encode())

    outcomes = await stop_in_turn(server, handle, count=2, pause_seconds=0.05)
    assert [outcome.request_id for outcome in outcomes] == ["id-1", "id-2"]
    assert len(server.requests) == 2


async def test_an_answer_that_another_call_had_leaves_the_task_in_doubt_and_its_connection_is_closed() -> None:
    server = Server()

    async def handle(_: bytes, writer: asyncio.StreamWriter) -> None:
        # The second request is answered first with a copy of the first answer, and then with its own.
        writer.write(server.answer(1) if len(server.requests) == 2 else server.answer())
        if len(server.requests) == 2:
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.write(server.answer(2))

    first, second, third = await stop_in_turn(server, handle, count=3, pause_seconds=0.0)
    assert first.status is Status.STOPPED
    assert (second.status, second.in_doubt) == (Status.GAVE_UP, True)
    assert "came before" in (second.message or "")
    assert (third.status, third.request_id) == (Status.STOPPED, "id-3")
    assert server.connections == 2


async def test_a_throttled_answer_that_another_call_had_leaves_the_task_in_doubt_all_the_same() -> None:
    server = Server()

    async def handle(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(server.answer(1).replace(b" 200 ", b" 429 ", 1))

    _, second = await stop_in_turn(server, handle, count=2, pause_seconds=0.0)
    assert (second.status, second.in_doubt) == (Status.GAVE_UP, True)
