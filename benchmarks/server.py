"""The benchmarks' server: a process on loopback that answers at once and records the time of each request.

It checks nothing, so that it is never the bottleneck. Where the quota matters, ``stopcast.sandbox.Emulator`` takes its
place. A link with a delay may stand in front of it.
"""

from __future__ import annotations

import asyncio
import random
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from typing import Final

from measuring import own_process, received

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_REQUEST_ID: Final = b"20261122200000010010010010ABCDEF"
_METADATA: Final = (
    b'"RequestId":"' + _REQUEST_ID + b'","Action":"StopWebcast","Version":"2020-12-01","Service":"rtc",'
    b'"Region":"cn-north-1"'
)
_THROTTLED: Final = (
    b',"Error":{"CodeN":100027,"Code":"FlowLimitExceeded.QPSOverLimit","Message":"The request was throttled."}'
)


_ids: Final = count(1)


def _answer(status: bytes, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 " + status + b"\r\nServer: bench\r\nDate: Sun, 22 Nov 2026 20:00:00 GMT\r\n"
        b"Content-Type: application/json; charset=utf-8\r\n"
        b"Content-Length: " + str(len(body)).encode() + b"\r\n"
        b"X-Tt-Logid: " + _REQUEST_ID + b"\r\n\r\n"
    ) + body


OK: Final = _answer(b"200 OK", b'{"ResponseMetadata":{' + _METADATA + b'},"Result":"ok"}')
THROTTLED: Final = _answer(b"429 Too Many Requests", b'{"ResponseMetadata":{' + _METADATA + _THROTTLED + b"}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The settings of a server.

    Attributes:
        certificate: a file with the certificate, its chain and its key; None for plain HTTP.
        throttled_share: the share of throttled answers, at random.
        delay_seconds: the delay of the link, each way.
        jitter_seconds: the largest additional delay of a request, evenly distributed.
        quota: whether the server is the emulator with its 150 calls a second.
    """

    certificate: str | None = None
    throttled_share: float = 0.0
    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    quota: bool = False


#: Returns the arrivals since the last call.
Take = Callable[[], list[float]]
#: Takes a whole request and the monotonic time of its first bytes, and returns the answer.
Answer = Callable[[bytes, float], bytes]


class Server:
    """The parent's handle on the server."""

    def __init__(self, ours: Connection) -> None:
        self._ours = ours
        self.url: str = received(ours)

    def arrivals(self) -> list[float]:
        """Return the monotonic times of the requests since the last call."""
        self._ours.send("arrivals")
        arrivals: list[float] = received(self._ours)
        return arrivals


@contextmanager
def running_server(setting: Setting = Setting()) -> Iterator[Server]:
    """Run a server during the block."""
    process, ours = own_process(_serve, setting)
    try:
        yield Server(ours)
    finally:
        process.terminate()
        process.join()


def _serve(theirs: Connection, setting: Setting) -> None:
    asyncio.run(_serve_to_the_end(theirs, setting))


async def _serve_to_the_end(theirs: Connection, setting: Setting) -> None:
    tls = None
    if setting.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(setting.certificate)
    async with AsyncExitStack() as stack:
        port, take = await stack.enter_async_context(_emulator(tls) if setting.quota else _plain_server(setting, tls))
        if setting.delay_seconds or setting.jitter_seconds:
            port = await stack.enter_async_context(_link_to(port, setting))
        await serve_parent(theirs, f"{'https' if tls else 'http'}://127.0.0.1:{port}", take)


async def serve_parent(theirs: Connection, url: str, take: Callable[[], object]) -> None:
    """Send the address to the parent, and the result of ``take`` at each request; return when the parent has ended."""
    ended = asyncio.Event()

    def reply() -> None:
        try:
            theirs.recv()
            theirs.send(take())
        except EOFError:
            ended.set()

    asyncio.get_running_loop().add_reader(theirs.fileno(), reply)
    theirs.send(url)
    await ended.wait()


@asynccontextmanager
async def _plain_server(setting: Setting, tls: ssl.SSLContext | None) -> AsyncIterator[tuple[int, Take]]:
    arrivals: list[float] = []
    chance = random.Random(0)

    def take() -> list[float]:
        # They are recorded when they are answered, and a request in several pieces is answered later.
        taken = sorted(arrivals)
        arrivals.clear()
        return taken

    def answer(_request: bytes, arrived_at: float) -> bytes:
        arrivals.append(arrived_at)
        return THROTTLED if setting.throttled_share and chance.random() < setting.throttled_share else OK

    async with answering(answer, tls) as port:
        yield port, take


@asynccontextmanager
async def answering(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Answer requests on a port of loopback during the block."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answers(answer), "127.0.0.1", 0, ssl=tls, backlog=1024)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def _emulator(tls: ssl.SSLContext | None) -> AsyncIterator[tuple[int, Take]]:
    from stopcast.sandbox import Emulator

    async with Emulator(ssl_context=tls) as emulator:

        def take() -> list[float]:
            taken = list(emulator.arrivals)
            del emulator.arrivals[:]
            return taken

        yield int(emulator.url.rpartition(":")[2]), take


class _Answers(asyncio.Protocol):
    """One connection. A request counts as arrived with its first bytes."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._pending = b""
        self._arrived_at = 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._pending:
            self._arrived_at = time.monotonic()
        self._pending += data
        end = self._pending.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._pending, 0, end)
        if len(self._pending) >= end + 4 + (int(length[1]) if length else 0):
            # No client here sends a second request before it has the first answer.
            request, self._pending = self._pending, b""
            # Each answer has an id of its own: a second answer of one id counts as a copy of another call's.
            answer = self._answer(request, self._arrived_at).replace(_REQUEST_ID, b"%032d" % next(_ids))
            self._transport.write(answer)


@asynccontextmanager
async def _link_to(port: int, setting: Setting) -> AsyncIterator[int]:
    """Open a port that passes bytes on to ``port`` and back, with the link's delay."""
    loop = asyncio.get_running_loop()
    chance = random.Random(0)

    def there() -> float:
        return setting.delay_seconds + chance.uniform(0, setting.jitter_seconds)

    def back() -> float:
        return setting.delay_seconds

    def accept() -> _LinkEnd:
        near, far = _LinkEnd(there), _LinkEnd(back)
        near.other, far.other = far, near
        near.opening = loop.create_task(loop.create_connection(lambda: far, "127.0.0.1", port))
        return near

    server = await loop.create_server(accept, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield server.sockets[0].getsockname()[1]


class _LinkEnd(asyncio.Protocol):
    """One end of a link: it passes what it receives to the other end, in order."""

    other: _LinkEnd
    opening: asyncio.Task[object]

    def __init__(self, delay: Callable[[], float]) -> None:
        self._delay = delay
        self._due = 0.0
        self._early: list[bytes] = []
        self._transport: asyncio.WriteTransport | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.writelines(self._early)

    def data_received(self, data: bytes) -> None:
        # Timers for the same moment run in no defined order.
        self._due = max(self._due + 1e-6, self._loop.time() + self._delay())
        self._loop.call_at(self._due, self.other.send, data)

    def connection_lost(self, _: Exception | None) -> None:
        self._loop.call_at(max(self._due + 1e-6, self._loop.time() + self._delay()), self.other.close)

    def send(self, data: bytes) -> None:
        if self._transport is None:
            self._early.append(data)
        elif not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
