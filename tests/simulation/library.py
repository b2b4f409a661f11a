"""The program of a process that uses the library: streams and single calls through one Stopper, left in many ways."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from simulation.api import Api
from simulation.command import ENDPOINT
from simulation.fleet import Fleet
from simulation.process import Process
from simulation.world import OF_THE_KEY, STANDSTILLS, World
from stopcast import Credentials, Outcome, RetryPolicy, StopcastError, Stopper, Task
from stopcast.events import Event, TaskFinished

#: How a consumer takes a stream.
WAYS: Final = ("all", "all", "all", "break", "deadline", "cancelled", "raises", "single")
#: Whatever happens, a stream has ended this long after the Stopper was left.
STREAM_ENDS_WITHIN: Final = 5.0
_WAITS: Final = 10


class SourceError(Exception):
    """Raised by a source of tasks."""


class ConsumerError(Exception):
    """Raised by a consumer of outcomes."""


@dataclass(slots=True, eq=False)
class Stream:
    """What became of one stream.

    Attributes:
        way: how its consumer takes it.
        read: tasks that its source has given.
        exhausted: whether the source came to its end, or raised.
        left_at: virtual time at which the consumer left it, or nothing more could come.
        error: what its consumer got instead of an outcome.
        ended: whether its consumer has come to an end.
    """

    name: str
    way: str
    tasks: list[Task]
    read: list[Task] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    source_raises: bool = False
    exhausted: bool = False
    left_at: float | None = None
    error: BaseException | None = None
    ended: bool = False


@dataclass(slots=True, eq=False)
class Use:
    """What became of one Stopper.

    Attributes:
        give_up_after: of its retries.
        finished: how often observers were told of each task's end.
        drained_at: virtual time at which no further call was asked for, by ``drain``.
        leaving_at: virtual time at which the block was left.
        left_at: virtual time at which leaving it had ended.
        failed: what entering raised.
    """

    give_up_after: float | None
    cancelled: bool = False
    streams: list[Stream] = field(default_factory=list)
    finished: Counter[Task] = field(default_factory=Counter)
    drained_at: float | None = None
    leaving_at: float | None = None
    left_at: float | None = None
    failed: BaseException | None = None
    calls: int = 0

    @property
    def last_call_by(self) -> float | None:
        """Virtual time from which no call goes out."""
        return self.leaving_at if self.drained_at is None else self.drained_at


class Library:
    """Uses a Stopper as ``world`` has it: draws the streams, and how each is taken."""

    def __init__(self, world: World, api: Api, tasks: list[Task], *, calm: bool, fleet: Fleet | None) -> None:
        self._world = world
        self._fleet = fleet
        self._api = api
        self._calm = calm
        self._tasks = tasks
        self._asked = 0
        self._events = 0
        self._name = ""
        self.use = Use(None if calm else world.give_up_after)

    async def __call__(self, process: Process) -> None:
        """Use the Stopper."""
        world, use = self._world, self.use
        process.use = use
        self._name = process.group.name
        quota = None if self._fleet is None else self._fleet.quota(process.group.name)
        stopper = Stopper(
            self._provide if OF_THE_KEY & world.kinds.keys() else Credentials(self._api.key, self._api.secret),
            endpoint=ENDPOINT,
            max_per_second=None if quota else world.cap,
            limiter=quota,
            retry=RetryPolicy(max_attempts=world.max_attempts, give_up_after_seconds=use.give_up_after),
            timeout_seconds=world.timeout_seconds,
            max_at_once=world.max_at_once,
            max_waiting=world.pick((0, 1, 10, 2000), "max_waiting"),
            drain_seconds=world.grace_seconds,
            observers=[self._disturb, self._observe],
        )
        loop = asyncio.get_running_loop()
        consumers: list[asyncio.Task[None]] = []
        try:
            async with quota or nullcontext(), stopper, self._steered(process.group.name, stopper):
                for stream in self._streams(process.group.name):
                    use.streams.append(stream)
                    consumers.append(asyncio.create_task(self._consume(stopper, stream), name=stream.name))
                try:
                    await self._until_leaving(process.group.name, consumers)
                finally:
                    use.leaving_at = loop.time()
            use.calls = stopper.meter.calls
        except StopcastError as error:
            use.failed = error
        except asyncio.CancelledError:
            use.cancelled = True
        finally:
            use.left_at = loop.time()
            # They are tasks of the program's own. None of them may need help to end. A standstill takes one wait away.
            for _ in range(_WAITS):
                if all(consumer.done() for consumer in consumers):
                    break
                try:
                    await asyncio.wait(consumers, timeout=STREAM_ENDS_WITHIN / _WAITS)
                except asyncio.CancelledError:
                    use.cancelled = True
        process.status = 0

    @asynccontextmanager
    async def _steered(self, name: str, stopper: Stopper) -> AsyncIterator[None]:
        """Let the program steer its Stopper, as its kinds have it."""
        loop, world = asyncio.get_running_loop(), self._world
        timers: list[asyncio.TimerHandle] = []

        def plan(kind: str, act: Callable[[], object], *, place: int = 0, later: float = 0.0) -> None:
            if not self._calm and world.happens(kind, name):
                seconds = 10 ** world.between(-3.0, 1.3, kind, place, name)
                timers.append(loop.call_later(seconds + later, act))

        def drain() -> None:
            self.use.drained_at = self.use.drained_at or loop.time()
            stopper.drain()

        for place in range(2):
            plan("pauses", stopper.pause, place=place)
            paused_for = world.pick((0.0, world.between(0.0, 20.0, "paused for", name)), "paused for", place, name)
            plan("pauses", stopper.resume, place=place, later=paused_for)
            plan("retries_key", stopper.retry_key, place=place)
        plan("pauses", stopper.resume, later=60.0)
        plan("drains", drain)
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()

    async def _until_leaving(self, name: str, consumers: list[asyncio.Task[None]]) -> None:
        leaves = not self._calm and self._world.happens("leaves_early", name)
        seconds = 10 ** self._world.between(-2.0, 1.5, "leaves", name) if leaves else None
        if consumers:
            await asyncio.wait(consumers, timeout=seconds)

    def _streams(self, name: str) -> list[Stream]:
        world = self._world
        if self._calm:
            return [Stream(f"{name} the last stream", "all", self._tasks)]
        number = world.pick((1, 2, 3, 6), "streams", name)
        streams = []
        for place in range(number):
            way = world.pick(WAYS, "way", name, place)
            tasks = self._tasks[place::number][: 1 if way == "single" else None]
            if tasks and world.happens("same_task", name, place):
                tasks = list(dict.fromkeys([self._tasks[0], *tasks]))[: len(tasks)]
            raises = way != "single" and world.happens("source_raises", name, place)
            streams.append(Stream(f"{name} stream {place}", way, tasks, source_raises=raises))
        return [stream for stream in streams if stream.tasks]

    async def _consume(self, stopper: Stopper, stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        seconds = 10 ** self._world.between(-2.0, 1.5, "patience", stream.name)
        gives_up_at = loop.time() + seconds
        try:
            match stream.way:
                case "single":
                    stream.read, stream.exhausted = list(stream.tasks), True
                    async with asyncio.timeout(seconds):
                        stream.outcomes.append(await stopper.stop(stream.tasks[0], priority=1))
                case "deadline":
                    async with asyncio.timeout(seconds):
                        await self._take(stopper, stream)
                case "cancelled":
                    task = asyncio.current_task()
                    assert task is not None
                    timer = loop.call_later(seconds, task.cancel)
                    try:
                        await self._take(stopper, stream)
                    finally:
                        timer.cancel()
                case _:
                    await self._take(stopper, stream)
        except (TimeoutError, asyncio.CancelledError, ConsumerError, SourceError, StopcastError) as error:
            stream.error = error
            on_time = not STANDSTILLS & self._world.kinds.keys()
            if isinstance(error, TimeoutError | asyncio.CancelledError) and on_time:
                stream.left_at = gives_up_at
        stream.left_at = stream.left_at or loop.time()
        stream.ended = True

    async def _take(self, stopper: Stopper, stream: Stream) -> None:
        world, loop = self._world, asyncio.get_running_loop()
        most = int(len(stream.tasks) * world.share("most", stream.name)) + 1
        slow = not self._calm and world.happens("slow_consumer", stream.name)
        priority = world.pick((0, 0, 1), "priority", stream.name)
        async with aclosing(stopper.stop_all(self._source(stream), priority=priority)) as outcomes:
            async for outcome in outcomes:
                stream.outcomes.append(outcome)
                if slow:
                    await asyncio.sleep(world.between(0.0, 0.5, "slow", outcome.task))
                if stream.way in {"break", "raises"} and len(stream.outcomes) >= most:
                    stream.left_at = loop.time()
                    if stream.way == "raises":
                        raise ConsumerError
                    break

    def _source(self, stream: Stream) -> Any:
        if not stream.source_raises and self._world.share("sync source", stream.name) < 0.3:
            stream.read, stream.exhausted = list(stream.tasks), True
            return list(stream.tasks)
        return self._given_one_by_one(stream)

    async def _given_one_by_one(self, stream: Stream) -> AsyncIterator[Task]:
        world = self._world
        slow = not self._calm and world.happens("slow_source", stream.name)
        raises_at = int(len(stream.tasks) * world.share("raises at", stream.name)) if stream.source_raises else None
        for place, task in enumerate(stream.tasks):
            if slow:
                await asyncio.sleep(world.between(0.0, 0.3, "source", task))
            if place == raises_at:
                stream.exhausted = True
                raise SourceError
            stream.read.append(task)
            yield task
        stream.exhausted = True

    def _observe(self, event: Event) -> None:
        if isinstance(event, TaskFinished):
            self.use.finished[event.outcome.task] += 1

    def _disturb(self, event: Event) -> None:
        self._events += 1
        if not self._calm and self._world.happens("blocks_loop", self._name, self._events):
            loop: Any = asyncio.get_running_loop()
            loop.block(self._world.pick((0.1, 0.6, 3.0), "blocks", self._name, self._events))
        if not self._calm and self._world.happens("observer_raises", type(event).__name__):
            raise self._world.pick((ValueError, asyncio.CancelledError), "observer", type(event).__name__)

    async def _provide(self) -> Credentials:
        self._asked += 1
        world, subject = self._world, ("provider", self._asked)
        await asyncio.sleep(world.between(0.0, 0.5, *subject))
        if not self._calm and self._asked > 1:
            if world.happens("provider_cancelled", *subject):
                raise asyncio.CancelledError
            if world.happens("provider_fails", *subject):
                raise ValueError
        return Credentials(self._api.key, self._api.secret, expires_at=self._api.expires_at)
