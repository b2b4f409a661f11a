"""The Redis of a queue, and the connections to it. The real redis-py runs on top of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from simulation.loop import Group, SimulatedLoop, current_group
from simulation.transport import MemoryTransport
from simulation.world import World
from support.redis_protocol import command_in, encoded
from support.simulated_streams import NOTHING, RefusedError, SimulatedStreams


class Hold(NamedTuple):
    """A moment at which Redis gave an entry to a consumer, or confirmed that it has it."""

    at: float
    consumer: bytes
    entry: bytes


class Failover(NamedTuple):
    """A replica became the master: what was written after ``kept_at`` is lost."""

    at: float
    kept_at: float


class RedisServer:
    """Answers its connections in turn, and has its troubles.

    Attributes:
        calm: whether no fault happens any more.
        streams: what it keeps.
        holds: who had which entry when.
        emptied_at: virtual times at which it lost its data.
        failovers: when a replica became the master that lacked the last writes.
        answered_at: when each process has had its last answer.
    """

    def __init__(self, world: World, loop: SimulatedLoop) -> None:
        self.world = world
        self.loop = loop
        self.calm = False
        self.holds: list[Hold] = []
        self.emptied_at: list[float] = []
        self.failovers: list[Failover] = []
        self.answered_at: dict[str, float] = {}
        self.clock_set_by = 0.0
        self.streams = SimulatedStreams(lambda: loop.wall_time() + self.clock_set_by, self._hold)
        self.wires: list[RedisWire] = []
        self._up = True
        self._numbers = self._ways = 0
        #: Until when each process is cut off, None for all of them.
        self._cut_off: dict[Group | None, float] = {}
        loop.dial = self._dial

    def _hold(self, consumer: bytes, entry: bytes) -> None:
        self.holds.append(Hold(self.loop.time(), consumer, entry))

    def happens(self, kind: str, *subject: object) -> bool:
        """Return whether a fault happens now."""
        return not self.calm and self.world.happens(kind, *subject)

    async def _dial(self, protocol: Any) -> RedisWire:
        await asyncio.sleep(self.arrival(current_group(), 0.0) - self.loop.time())
        if not self._up:
            raise ConnectionRefusedError(111, "Connection refused")
        self._numbers += 1
        wire = RedisWire(self, protocol, self._numbers)
        self.wires.append(wire)
        return wire

    def arrival(self, group: Group | None, after: float) -> float:
        """Return the virtual time at which something arrives that is sent now, by a process or to it."""
        self._ways += 1
        seconds = self.world.between(0.0001, 0.001, "way", self._ways)
        if self.happens("redis_slow", self._ways):
            seconds = self.world.pick((0.05, 0.8, 7.0), "redis_slow", self._ways)
        cut_off = max(self._cut_off.get(group, 0.0), self._cut_off.get(None, 0.0))
        return max(self.loop.time() + seconds, after, cut_off + seconds)

    def look_for_entries(self) -> None:
        """Let the connections that wait for entries have those that came."""
        for wire in [wire for wire in self.wires if wire.waits]:
            wire.work()

    async def trouble(self, groups: Callable[[], Sequence[Group]], note: Callable[[str], None]) -> None:
        """Have the world's troubles, one after the other."""
        for place in range(4):
            for kind, happen in _TROUBLES.items():
                if self.happens(kind, place):
                    await asyncio.sleep(self.world.between(0.0, 5.0, kind, place))
                    note(kind)
                    seconds = 10 ** self.world.between(-2.0, 1.6, kind, "for", place)
                    await happen(self, self.world.pick(groups(), kind, "who", place), seconds)

    def end_troubles(self) -> None:
        """Let no fault happen any more."""
        self.calm = self._up = True
        self._cut_off.clear()

    async def away(self, _: Group, seconds: float) -> None:
        """End: connections are reset, and none can be made."""
        self._up = False
        for wire in list(self.wires):
            wire.reset()
        await asyncio.sleep(seconds)
        self._up = True

    async def restarted(self, group: Group, seconds: float) -> None:
        """End, and begin with what was kept, but without the scripts."""
        self.streams.forget_scripts()
        await self.away(group, seconds / 10)

    async def emptied(self, group: Group, seconds: float) -> None:
        """Lose everything, with a restart or without."""
        self.streams.clear()
        self.emptied_at.append(self.loop.time())
        self.look_for_entries()
        if seconds > 1.0:
            await self.restarted(group, seconds)

    async def failed_over(self, group: Group, seconds: float) -> None:
        """Break all connections, and go on with a replica that lacks the last writes, and the scripts."""
        kept_at, go_back = self.loop.time(), self.streams.kept()
        await asyncio.sleep(self.world.between(0.0, 2.0, "lag", seconds))
        queue_id = self._queue_id()
        go_back()
        self.failovers.append(Failover(self.loop.time(), kept_at))
        if self._queue_id() != queue_id:
            self.emptied_at.append(self.loop.time())
        await self.restarted(group, seconds)

    def _queue_id(self) -> bytes | None:
        return self.streams.hashes.get(b"{tasks}:state", {}).get(b"id")

    async def clock_set(self, _: Group, seconds: float) -> None:
        """Have another time from now on: set back, or forward by what the workers' margin allows."""
        forward = 0.09 * self.world.claim_after_seconds
        self.clock_set_by += self.world.pick((-100.0, -10.0, -1.0, forward), "clock", seconds)
        await asyncio.sleep(self.world.claim_after_seconds)

    async def cut_off(self, group: Group, seconds: float) -> None:
        """Let nothing pass to one process or all, or from them, until later."""
        whom = None if seconds < 1.0 else group
        self._cut_off[whom] = self.loop.time() + seconds
        await asyncio.sleep(seconds)


