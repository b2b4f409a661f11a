"""Connections between simulated processes and the API, in memory. aiohttp's client runs on top of them."""

from __future__ import annotations

import asyncio
import socket

# The functions of os as they are, below the layer of the simulated disk.
from os import close, pipe, read, write
from typing import Any, Final

from simulation.api import Answered, Api
from simulation.loop import SimulatedLoop
from simulation.record import Call, Record
from simulation.transport import MemoryTransport
from simulation.world import World

_ADDRESS: Final = ("127.0.0.1", 8080)
_STRAY: Final = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_FOREIGN: Final = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 20\r\n\r\n<html>502</html>    "
)


class Network:
    """Makes connections, and loses them.

    Attributes:
        calm: whether no fault happens any more.
    """

    def __init__(self, world: World, loop: SimulatedLoop, api: Api, record: Record) -> None:
        self.world = world
        self.loop = loop
        self.api = api
        self.record = record
        self.calm = False
        self.wires = 0
        self._connects = 0
        loop.connect, loop.make_wire = self._connect, self._make_wire

    def happens(self, kind: str, *subject: object) -> bool:
        """Return whether a fault happens now."""
        return not self.calm and self.world.happens(kind, *subject)

    async def _connect(self, address: Any) -> None:
        self._connects += 1
        number, world = self._connects, self.world
        assert address == _ADDRESS, f"a connection to {address}"
        await asyncio.sleep(world.latency_seconds * 2)
        if self.happens("connect_swallowed", number):
            await asyncio.sleep(3600.0)
        if self.happens("connect_slow", number):
            await asyncio.sleep(world.between(0.1, 3.0, "connect_slow", number))
        if self.happens("connect_refused", number):
            raise ConnectionRefusedError(111, "Connection refused")

    def _make_wire(self, protocol: Any) -> Wire:
        self.wires += 1
        return Wire(self, protocol, self.wires)


class _Socket:
    """What aiohttp and the gate ask of a socket: ``poll`` finds something to read in it, or does not."""

    family = socket.AF_UNIX

    def __init__(self) -> None:
        self._reading, self._writing = pipe()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._reading

    def fill(self) -> None:
        """Let there be something to read."""
        write(self._writing, b"!")

    def empty(self) -> None:
        """Let there be nothing to read."""
        read(self._reading, 1)

    def close(self) -> None:
        """Close the descriptors."""
        close(self._reading)
        close(self._writing)


