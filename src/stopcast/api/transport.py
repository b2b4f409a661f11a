"""The wire: aiohttp, with a gate at its connector that a call passes with a live connection in hand."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp.hdrs import CONTENT_LENGTH
from aiohttp.http import StreamWriter

from stopcast.api.answers import ANSWER_LIMIT
from stopcast.api.connector_gate import EXCHANGE, ConnectorGate, Exchange
from stopcast.api.network import Network
from stopcast.errors import ConfigurationError
from stopcast.ports import Answer, Gate, Request, TransportError

if TYPE_CHECKING:
    from aiohttp.connector import Connection


class _Request(aiohttp.ClientRequest):
    """Is written in the step in which its call is admitted, without a task of its own.

    aiohttp writes a body by a task, before Python 3.12 in a later step. What runs before that step may block the loop,
    and then the call would go out with a permit that is old, or after a drain.
    """

    _content = b""

    def update_body_from_data(self, body: Any, _stacklevel: int = 3) -> None:
        """Keep a body as it is, without the payload that aiohttp makes of it."""
        if body is None:
            super().update_body_from_data(body)
            return
        self._content = body
        self.headers[CONTENT_LENGTH] = str(len(body))

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Write the request, and return the response that is to be started."""
        if not self._content:
            return await super().send(conn)  # starts no task
        assert conn.protocol is not None, "the gate returns live connections"  # noqa: S101 - an invariant
        writer = StreamWriter(conn.protocol, self.loop)
        target = str(self.url) if self.proxy and not self.is_ssl() else self.url.raw_path_qs
        await writer.write_headers(f"{self.method} {target} HTTP/1.1", self.headers)
        await writer.write(self._content)
        await writer.write_eof()
        self.response = self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=self._traces,
            loop=self.loop,
            session=self._session,
            stream_writer=writer,
        )
        return self.response


class _LaterRequest(_Request):
    """Is written in the loop's next turn, after all steps of this one.

    For calls without a cap, of which many are admitted in one turn. When they were written one by one, with the work of
    a call in between, each of them had to wake the server's process, where that was on the same machine: a call cost a
    quarter more.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Wait for the next turn, write the request, and return the response that is to be started."""
        await asyncio.sleep(0)
        return await super().send(conn)


def _request_class(*, at_once: bool) -> type[aiohttp.ClientRequest]:
    # These do what aiohttp's own does inside, so they are used only with the series of aiohttp that they are made for.
    if not aiohttp.__version__.startswith("3.14."):
        return aiohttp.ClientRequest
    return _Request if at_once else _LaterRequest


class AiohttpTransport:
    """One session to one endpoint. Fills ``stopcast.ports.Transport``; used as an async context manager.

    TLS is verified. No redirect, no cookie, no decompression, and no proxy but the one that ``network`` names. The
    caller bounds the time that a call takes; only connecting is bounded here.
    """

    def __init__(
        self,
        url: str,
        *,
        method: str = "POST",
        connect_timeout_seconds: float = 10.0,
        network: Network | None = None,
        max_at_once: int = 0,
        has_cap: bool = True,
    ) -> None:
        from yarl import URL  # noqa: PLC0415 - comes with aiohttp, and is needed only here

        # The query is signed as it stands, so yarl must not write it anew.
        self._url = URL(url, encoded=True)
        self._url_of = partial(URL, encoded=True)
        self._address, _, self._query = url.partition("?")
        self._method = method
        self._connect_timeout_seconds = connect_timeout_seconds
        self._network = network = network or Network()
        self._max_at_once = max_at_once
        self._has_cap = has_cap
        self._options: dict[str, Any] = {"allow_redirects": False}
        if (proxy := network.proxy) is not None:
            self._options["proxy"] = URL(proxy.url)
            if proxy.authorization is not None:
                self._options["proxy_headers"] = {"Proxy-Authorization": proxy.authorization}
        self._session: aiohttp.ClientSession | None = None
        self._gate: ConnectorGate | None = None

    async def __aenter__(self) -> Self:
        connector = self._connector()
        self._gate = ConnectorGate(connector)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            request_class=_request_class(at_once=self._has_cap),
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "stopcast"},
        )
        return self

    def _connector(self) -> aiohttp.BaseConnector:
        ssl_context = self._network.ssl_context
        if ssl_context is None and self._url.scheme == "https":
            # Reading the system's authorities takes as long as a hundred calls.
            ssl_context = ssl.create_default_context()
        if self._network.connector is None:
            # The engine bounds what is in flight; a second bound here would be a second queue.
            return aiohttp.TCPConnector(limit=0, ssl=ssl_context or True)
        connector = self._network.connector()
        if not isinstance(connector, aiohttp.BaseConnector):
            raise ConfigurationError(f"connector returned {type(connector).__name__}, which is no aiohttp connector")
        if 0 < connector.limit < self._max_at_once:
            raise ConfigurationError(
                f"connector: its limit of {connector.limit} is below max_at_once, {self._max_at_once}; make it with "
                f"limit=0"
            )
        if ssl_context is not None:
            self._options["ssl"] = ssl_context
        return connector

    async def __aexit__(self, *_error: object) -> None:
        try:
            if self._gate is not None:
                await self._gate.close()
        finally:
            if self._session is not None:
                await self._session.close()

    async def send(self, request: Request, gate: Gate) -> Answer:
        """Send and receive, as ``stopcast.ports.Transport`` says."""
        assert self._session is not None, "the transport is an async context manager"  # noqa: S101 - a programmer's slip
        exchange = Exchange(gate)
        EXCHANGE.set(exchange)
        url = self._url if request.query == self._query else self._url_of(f"{self._address}?{request.query}")
        try:
            response = await self._session.request(self._method, url, data=request.body or None, **self._options)
            try:
                return Answer(response.status, response.headers, await _read(response.content), exchange.drop)
            finally:
                # Gives the connection back where the answer was read to its end, and drops it otherwise.
                response.release()
        except aiohttp.ClientConnectorCertificateError as error:
            raise TransportError(_describe(error), unsent=True, untrusted=True) from error
        except (aiohttp.ClientError, OSError) as error:
            # Without a connection nothing was written, whatever went wrong on the way to one.
            raise TransportError(_describe(error), unsent=exchange.protocol is None) from error


async def _read(content: aiohttp.StreamReader) -> bytes:
    answer = await content.read(ANSWER_LIMIT)
    while not content.at_eof():
        if len(answer) >= ANSWER_LIMIT:
            raise TransportError(f"an answer longer than {ANSWER_LIMIT} bytes")
        answer += await content.read(ANSWER_LIMIT - len(answer))
    return answer


def _describe(error: BaseException) -> str:
    # Many of them have no text at all, such as TimeoutError().
    return f"{type(error).__name__}: {error}".removesuffix(": ")