_TROUBLES: Final[Mapping[str, Callable[[RedisServer, Group, float], Awaitable[None]]]] = {
    "redis_away": RedisServer.away,
    "redis_restarted": RedisServer.restarted,
    "redis_emptied": RedisServer.emptied,
    "redis_cut_off": RedisServer.cut_off,
    "redis_failed_over": RedisServer.failed_over,
    "redis_clock_set": RedisServer.clock_set,
}


class RedisWire(MemoryTransport):
    """One connection. What is on its way arrives, also where the process has closed the connection since."""

    def __init__(self, server: RedisServer, protocol: Any, number: int) -> None:
        super().__init__(server.loop, protocol)
        self._server = server
        self._number = number
        self._sent = b""
        self._arrives_at = self._answers_at = 0.0
        self._commands: deque[list[bytes]] = deque()
        #: Until when the first command waits for entries.
        self._waits_until: float | None = None
        self._batches = 0
        if self._group is not None:
            self._group.wires.add(self)
        protocol.connection_made(self)

    def __str__(self) -> str:
        return f"connection {self._number} to Redis"

    @property
    def waits(self) -> bool:
        """Whether a command waits for entries."""
        return self._waits_until is not None

    # What redis-py calls.

    def write(self, data: Any) -> None:
        """Send bytes."""
        if self._closing:
            return
        self._sent += bytes(data)
        commands = []
        while (parsed := command_in(self._sent)) is not None:
            command, self._sent = parsed
            commands.append(command)
        if commands:
            self._arrives_at = self._server.arrival(self._group, self._arrives_at)
            self._loop.at(self._arrives_at, self._arrive, commands)

    # The other end.

    def lost(self) -> None:
        """Forget the process: it was killed."""
        self._closing = True
        self._hang_up()

    def _hang_up(self) -> None:
        # The end of the connection comes after what was sent before.
        at = self._server.arrival(self._group, self._arrives_at)
        self._loop.at(at, self._forget)

    def _forget(self) -> None:
        self._commands.clear()
        self._waits_until = None
        if self in self._server.wires:
            self._server.wires.remove(self)

    def _end(self, error: Exception | None) -> None:
        if self._closing:
            return
        self._closing = True
        if self._group is not None:
            self._group.wires.discard(self)
        self._hang_up()
        self._in_process(self._protocol.connection_lost, error)

    def reset(self) -> None:
        """Let the server end it."""
        self._forget()
        if not self._closing:
            self._in_process(self._end, ConnectionResetError(104, "Connection reset by peer"))

    def _arrive(self, commands: list[list[bytes]]) -> None:
        if self in self._server.wires:
            self._commands.extend(commands)
            self.work()

    def work(self) -> None:
        """Carry out what has come, as far as it need not wait for entries."""
        answers, worked = b"", False
        while self._commands:
            answer = self._answer(self._commands[0])
            if answer is None:
                break
            self._commands.popleft()
            self._waits_until = None
            answers, worked = answers + answer, True
        if not worked:
            return
        self._batches += 1
        if self._server.happens("redis_answer_lost", self._number, self._batches):
            self.reset()
        else:
            self._answers_at = self._server.arrival(self._group, self._answers_at)
            self._loop.at(self._answers_at, self._in_process, self._deliver, answers)
        self._server.look_for_entries()

    def _answer(self, command: list[bytes]) -> bytes | None:
        """Return the answer to a command, None while it waits."""
        try:
            answer = self._server.streams.do(command)
        except RefusedError as error:
            return f"-{error}\r\n".encode()
        if answer is not NOTHING:
            return encoded(answer)
        now = self._loop.time()
        if self._waits_until is None:
            self._waits_until = now + int(command[command.index(b"BLOCK") + 1]) / 1000
            self._loop.at(self._waits_until, self.work)
        return None if now < self._waits_until else b"*-1\r\n"

    def _deliver(self, answers: bytes) -> None:
        if not self._closing:
            if self._group is not None:
                self._server.answered_at[self._group.name] = self._loop.time()
            self._protocol.data_received(answers)