class Wire(MemoryTransport):
    """One connection. Bytes go to the API as whole requests, and come back as the faults allow."""

    def __init__(self, network: Network, protocol: Any, number: int) -> None:
        super().__init__(network.loop, protocol)
        self._network = network
        self._number = number
        self._server_open = True
        self._requests = 0
        self._sent = b""
        #: The call that has no answer yet.
        self._call: Call | None = None
        #: What has arrived and was not read: bytes, or how the connection ended.
        self._arrived: list[bytes | Exception | None] = []
        self._socket = _Socket()
        if self._group is not None:
            self._group.wires.add(self)
        protocol.connection_made(self)
        self._arm_idle()

    def __str__(self) -> str:
        return f"connection {self._number} after {self._requests} requests"

    # What aiohttp calls.

    def write(self, data: Any) -> None:
        """Take bytes, and pass each whole request on."""
        if self._closing:
            return
        self._sent += bytes(data)
        head, found, body = self._sent.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        if len(body) >= length:
            self._sent = body[length:]
            self._requests += 1
            self._request(headers, body[:length])

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what stands in for the socket."""
        return self._socket if name == "socket" else default

    def get_protocol(self) -> Any:
        """Return the protocol."""
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        """Replace the protocol."""
        self._protocol = protocol

    # The other end.

    def lost(self) -> None:
        """Forget the process: it was killed."""
        self._closing = True
        self._server_open = False
        self._socket.close()

    def _end(self, error: Exception | None) -> None:
        if self._closing:
            return
        self._closing = True
        self._server_open = False
        self._socket.close()
        if self._group is not None:
            self._group.wires.discard(self)
        self._in_process(self._protocol.connection_lost, error)

    def _arrive(self, *what: bytes | Exception | None) -> None:
        """Let bytes, or an end, arrive in the process's kernel. It reads them as soon as it runs."""
        if not self._closing:
            if not self._arrived:
                self._socket.fill()
            self._arrived += what
            self._in_process(self._read)

    def _read(self) -> None:
        if not self._arrived or self._closing:
            return
        arrived, self._arrived = self._arrived, []
        if self._call is not None:
            self._call.answered_at = self._loop.time()
            self._call = None
        self._socket.empty()
        for what in arrived:
            if self._closing:
                return
            if isinstance(what, bytes):
                self._protocol.data_received(what)
                continue
            self._server_open = False
            if self._group is not None:
                self._network.record.dropped[self._group.name] += 1
            if what is None:
                self._protocol.eof_received()
            self._end(what)

    def _drop(self, error: Exception | None = None) -> None:
        if self._server_open:
            self._server_open = False
            self._arrive(error)

    def _arm_idle(self) -> None:
        world, subject = self._network.world, (self._number, self._requests)
        for kind, low, high in (("idle_dropped", 1.0, 5.0), ("idle_dropped_soon", 0.01, 1.0)):
            if self._network.happens(kind, *subject):
                wait = world.between(low, high, kind, *subject)
                self._loop.at(self._loop.time() + wait, self._drop_if_idle, self._requests)

    def _drop_if_idle(self, requests: int) -> None:
        if requests == self._requests:
            self._drop()

    def _request(self, headers: dict[str, str], body: bytes) -> None:
        network, world = self._network, self._network.world
        call = self._call = network.record.sent(self._group, headers, body, self._loop.time())
        subject = (call.task, call.number)
        arrives_at = self._loop.time() + world.latency_seconds + world.jitter_seconds * world.share("way", *subject)
        if network.happens("request_lost", *subject):
            self._loop.at(arrives_at, self._drop, ConnectionResetError(104, "Connection reset by peer"))
        elif network.happens("request_swallowed", *subject):
            pass
        elif network.happens("answer_foreign", *subject):
            self._loop.at(arrives_at + world.latency_seconds, self._arrive, _FOREIGN)
        else:
            self._loop.at(arrives_at, self._at_the_api, call, headers, arrives_at)

    def _at_the_api(self, call: Any, headers: dict[str, str], arrived_at: float) -> None:
        answered = self._network.api.receive(call, headers, arrived_at)
        self._send_back(answered, call)

    def _send_back(self, answered: Answered, call: Any) -> None:
        network, world, loop = self._network, self._network.world, self._loop
        subject = (call.task, call.number)
        at = loop.time() + answered.seconds + world.latency_seconds
        whole = answered.as_bytes()
        if network.happens("answer_lost", *subject):
            loop.at(at, self._drop, ConnectionResetError(104, "Connection reset by peer"))
        elif network.happens("answer_swallowed", *subject) or network.happens("outage", int(loop.time() / 20)):
            pass
        elif network.happens("answer_cut", *subject):
            loop.at(at, self._arrive, whole[: int(len(whole) * world.share("cut", *subject))])
            loop.at(at, self._drop)
        else:
            if network.happens("answer_late", *subject):
                at += world.between(0.0, 2 * world.timeout_seconds, "answer_late", *subject)
            loop.at(at, self._deliver, whole, subject)

    def _deliver(self, whole: bytes, subject: tuple[Any, int]) -> None:
        if not self._server_open:
            return
        network, loop = self._network, self._loop
        self._arrive(whole)
        self._arm_idle()
        for kind, data in (("answer_doubled", whole), ("answer_stray", _STRAY)):
            if network.happens(kind, *subject):
                wait = network.world.pick((0.0, 0.001, 0.1, 2.0), kind, *subject)
                loop.at(loop.time() + wait, self._arrive, data)
