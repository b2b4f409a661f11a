"""The queue from outside: tasks go in, each once, and anyone may look at its status. No task is taken out here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import Any, Final, NamedTuple, Self

from stopcast.background import Block
from stopcast.errors import ConfigurationError, ListError, QueueDataLostError
from stopcast.fleet.queue.failures import check_version, report_errors
from stopcast.fleet.queue.stream import Stream, connected_stream, split_address
from stopcast.tasks.checks import good_keys, why_bad
from stopcast.tasks.identities import identities_of
from stopcast.tasks.task import RawRow, RowColumns, Task

#: Tasks added in one step, which takes Redis about 2 ms.
_AT_ONCE: Final = 500
_FULL_WAIT_SECONDS: Final = 0.25


class Put(NamedTuple):
    """How many tasks of a list went into a queue."""

    new: int
    """Tasks that are in the queue now."""
    known: int
    """Tasks that had been put in before, within a day at least and two at most, and were not put in again."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker of a queue.

    Attributes:
        name: its host, its process and some random digits.
        pending: tasks that it has, and whose outcome is not acknowledged yet.
        idle_seconds: the time since its last sign of life.
    """

    name: str
    pending: int
    idle_seconds: float


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The status of a queue.

    Attributes:
        name: the queue's name.
        length: tasks in it, including those that workers have.
        pending: tasks that workers have.
        oldest_seconds: how long the oldest task has been in the queue, None if it is empty.
        dead: tasks among the dead letters, which were delivered too often.
        results: outcomes in the results stream.
        workers: the workers, including those that died and whose tasks were not taken over yet.
        claim_after_seconds: the silence after which a worker's tasks are taken over, None before the first worker.
        max_deliveries: workers that may die over a task, None before the first worker.
    """

    name: str
    length: int
    pending: int
    oldest_seconds: float | None
    dead: int
    results: int
    workers: tuple[WorkerStatus, ...]
    claim_after_seconds: float | None = None
    max_deliveries: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the status as the object that ``--json`` prints."""
        return asdict(self)


class RedisQueue:
    """A queue of tasks on Redis, for programs that put tasks in. Used as an async context manager.

    Args:
        url: ``redis://host:6379/0/NAME``, or any of ``fleet.connection.connected`` with ``?queue=NAME``.
        max_length: tasks that it may hold before ``put`` waits.
        on_full: called whenever ``put`` begins to wait.

    Attributes:
        name: the queue's name.

    Raises:
        ConfigurationError: the URL names no queue, redis-py is not installed, Redis refuses the login, or it is a
            Redis Cluster.
    """

    def __init__(self, url: str, *, max_length: int = 1_000_000, on_full: Callable[[], None] | None = None) -> None:
        _, self.name = split_address(url)
        self._url = url
        self._block = Block(type(self).__name__)
        self._stack = AsyncExitStack()
        self._stream: Stream
        self._max_length = max_length
        self._on_full = on_full

    async def __aenter__(self) -> Self:
        with self._block.entering():
            self._stream = await self._stack.enter_async_context(connected_stream(self._url))
        return self

    async def __aexit__(self, *_error: object) -> None:
        with self._block.leaving():
            await self._stack.aclose()

    async def put(
        self, tasks: Iterable[Task | tuple[str, str, str]], *, again: bool = False, in_doubt: bool = False
    ) -> Put:
        """Put tasks in, and return how many were new; wait while the queue is full.

        A task that was put in within the last day (at most two) is not put in again, unless it ended badly since then.
        So after any error the same tasks may be put in once more: none is lost, and none is doubled.

        Args:
            tasks: the tasks.
            again: put in also the tasks that were put in before. They are in doubt.
            in_doubt: whether an earlier call, of a run for example, may have stopped the tasks. "No such running task"
                then is ``presumed_stopped``.

        Raises:
            ListError: one of them is not a task; those before it may be in the queue.
            QueueDataLostError: Redis has lost the queue since the last ``put``. The tasks of the earlier calls have to
                be put in again.
            QueueError: Redis cannot be reached, has no room, or holds a queue of another version of stopcast.
        """
        self._block.check()
        new = known = 0
        rows = (RawRow(*task, line) for line, task in enumerate(tasks, start=1))
        while some := RowColumns.of(list(islice(rows, _AT_ONCE))):
            keys = good_keys(some)
            if not all(keys):
                bad = next(row for row, key in zip(some, keys, strict=True) if not key)
                raise ListError(f"task {bad.line} cannot be put in: {why_bad(bad)}")
            added = await self._add(keys, again=again, in_doubt=in_doubt)
            new += added
            known += len(keys) - added
        return Put(new, known)

    async def configure(self, *, claim_after_seconds: float | None = None, max_deliveries: int | None = None) -> None:
        """Change what all workers of the queue share; None leaves a setting as it is.

        A worker that runs adopts the change with its next sign of life, and emits ``QueueSettingsAdopted``.

        Raises:
            ConfigurationError: a value that cannot be used.
            QueueError: as for ``put``.
        """
        if not (claim_after_seconds is None or claim_after_seconds > 0) or not (
            max_deliveries is None or max_deliveries >= 1
        ):
            raise ConfigurationError("claim_after_seconds must be above 0, and max_deliveries at least 1")
        milliseconds = "" if claim_after_seconds is None else max(1, round(claim_after_seconds * 1000))
        await self._run("configure", milliseconds, "" if max_deliveries is None else max_deliveries)

    async def put_dead_letters_back(self) -> int:
        """Put all dead letters back into the queue, and return how many there were.

        Their deliveries are counted anew. They are in doubt: a call of an earlier delivery may have stopped the task.

        Raises:
            QueueError: as for ``put``.
        """
        self._block.check()
        number = 0
        while some := int(await self._run("revive", _AT_ONCE, keys=(self._stream.dead,))):
            number += some
        return number

    async def _add(self, keys: Sequence[bytes], *, again: bool, in_doubt: bool) -> int:
        """Add tasks, each given as its ids with commas between, in one step."""
        words = chain.from_iterable(zip(identities_of(keys), keys, strict=True))
        arguments: list[Any] = [self._max_length, int(again), int(in_doubt), *words]
        waits = False
        while (added := await self._run("enqueue", *arguments)) < 0:
            if self._on_full is not None and not waits:
                self._on_full()
            waits = True
            await asyncio.sleep(_FULL_WAIT_SECONDS)
        return int(added)

    async def _run(self, script: str, *arguments: Any, keys: tuple[str, ...] = ()) -> Any:
        self._block.check()
        try:
            with report_errors(self.name):
                if not self._stream.id:
                    await self._stream.open()
                return await self._stream.run(script, *arguments, keys=keys)
        except QueueDataLostError:
            # Reported once: the next call finds the new queue, or makes it.
            self._stream.close()
            raise

    async def status(self) -> QueueStatus:
        """Return the queue's status.

        Raises:
            QueueError: Redis cannot be reached, or holds a queue of another version of stopcast.
        """
        self._block.check()
        stream = self._stream
        with report_errors(self.name):
            pipeline = stream.redis.pipeline(transaction=False)
            pipeline.xlen(stream.name)
            pipeline.xrange(stream.name, count=1)
            pipeline.time()
            pipeline.xlen(stream.dead)
            pipeline.xlen(stream.results)
            pipeline.hmget(stream.state, "version", "claim_after_ms", "max_deliveries")
            length, first, (seconds, microseconds), dead, results, state = await pipeline.execute()
            version, claim_after_ms, max_deliveries = state
            check_version(self.name, version)
            workers = tuple(
                WorkerStatus(each["name"].decode(), each["pending"], each["idle"] / 1000)
                for each in await stream.consumers()
            )
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
            claim_after_seconds=None if claim_after_ms is None else int(claim_after_ms) / 1000,
            max_deliveries=None if max_deliveries is None else int(max_deliveries),
        )
