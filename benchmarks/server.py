"""The other side: a server in its own process on loopback that answers at once and notes when each request came.

It checks nothing, so that it is never what limits; where the quota matters, it is ``stopcast.sandbox.Emulator``
instead. In between there may be a link that delays what passes.
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
from multiprocessing.connection import Connection
from typing import Final

from measuring import own_process, received

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_METADATA: Final = (
    b'"RequestId":"20261122200000010010010010ABCDEF","Action":"StopWebcast","Version":"2020-12-01","Service":"rtc",'
    b'"Region":"cn-north-1"'
)
_THROTTLED: Final = (
    b',"Error":{"CodeN":100027,"Code":"FlowLimitExceeded.QPSOverLimit","Message":"The request was throttled."}'
)


def _answer(status: bytes, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 " + status + b"\r\nServer: bench\r\nDate: Sun, 22 Nov 2026 20:00:00 GMT\r\n"
        b"Content-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n"
        b"X-Tt-Logid: 20261122200000010010010010ABCDEF\r\n\r\n" % len(body)
    ) + body


OK: Final = _answer(b"200 OK", b'{"ResponseMetadata":{' + _METADATA + b'},"Result":"ok"}')
THROTTLED: Final = _answer(b"429 Too Many Requests", b'{"ResponseMetadata":{' + _METADATA + _THROTTLED + b"}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How the server is to be.

    Attributes:
        certificate: a file with the certificate, its chain and its key; None for plain HTTP.
        throttled_share: of the answers, by chance.
        delay_seconds: each way on the link.
        jitter_seconds: by which a request may be later than that, evenly spread.
        quota: whether it is the emulator with its 150 calls a second.
    """

    certificate: str | None = None
    throttled_share: float = 0.0
    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    quota: bool = False


#: Gives the arrivals there were since it was last called.
Take = Callable[[], list[float]]
#: Is given a whole request and the monotonic time at which its first bytes came; gives the answer.
Answer = Callable[[bytes, float], bytes]


class Server:
    """The parent's hold on the server."""

    def __init__(self, ours: Connection) -> None:
        self._ours = ours
        self.url: str = received(ours)

    def arrivals(self) -> list[float]:
        """Return the monotonic times at which requests came since this was last asked."""
        self._ours.send("arrivals")
        arrivals: list[float] = received(self._ours)
        return arrivals


@contextmanager
def running_server(setting: Setting = Setting()) -> Iterator[Server]:
    """Run a server while the block runs."""
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
        await tell_parent(theirs, f"{'https' if tls else 'http'}://127.0.0.1:{port}", take)


async def tell_parent(theirs: Connection, url: str, take: Callable[[], object]) -> None:
    """Tell the parent the address, and what ``take`` gives whenever it asks; return when the parent is no more."""
    ended = asyncio.Event()

    def tell() -> None:
        try:
            theirs.recv()
            theirs.send(take())
        except EOFError:
            ended.set()

    asyncio.get_running_loop().add_reader(theirs.fileno(), tell)
    theirs.send(url)
    await ended.wait()


@asynccontextmanager
async def _plain_server(setting: Setting, tls: ssl.SSLContext | None) -> AsyncIterator[tuple[int, Take]]:
    arrivals: list[float] = []
    chance = random.Random(0)

    def take() -> list[float]:
        # They are noted as they are answered, and a request in several pieces is answered later.
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
    """Answer requests on a port of loopback while the block runs."""
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
    """One connection. A request has arrived when its first bytes have."""

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
            # No client here sends a second request before it has the answer to the first.
            request, self._pending = self._pending, b""
            self._transport.write(self._answer(request, self._arrived_at))


@asynccontextmanager
async def _link_to(port: int, setting: Setting) -> AsyncIterator[int]:
    """Open a port whose bytes reach ``port``, and come back, the later."""
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
    """One end of a link: what comes in here goes out at the other end, in its order."""

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
        # Timers of the same moment have no order among them.
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
