"""The queue from outside: tasks go in, each once, and anybody may look at how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from itertools import chain, islice
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from stopcast.errors import ListError
from stopcast.fleet.queue.stream import (
    GROUP,
    IDENTITIES_SECONDS,
    Stream,
    connected_stream,
    split_address,
    telling_errors,
)
from stopcast.tasks.checks import good_keys, why_bad
from stopcast.tasks.identities import identities_of
from stopcast.tasks.task import RawRow, RowColumns, Task

#: Tasks added in one step, which takes Redis about 2 ms.
_AT_ONCE: Final = 500
_FULL_WAIT_SECONDS: Final = 0.25


class Put(NamedTuple):
    """What became of tasks that were put into a queue."""

    new: int
    """Tasks that are in the queue now."""
    known: int
    """Tasks that had been put in before, within a day at least and two at most, and were not put in again."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker of a queue.

    Attributes:
        name: its host, process and a few letters of chance.
        pending: tasks that it has and whose outcome is not acknowledged yet.
        idle_seconds: since its last sign of life.
    """

    name: str
    pending: int
    idle_seconds: float


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """How a queue stands.

    Attributes:
        name: of the queue.
        length: tasks in it, those that workers have included.
        pending: tasks that workers have.
        oldest_seconds: how long the oldest of them has been there, None if there is none.
        dead: tasks among the dead letters, which were delivered too often.
        results: outcomes in the results stream.
        workers: who takes tasks from it, and who did and has not been given up yet.
    """

    name: str
    length: int
    pending: int
    oldest_seconds: float | None
    dead: int
    results: int
    workers: tuple[WorkerStatus, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the status as the object that ``--json`` prints."""
        return asdict(self)


class RedisQueue:
    """A queue of tasks on Redis, for those that put tasks in. Used as an async context manager.

    Args:
        url: ``redis://host:6379/0/NAME``, or any that ``stopcast.redis_connection`` knows with ``?queue=NAME``.
        max_length: tasks that it may hold before whoever puts more in has to wait.
        on_full: told whenever that waiting begins.

    Attributes:
        name: the queue's.

    Raises:
        ConfigurationError: no such URL, or redis-py is not installed.
    """

    def __init__(self, url: str, *, max_length: int = 1_000_000, on_full: Callable[[], None] | None = None) -> None:
        _, self.name = split_address(url)
        self._url = url
        self._stack = AsyncExitStack()
        self._stream: Stream
        self._max_length = max_length
        self._on_full = on_full

    async def __aenter__(self) -> Self:
        self._stream = await self._stack.enter_async_context(connected_stream(self._url))
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def put(self, tasks: Iterable[Task | tuple[str, str, str]], *, again: bool = False) -> Put:
        """Put tasks in, and return how many were new; wait while the queue is full.

        A task that was put in within the last day (at most two) is not put in again, unless it ended badly meanwhile.
        So after an error, whatever it was, the same tasks may be put in once more: none is lost and none doubled.

        Args:
            tasks: to be stopped.
            again: put in those as well that were put in before.

        Raises:
            ListError: one of them is no task; those before it may be in the queue.
            QueueError: Redis cannot be reached, or has no room.
        """
        new = known = 0
        rows = (RawRow(*task, line) for line, task in enumerate(tasks, start=1))
        while some := RowColumns.of(list(islice(rows, _AT_ONCE))):
            keys = good_keys(some)
            if not all(keys):
                bad = next(row for row, key in zip(some, keys, strict=True) if not key)
                raise ListError(f"task {bad.line} names none: {why_bad(bad)}")
            added = await self._add(keys, again=again)
            new += added
            known += len(keys) - added
        return Put(new, known)

    async def _add(self, keys: Sequence[bytes], *, again: bool) -> int:
        """Add tasks, each given as its ids with commas between, in one step."""
        settings = [self._stream.seen, IDENTITIES_SECONDS, self._max_length, int(again)]
        words = chain.from_iterable(zip(identities_of(keys), keys, strict=True))
        arguments: list[Any] = [*settings, *words]
        told = False
        while True:
            with telling_errors():
                added: int = await self._stream.enqueue(keys=[self._stream.name], args=arguments)
            if added >= 0:
                return added
            if self._on_full is not None and not told:
                self._on_full()
                told = True
            await asyncio.sleep(_FULL_WAIT_SECONDS)

    async def status(self) -> QueueStatus:
        """Return how the queue stands.

        Raises:
            QueueError: Redis cannot be reached.
        """
        stream = self._stream
        with telling_errors():
            pipeline = stream.redis.pipeline(transaction=False)
            pipeline.xlen(stream.name)
            pipeline.xrange(stream.name, count=1)
            pipeline.time()
            pipeline.xlen(stream.dead)
            pipeline.xlen(stream.results)
            length, first, (seconds, microseconds), dead, results = await pipeline.execute()
            workers = await self._workers()
        oldest = None
        if first:
            added_ms = int(first[0][0].partition(b"-")[0])
            oldest = max(0.0, seconds + microseconds / 1e6 - added_ms / 1000)
        return QueueStatus(
            name=stream.name,
            length=length,
            pending=sum(worker.pending for worker in workers),
            oldest_seconds=oldest,
            dead=dead,
            results=results,
            workers=workers,
        )

    async def _workers(self) -> tuple[WorkerStatus, ...]:
        from redis import ResponseError  # noqa: PLC0415 - slow to import

        try:
            consumers = await self._stream.redis.xinfo_consumers(self._stream.name, GROUP)
        except ResponseError as error:
            if str(error).startswith(("NOGROUP", "ERR no such key", "no such key")):
                return ()
            raise
        return tuple(WorkerStatus(it["name"].decode(), it["pending"], it["idle"] / 1000) for it in consumers)
