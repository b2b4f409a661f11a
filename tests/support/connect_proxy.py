"""A small HTTP proxy inside the process: it answers CONNECT, and keeps what passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

_OK = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ConnectProxy:
    """A proxy whose tunnels may be slow to open.

    Attributes:
        url: where it listens.
        requests: the head of each CONNECT.
        opened: tunnels that were opened.
        seen: the bytes that clients sent through tunnels.
        answer: to a CONNECT that is refused; b"" where tunnels are opened.
        wait: what is awaited before a tunnel is opened.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []
        self.opened = 0
        self.seen = bytearray()
        self.answer = b""
        self.wait = asyncio.Event()
        self.wait.set()
        self.ends: set[_End] = set()


class _End(asyncio.Protocol):
    """One connection of a tunnel, which passes its bytes on to the other one."""

    def __init__(self, proxy: ConnectProxy, on_data: Callable[[bytes], object]) -> None:
        self._proxy = proxy
        self.on_data = on_data
        self.other: _End | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._proxy.ends.add(self)

    def data_received(self, data: bytes) -> None:
        self.on_data(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._proxy.ends.discard(self)
        if self.other is not None:
            self.other.transport.close()


class _Client(_End):
    """A client's connection: first its CONNECT, then what it sends through the tunnel."""

    def __init__(self, proxy: ConnectProxy) -> None:
        super().__init__(proxy, self._read_head)
        self._head = b""
        self._opening: asyncio.Task[None] | None = None

    def _read_head(self, data: bytes) -> None:
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            self._proxy.requests.append(self._head.decode())
            self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        if self._proxy.answer:
            self.transport.write(self._proxy.answer)
            return
        await self._proxy.wait.wait()
        host, _, port = self._head.decode().split()[1].rpartition(":")
        loop = asyncio.get_running_loop()
        _, server = await loop.create_connection(lambda: _End(self._proxy, self.transport.write), host, int(port))
        self.other, server.other = server, self
        self.on_data = self._pass_on
        self._proxy.opened += 1
        self.transport.write(_OK)

    def _pass_on(self, data: bytes) -> None:
        self._proxy.seen += data
        if self.other is not None:
            self.other.transport.write(data)


@asynccontextmanager
async def connect_proxy() -> AsyncIterator[ConnectProxy]:
    """Run a proxy on loopback during the block."""
    proxy = ConnectProxy()
    server = await asyncio.get_running_loop().create_server(lambda: _Client(proxy), "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for end in tuple(proxy.ends):
            end.transport.abort()
        async with asyncio.timeout(30):
            while proxy.ends:
                await asyncio.sleep(0)
