"""The wire: aiohttp, with a gate at its connector.

The gate is why this module exists. A limiter asked before aiohttp has taken a connection lets early calls wait for TLS
handshakes that later ones need not: the calls were spaced, their arrivals are not (158 to 162 in the first second at a
cap of 150). Here a call is admitted with the connection in hand.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import aiohttp

from stopcast.api.answers import ANSWER_LIMIT
from stopcast.ports import TransportError

if TYPE_CHECKING:
    from aiohttp.client import ClientTimeout
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

Admit = Callable[[], Awaitable[None]]

#: The gate of the call that this task or worker is making.
_gate: Final[ContextVar[Admit]] = ContextVar("stopcast_gate")


class GatedConnector(aiohttp.TCPConnector):
    """A connector that admits a call when it has a connection for it."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:  # noqa: ASYNC109 - aiohttp's signature
        """Return a live connection for a call that may go out now."""
        while True:
            connection = await super().connect(req, traces, timeout)
            try:
                await _gate.get()()
            except BaseException:
                connection.release()
                raise
            # The server may have closed it while the call waited. A new one takes time, and so a new permit.
            if not connection.closed:
                return connection
            connection.close()


class AiohttpTransport:
    """One session to one endpoint. Fills ``stopcast.ports.Transport``; used as an async context manager.

    TLS is verified, against ``ssl_context`` or the system's authorities. No proxy, no redirect, no cookie, no
    decompression. The time a call may take is its caller's business; only connecting is bounded here.
    """

    def __init__(
        self,
        url: str,
        *,
        method: str = "POST",
        connect_timeout_seconds: float = 10.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        from yarl import URL  # noqa: PLC0415 - comes with aiohttp, and is needed only here

        # The query is signed as it stands, so yarl must not write it anew.
        self._url = URL(url, encoded=True)
        self._url_of = partial(URL, encoded=True)
        self._address = url.partition("?")[0]
        self._method = method
        self._connect_timeout_seconds = connect_timeout_seconds
        # Reading the system's authorities takes as long as a hundred calls.
        secure = self._url.scheme == "https"
        self._ssl_context = ssl_context or (ssl.create_default_context() if secure else None)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # The engine bounds what is in flight; a second bound here would be a second queue.
            connector=GatedConnector(limit=0, ssl=self._ssl_context or True),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "stopcast"},
            skip_auto_headers=("Accept",),
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self, body: bytes, headers: Mapping[str, str], admit: Admit, query: str = ""
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send and receive, as ``stopcast.ports.Transport`` says."""
        assert self._session is not None, "the transport is an async context manager"  # noqa: S101 - a programmer's slip
        _gate.set(admit)
        url = self._url_of(f"{self._address}?{query}") if query else self._url
        try:
            response = await self._session.request(
                self._method, url, data=body or None, headers=headers, allow_redirects=False
            )
            try:
                return response.status, response.headers, await _read(response.content)
            finally:
                # Gives the connection back where the answer was read to its end, and drops it otherwise.
                response.release()
        except aiohttp.ClientConnectorCertificateError as error:
            raise TransportError(_words(error), unsent=True, untrusted=True) from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise TransportError(_words(error), unsent=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(_words(error)) from error


async def _read(content: aiohttp.StreamReader) -> bytes:
    answer = await content.read(ANSWER_LIMIT)
    while not content.at_eof():
        if len(answer) >= ANSWER_LIMIT:
            raise TransportError(f"an answer longer than {ANSWER_LIMIT} bytes")
        answer += await content.read(ANSWER_LIMIT - len(answer))
    return answer


def _words(error: BaseException) -> str:
    # Many of them have no text at all, such as TimeoutError().
    return f"{type(error).__name__}: {error}".removesuffix(": ")
