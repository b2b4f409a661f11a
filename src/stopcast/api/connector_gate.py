"""The gate at aiohttp's connector, which a call passes with a live connection in hand.

If calls got their permits before aiohttp has a connection, the first calls would wait for TLS handshakes after their
permits, and later calls would not: evenly spaced permits gave 158 to 162 arrivals in the first second at a cap of 150.
Here a call gets its permit and its signature when it has a connection.

aiohttp gives a request no way to the connector but the context of its task, so the gate goes by a ContextVar, which
only the transport sets.
"""

from __future__ import annotations

import asyncio
import math
import select
from collections.abc import Callable, Container
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import aiohttp

from stopcast.background import end_task
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
#: A replacement that is lost sooner than this is replaced after a pause, which doubles each time: it serves neither
#: side to connect again and again to a server that closes connections at once.
_SHORT_LIFE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 5.0


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


class _Line(asyncio.Protocol):
    """Stands between a connection and aiohttp's protocol, and notices what happens while a call waits with it.

    Args:
        protocol: aiohttp's.
        in_hand: the lines of connections with which calls wait.
        drop: is called where one of them can carry no call any more.

    Attributes:
        poll: finds unread bytes in the kernel; None until the first call over the connection.
    """

    __slots__ = ("_drop", "_in_hand", "_protocol", "poll")

    def __init__(self, protocol: ResponseHandler, in_hand: Container[_Line], drop: Callable[[_Line], None]) -> None:
        self._protocol = protocol
        self._in_hand = in_hand
        self._drop = drop
        self.poll: select.poll | None = None

    def data_received(self, data: bytes) -> None:
        """Pass bytes on. While a call waits they are no answer to it."""
        if self in self._in_hand:
            self._drop(self)
        else:
            self._protocol.data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Pass it on."""
        self._protocol.connection_lost(exc)
        if self in self._in_hand:
            self._drop(self)

    def eof_received(self) -> None:
        """Pass it on. The loss of the connection follows."""
        self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()


class ConnectorGate:
    """Makes a connector return a connection when the call may go out over it, and then at once.

    The calls that wait for their permit bring a connection each, and whichever call gets a permit takes the freshest
    one. Those that become useless meanwhile are dropped. Where none is left, the calls get another one while they wait,
    so that a server which closes idle connections early makes no permit useless. Behind a proxy a connection is one
    through which the endpoint can be reached already.
    """

    def __init__(self, connector: aiohttp.BaseConnector) -> None:
        self._connect = connector.connect
        #: In the order in which they came.
        self._in_hand: dict[_Line, Connection] = {}
        #: Calls that wait for their permit: at least as many as connections in hand.
        self._waiting = 0
        #: What one of them asked the connector for. All ask for the same.
        self._wanted: tuple[ClientRequest, list[Trace], ClientTimeout] | None = None
        self._replacing: asyncio.Task[None] | None = None
        #: When the last replacement was made, and how long the next one waits if that one is lost soon.
        self._made_at = -math.inf
        self._pause_seconds = 0.0
        connector.connect = self.connect  # type: ignore[method-assign]  # whatever the connector's class is

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:  # noqa: ASYNC109 - aiohttp's signature
        """Return a live connection for a call that goes out now."""
        exchange = EXCHANGE.get()
        if self._wanted is None:
            self._wanted = req, [], timeout
        for _ in range(_MOST_FORFEITED):
            if not self._hold(await self._connect(req, traces, timeout)):
                continue
            self._waiting += 1
            try:
                await exchange.gate.permit()
            except BaseException:
                self._waiting -= 1
                self._put_back()
                raise
            self._waiting -= 1
            connection = self._take()
            self._replace()
            if connection is not None:
                self._pause_seconds = 0.0
                try:
                    req.headers.update(exchange.gate.admit())
                except BaseException:
                    connection.release()
                    raise
                exchange.protocol = connection.protocol
                return connection
            # The permit is forfeited: it must not be kept over a handshake.
        raise _NoLiveConnectionError

    async def close(self) -> None:
        """Leave no task behind. No call may wait any more."""
        if self._replacing is not None:
            await end_task(self._replacing)

    def _hold(self, connection: Connection) -> bool:
        """Take a connection in hand, if it can be used as far as is known."""
        protocol = connection.protocol
        transport = None if protocol is None else protocol.transport
        if protocol is None or transport is None or protocol.should_close:
            connection.close()
            return False
        line = transport.get_protocol()
        if not isinstance(line, _Line):
            line = _Line(protocol, self._in_hand, self._drop)
            transport.set_protocol(line)
        self._in_hand[line] = connection
        return True

    def _take(self) -> Connection | None:
        while self._in_hand:
            line, connection = self._in_hand.popitem()
            if _is_usable(connection.transport, line):
                return connection
            connection.close()
        return None

    def _put_back(self) -> None:
        if len(self._in_hand) > self._waiting:
            self._in_hand.pop(next(iter(self._in_hand))).release()

    def _drop(self, line: _Line) -> None:
        """Close a connection in hand that became useless."""
        self._in_hand.pop(line).close()
        lived_seconds = asyncio.get_running_loop().time() - self._made_at
        self._pause_seconds = 0.0 if lived_seconds > _SHORT_LIFE_SECONDS else _longer(self._pause_seconds)
        self._replace()

    def _replace(self) -> None:
        """Begin to make another connection if calls wait and none is in hand."""
        if self._waiting and not self._in_hand and (self._replacing is None or self._replacing.done()):
            make = self._make_another()
            self._replacing = asyncio.get_running_loop().create_task(make, name="stopcast connection")

    async def _make_another(self) -> None:
        wanted = self._wanted
        assert wanted is not None, "a call waits"  # noqa: S101 - an invariant
        while True:
            await asyncio.sleep(self._pause_seconds)
            if not self._waiting or self._in_hand:
                return
            try:
                connection = await self._connect(*wanted)
            except Exception:  # noqa: BLE001 - the error is not lost: a call that gets no connection meets it as well
                self._pause_seconds = _longer(self._pause_seconds)
                continue
            self._made_at = asyncio.get_running_loop().time()
            if len(self._in_hand) >= self._waiting:
                connection.release()
                return
            if self._hold(connection):
                return
            self._pause_seconds = _longer(self._pause_seconds)


def _longer(pause_seconds: float) -> float:
    return min(max(2 * pause_seconds, _SHORT_LIFE_SECONDS), _LONGEST_PAUSE_SECONDS)


def _is_usable(transport: asyncio.Transport | None, line: _Line) -> bool:
    """Return whether the next bytes from a connection in hand can only be the answer to the next request."""
    if transport is None or transport.is_closing():
        return False
    # Bytes may lie in the kernel still: a second answer, or a 408. A new TLS connection may well have some (session
    # tickets), and an answer to nothing it cannot have.
    if line.poll is None:
        line.poll = select.poll()
        line.poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        if getattr(transport, "max_size", 0) > _READ_BYTES:
            transport.max_size = _READ_BYTES  # type: ignore[attr-defined]  # of asyncio's own loop only
        return True
    return not line.poll.poll(0)
