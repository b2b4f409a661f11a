"""A server whose every byte a test decides, and one call to it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from stopcast.api.transport import AiohttpTransport
from stopcast.ports import OpenGate, Request

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BODY = b'{"AppId":"app","RoomId":"room","TaskId":"task"}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
#: The query of the URL is sent as it stands.
REQUEST = Request(BODY, "")


class Wire:
    """A server that does with a connection what the test says; it takes notes."""

    def __init__(self, serve: Serve, tls: ssl.SSLContext | None) -> None:
        self._serve = serve
        self._tls = tls
        self.connections = 0
        self.requests: list[bytes] = []
        self.port = 0
        self.listening: asyncio.Server
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        whole = head + await reader.readexactly(length)
        self.requests.append(whole)
        return whole

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def write(self, data: bytes) -> None:
        """Write to the newest connection."""
        self._writers[-1].write(data)

    def shut_down(self) -> None:
        """End the newest connection in the kernel, before any step of the client's loop."""
        self._writers[-1].get_extra_info("socket").shutdown(socket.SHUT_WR)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Wire]:
        self.listening = server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.hang_up()
            await server.wait_closed()


Open = Callable[..., Awaitable[Wire]]


def answering(*answers: bytes, close: bool = False) -> Callable[..., Awaitable[None]]:
    async def serve(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await wire.request(reader)
            writer.write(answer)
            await writer.drain()
        if close:
            writer.close()

    return serve


async def post(url: str, *, seconds: float = 5.0, **settings: Any) -> tuple[int, dict[str, str], bytes]:
    async with asyncio.timeout(seconds), AiohttpTransport(url, **settings) as transport:
        request = REQUEST._replace(query=url.partition("?")[2])
        answer = await transport.send(request, OpenGate({"X-Mine": "1"}))
    return answer.status, dict(answer.headers), answer.body
