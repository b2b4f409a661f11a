"""The gate at aiohttp's connector, which a call passes with a live connection in hand.

If calls got their permits before aiohttp has a connection, the first calls would wait for TLS handshakes after their
permits, and later calls would not: evenly spaced permits gave 158 to 162 arrivals in the first second at a cap of 150.
Here a call gets its permit and its signature when it has a connection.

aiohttp gives a request no way to the connector but the context of its task, so the gate goes by a ContextVar, which
only the transport sets.
"""

from __future__ import annotations

import select
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import aiohttp

from stopcast.ports import Gate

if TYPE_CHECKING:
    from aiohttp.client import ClientTimeout
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

#: Answers have a few hundred bytes. asyncio allocates 256 KiB for each read, and whether the C library gives that much
#: memory back to the system every time depends on the rest of the heap: it was up to a fifth of a call's cost.
_READ_BYTES: Final = 16 * 1024
#: Permits in a row that a call forfeits to dead connections before its attempt has failed.
_MOST_FORFEITED: Final = 5


class Exchange:
    """One request on its way: its gate, and the connection that it got."""

    __slots__ = ("gate", "protocol")

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.protocol: ResponseHandler | None = None

    def drop(self) -> None:
        """Close the connection."""
        if self.protocol is not None:
            self.protocol.close()


#: The exchange of the request that this task is making.
EXCHANGE: Final[ContextVar[Exchange]] = ContextVar("stopcast_exchange")


class _NoLiveConnectionError(aiohttp.ClientConnectionError):
    """Each connection was dead by the time the call had its permit."""

    def __init__(self) -> None:
        super().__init__(f"{_MOST_FORFEITED} connections in a row were dead when the call could have gone out")


class ConnectorGate:
    """Makes a connector return a connection when the call may go out over it, and then at once.

    The calls that wait for their permit bring a connection each, and whichever call gets a permit takes the freshest
    live one. So a server that closes idle connections early cannot make a permit useless as long as it leaves the
    newest one alone. Behind a proxy a connection is one through which the endpoint can be reached already.
    """

    def __init__(self, connector: aiohttp.BaseConnector) -> None:
        self._connect = connector.connect
        self._in_hand: deque[Connection] = deque()
        #: What shows whether bytes wait at a connection that was used before.
        self._polls: WeakKeyDictionary[ResponseHandler, select.poll] = WeakKeyDictionary()
        connector.connect = self.connect  # type: ignore[method-assign]  # whatever the connector's class is

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:  # noqa: ASYNC109 - aiohttp's signature
        """Return a live connection for a call that goes out now."""
        exchange = EXCHANGE.get()
        for _ in range(_MOST_FORFEITED):
            self._in_hand.append(await self._connect(req, traces, timeout))
            try:
                await exchange.gate.permit()
            except BaseException:
                self._put_back()
                raise
            if (connection := self._take()) is not None:
                try:
                    req.headers.update(exchange.gate.admit())
                except BaseException:
                    connection.release()
                    raise
                exchange.protocol = connection.protocol
                return connection
            # The permit is forfeited: it must not be kept over a handshake.
        raise _NoLiveConnectionError

    def _take(self) -> Connection | None:
        while self._in_hand:
            connection = self._in_hand.pop()
            protocol = connection.protocol
            if protocol is not None and self._is_usable(protocol):
                return connection
            connection.close()
        return None

    def _put_back(self) -> None:
        if self._in_hand:
            self._in_hand.popleft().release()

    def _is_usable(self, protocol: ResponseHandler) -> bool:
        """Return whether the next bytes from this connection can only be the answer to the next request."""
        transport = protocol.transport
        if transport is None or transport.is_closing() or protocol.should_close:
            return False
        # Bytes may lie in the kernel still: a second answer, or a 408. A new TLS connection may well have some (session
        # tickets), and an answer to nothing it cannot have.
        poll = self._polls.get(protocol)
        if poll is None:
            poll = self._polls[protocol] = select.poll()
            poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
            if getattr(transport, "max_size", 0) > _READ_BYTES:
                transport.max_size = _READ_BYTES  # type: ignore[attr-defined]  # of asyncio's own loop only
            return True
        return not poll.poll(0)
