"""Connections: their reuse, and how a call is admitted with one in hand."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Awaitable, Callable, Mapping

import pytest

from stopcast.api.transport import AiohttpTransport
from stopcast.ports import OpenGate, TransportError
from support.streams import eventually
from support.wire import REQUEST, WHOLE, Open, Wire, answering, post


class Permit:
    """A gate whose permit is what a function awaits."""

    def __init__(self, permit: Callable[[], Awaitable[None]], headers: dict[str, str] | None = None) -> None:
        self._permit = permit
        self._headers = headers or {}

    async def permit(self) -> None:
        await self._permit()

    def admit(self) -> dict[str, str]:
        return self._headers


AT_ONCE = OpenGate({})


async def replaced(server: Wire) -> None:
    """Return once the server has another connection, and the client as well."""
    before = server.connections
    await eventually(lambda: server.connections > before)
    await asyncio.sleep(0.02)


# Connections


async def test_a_connection_is_reused(wire: Open) -> None:
    server = await wire(answering(WHOLE, WHOLE, WHOLE))
    async with AiohttpTransport(server.url) as transport:
        for _ in range(3):
            await transport.send(REQUEST, AT_ONCE)
    assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_connection_that_died_in_the_pool_is_not_reused(wire: Open) -> None:
    server = await wire(answering(WHOLE, close=True))
    async with AiohttpTransport(server.url) as transport:
        for number in range(1, 4):
            await transport.send(REQUEST, AT_ONCE)
            while server.connections < number:
                await asyncio.sleep(0)
            # As long as it takes until the client has seen the end.
            await asyncio.sleep(0.02)
    assert len(server.requests) == 3


async def test_a_connection_that_dies_while_its_call_waits_is_replaced_while_it_waits(wire: Open) -> None:
    async def hang_up() -> None:
        admitted.append(server.connections)
        server.hang_up()
        await replaced(server)

    server = await wire(answering(WHOLE, WHOLE))
    admitted: list[int] = []
    async with AiohttpTransport(server.url) as transport:
        for _ in range(2):
            assert (await transport.send(REQUEST, Permit(hang_up))).status == 200
    assert (admitted, server.connections, len(server.requests)) == ([1, 2], 3, 2)


async def test_a_connection_that_brings_bytes_while_its_call_waits_is_replaced_while_it_waits(wire: Open) -> None:
    async def stray() -> None:
        server.write(WHOLE)
        await replaced(server)

    server = await wire(answering(WHOLE))
    async with AiohttpTransport(server.url) as transport:
        assert (await transport.send(REQUEST, Permit(stray))).status == 200
    assert (server.connections, len(server.requests)) == (2, 1)


async def test_a_pooled_connection_that_has_brought_bytes_costs_no_permit(wire: Open) -> None:
    admitted: list[int] = []

    async def permit() -> None:
        admitted.append(server.connections)

    server = await wire(answering(WHOLE, WHOLE))
    async with AiohttpTransport(server.url) as transport:
        await transport.send(REQUEST, Permit(permit))
        server.write(WHOLE)
        await asyncio.sleep(0.02)
        await transport.send(REQUEST, Permit(permit))
    assert (admitted, len(server.requests)) == ([1, 2], 2)


async def test_a_server_that_closes_each_connection_at_once_is_not_asked_again_and_again(wire: Open) -> None:
    async def wait() -> None:
        await asyncio.sleep(0.2)

    async def close(_: Wire, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await wire(close)
    async with AiohttpTransport(server.url) as transport:
        with pytest.raises(TransportError):
            await transport.send(REQUEST, Permit(wait))
    # There are five waits at most, with time for hundreds of connections.
    assert server.connections < 60


async def test_a_call_that_gets_no_other_connection_while_it_waits_leaves_no_task_behind(wire: Open) -> None:
    async def lose_server() -> None:
        server.hang_up()
        server.listening.close()
        await asyncio.Event().wait()

    server = await wire(answering(WHOLE))
    before = asyncio.all_tasks()
    async with AiohttpTransport(server.url) as transport:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await transport.send(REQUEST, Permit(lose_server))
    assert asyncio.all_tasks() <= before


async def test_a_connection_whose_end_is_not_read_yet_costs_a_permit_and_the_call_asks_for_a_new_one(
    wire: Open,
) -> None:
    admitted = 0

    async def permit() -> None:
        nonlocal admitted
        admitted += 1
        if admitted == 2:
            server.shut_down()

    server = await wire(answering(WHOLE, WHOLE))
    async with AiohttpTransport(server.url) as transport:
        for _ in range(2):
            assert (await transport.send(REQUEST, Permit(permit))).status == 200
    assert (admitted, server.connections, len(server.requests)) == (3, 2, 2)


async def test_a_call_is_admitted_with_its_connection_in_hand_and_before_anything_is_written(wire: Open) -> None:
    seen: list[tuple[int, int]] = []

    async def admit() -> None:
        await asyncio.sleep(0.02)
        seen.append((server.connections, len(server.requests)))

    server = await wire(answering(WHOLE, WHOLE))
    async with AiohttpTransport(server.url) as transport:
        await transport.send(REQUEST, Permit(admit))
        await transport.send(REQUEST, Permit(admit))
    assert seen == [(1, 0), (1, 1)]


async def test_a_request_is_written_in_the_step_that_admits_its_call() -> None:
    written: list[list[socket.socket]] = []

    def look() -> None:
        # What runs next might block the loop, and the permit would be old by the time of the write.
        connection, _ = listening.accept()
        written.append(select.select([connection], [], [], 0.0)[0])
        connection.sendall(WHOLE)
        connection.close()

    class Gate(OpenGate):
        def admit(self) -> Mapping[str, str]:
            asyncio.get_running_loop().call_soon(look)
            return super().admit()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with (
            asyncio.timeout(5.0),
            AiohttpTransport(f"http://127.0.0.1:{listening.getsockname()[1]}") as transport,
        ):
            assert (await transport.send(REQUEST, Gate({}))).status == 200
    assert [len(readable) for readable in written] == [1]


async def test_a_call_that_is_not_admitted_is_not_sent_and_gives_its_connection_back(wire: Open) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async def refuse() -> None:
        raise LookupError

    server = await wire(answering(WHOLE))
    async with AiohttpTransport(server.url) as transport:
        with pytest.raises(LookupError):
            await transport.send(REQUEST, Permit(refuse))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await transport.send(REQUEST, Permit(never))
        assert server.requests == []
        await transport.send(REQUEST, AT_ONCE)
    assert (server.connections, len(server.requests)) == (1, 1)


async def test_a_call_that_is_cancelled_drops_its_connection(wire: Open) -> None:
    async def serve(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.request(reader)
        if wire.connections > 1:
            writer.write(WHOLE)
            await writer.drain()

    server = await wire(serve)
    async with AiohttpTransport(server.url) as transport:
        calling = asyncio.create_task(transport.send(REQUEST, AT_ONCE))
        while not server.requests:
            await asyncio.sleep(0)
        calling.cancel()
        await asyncio.wait([calling])
        assert (await transport.send(REQUEST, AT_ONCE)).body == b"{}"
    assert server.connections == 2


async def test_a_call_on_a_refused_connection_was_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(TransportError) as caught:
        await post(f"http://127.0.0.1:{port}")
    assert (caught.value.unsent, caught.value.untrusted) == (True, False)


async def test_a_call_to_an_unknown_host_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(TransportError) as caught:
        await post("http://nowhere.invalid")
    assert (caught.value.unsent, caught.value.untrusted) == (True, False)


async def test_a_call_to_a_server_that_never_ends_its_handshake_was_not_sent(wire: Open) -> None:
    async def silent(_: Wire, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass

    server = await wire(silent)
    with pytest.raises(TransportError) as caught:
        await post(server.url.replace("http:", "https:"), connect_timeout_seconds=0.1)
    assert (caught.value.unsent, caught.value.untrusted) == (True, False)


async def test_a_call_to_a_server_without_tls_was_not_sent(wire: Open) -> None:
    async def plain(_: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await wire(plain)
    with pytest.raises(TransportError) as caught:
        await post(server.url.replace("http:", "https:"), connect_timeout_seconds=1)
    assert (caught.value.unsent, caught.value.untrusted) == (True, False)


async def test_time_without_a_connection_does_not_run_while_a_call_waits_to_be_admitted(wire: Open) -> None:
    async def slowly() -> None:
        await asyncio.sleep(0.2)

    server = await wire(answering(WHOLE))
    async with AiohttpTransport(server.url, connect_timeout_seconds=0.05) as transport:
        assert (await transport.send(REQUEST, Permit(slowly))).status == 200


async def test_no_proxy_is_used_unless_it_is_configured(wire: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = await wire(answering(WHOLE))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    server = await wire(answering(WHOLE))
    await post(server.url)
    assert (proxy.connections, len(server.requests)) == (0, 1)


async def test_no_cookie_is_kept(wire: Open) -> None:
    server = await wire(answering(WHOLE.replace(b"Content-Type", b"Set-Cookie: a=b\r\nContent-Type"), WHOLE))
    async with AiohttpTransport(server.url) as transport:
        await transport.send(REQUEST, AT_ONCE)
        await transport.send(REQUEST, AT_ONCE)
    assert b"cookie" not in server.requests[1].lower()
