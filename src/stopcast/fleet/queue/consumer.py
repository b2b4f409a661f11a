"""The queue from a worker's side: a source of tasks that are delivered again until their outcome is durable.

Rows come out: new entries of the stream, and entries of workers that died. Acknowledgements go in, once outcomes are
durable. While Redis does not answer, all of this waits and nothing is lost: the worker's tasks are its own until
another worker may take it for dead. From then on no call is made for them before Redis has confirmed whose they are.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Final, Self

from stopcast.background import END_WITHIN_SECONDS, Block, Supervisor, end_task, finish_task
from stopcast.errors import BackgroundTaskError, ConfigurationError, QueueDataLostError, StopcastError
from stopcast.events import QueueLost
from stopcast.fleet.connection import words_of
from stopcast.fleet.queue.deliveries import Entry, WorkerDeliveries, lease_clock
from stopcast.fleet.queue.endings import sift
from stopcast.fleet.queue.failures import Availability, permanent, report_errors
from stopcast.fleet.queue.member import Member, new_name
from stopcast.fleet.queue.stream import Settings, Stream, connected_stream, split_address
from stopcast.fleet.queue.tending import Tending
from stopcast.logs import Observers
from stopcast.ports import Observer
from stopcast.tasks.identities import Identities
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Batch, Task

_CLOSE_SECONDS: Final = 10.0
#: No request waits longer for new entries, so that a worker can end.
_READ_WAIT_SECONDS: Final = 0.5


class RedisConsumer:
    """Takes tasks out of a queue. Used as an async context manager, and given to one ``Stopper.stop_all``.

        async for outcome in stopper.stop_all(consumer):
            await keep(outcome)
            consumer.ack([outcome])

    A task is the worker's own while the worker lives, however long it takes, and stays in the queue until it is
    acknowledged. Leaving the block hands back the tasks without an outcome. The tasks of a worker that died go to
    another worker, in doubt: "no such running task" then is ``presumed_stopped``.

    A worker that was cut off from Redis or stood still makes no call for its tasks until Redis has confirmed that they
    are still its own. It drops those that another worker took over. The others are in doubt from then on, because Redis
    may have lost that another worker had them.

    Args:
        url: ``redis://host:6379/0/NAME``, or any of ``fleet.connection.connected`` with ``?queue=NAME``.
        claim_after_seconds: the silence after which a worker is taken for dead. The first worker of a queue decides
            for all: another one whose settings differ adopts those in Redis and emits ``QueueSettingsAdopted``.
        max_deliveries: workers that may die over a task before it goes to the dead letters. Decided likewise.
        results: whether each outcome is also appended to the results stream, in the same step as it is acknowledged.
        until_empty: whether the tasks end when the queue is empty, including the tasks of other workers.
        observers: functions of an event: ``QueueLost``, ``QueueFound``, ``QueueSettingsAdopted``, ``QueueOldWorker``,
            ``DeadLettered``.
        clock: seconds that go on while the machine sleeps.

    Attributes:
        queue: the queue's name.
        name: the worker's name, as ``stopcast status`` prints it. A process that is forked has another one once it has
            entered the block.
        handed_back: after the end, how many tasks were handed back.
        left: after the end, how many tasks could not be acknowledged or handed back, because Redis was away.

    Raises:
        ConfigurationError: a setting that cannot be used, redis-py is not installed, Redis refuses the login, or it is
            a Redis Cluster.
        QueueDataLostError: the queue's tasks are gone from Redis.
        QueueError: the queue cannot be reached or used, or belongs to another version of stopcast.
    """

    def __init__(
        self,
        url: str,
        *,
        claim_after_seconds: float = 60.0,
        max_deliveries: int = 10,
        results: bool = False,
        until_empty: bool = False,
        observers: Sequence[Observer] = (),
        clock: Callable[[], float] = lease_clock,
    ) -> None:
        if not claim_after_seconds > 0 or max_deliveries < 1:
            raise ConfigurationError("claim_after_seconds must be above 0, and max_deliveries at least 1")
        _, self.queue = split_address(url)
        self._url = url
        self.name = new_name()
        self.left = self.handed_back = 0
        self._own = Settings(claim_after_seconds, max_deliveries)
        self._results = results
        self._until_empty = until_empty
        self._emit = Observers(observers).notify
        self._clock = clock
        self._deliveries = WorkerDeliveries(self.queue, clock)
        self.begin, self.end = self._deliveries.begin, self._deliveries.end
        self.still_ours, self.in_doubt = self._deliveries.still_ours, self._deliveries.in_doubt
        self._block = Block(type(self).__name__, again=False)
        self._stack = AsyncExitStack()
        self._stream: Stream
        self._member: Member
        self._availability: Availability
        self._tending: Tending
        self._tending_task: asyncio.Task[object]
        self._background = Supervisor(self._fail)
        self._asking: asyncio.Task[tuple[list[Entry], float]] | None = None
        self._unsifted: tuple[list[Entry], float] | None = None
        self._ending = False
        self._error: StopcastError | None = None
        self._raised = False
        self._left_because = "no answer in time"

    async def __aenter__(self) -> Self:
        with self._block.entering():
            await self._enter()
        return self

    async def _enter(self) -> None:
        if f"-{os.getpid()}-" not in self.name:
            # This process was forked from the one that made this, and another may have been.
            self.name = new_name()
        async with AsyncExitStack() as stack:
            availability = self._availability = Availability(self.queue, self._emit)
            connecting = connected_stream(self._url, on_connect=availability.on_connect)
            stream = self._stream = await stack.enter_async_context(connecting)
            self._member = Member(stream, self.name)
            with report_errors(self.queue):
                # First, so that a worker that is refused does not decide the settings.
                await self._member.refuse_old_workers(self._own.claim_after_seconds)
                agreed = await stream.join(self._own, appends_to=[stream.dead, *([stream.results] * self._results)])
            self._stack = stack.pop_all()
        self._tending = Tending(
            self._member,
            self._deliveries,
            self._availability,
            own=self._own,
            agreed=agreed,
            results=stream.results if self._results else "",
            clock=self._clock,
            emit=self._emit,
        )
        self._tending_task = self._background.start(
            self._tending.run(), name="the signs of life of the queue's worker", may_return=True
        )

    async def __aexit__(self, exc_type: type[BaseException] | None, *_error: object) -> None:
        with self._block.leaving():
            await self._leave(END_WITHIN_SECONDS if exc_type else _CLOSE_SECONDS)
        if exc_type is None:
            self._raise_failure()

    async def _leave(self, within_seconds: float) -> None:
        self._ending = True
        self._tending.close()
        self._availability.close()
        self.left = len(self._deliveries.ids)
        try:
            await finish_task(asyncio.create_task(self._close()), within_seconds=within_seconds)
        finally:
            try:
                await self._background.end()
            finally:
                await finish_task(asyncio.create_task(self._disconnect()), within_seconds=END_WITHIN_SECONDS)

    async def _close(self) -> None:
        """Let what goes on come to its end, acknowledge what is durable, and hand back the rest."""
        # Not cancelled: an answer that is on its way brings entries that are ours.
        await asyncio.wait([self._tending_task, *filter(None, [self._asking])])
        try:
            try:
                await self._hand_back()
            except self._availability.errors as error:
                if permanent(error, self.queue) is not None:
                    raise
                # A connection that broke is made anew, and that Redis has lost its last writes is an error once.
                await self._hand_back()
            self.left = 0
        except (StopcastError, *self._availability.errors) as error:
            if isinstance(permanent(error, self.queue), QueueDataLostError):
                self.left = 0
            self._left_because = words_of(error)

    async def _hand_back(self) -> None:
        await self._tending.keep()
        try:
            await self._tending.settle_acked()
        except self._availability.errors as error:
            # Outcomes that can never be appended: their tasks go back into the queue, in doubt.
            if permanent(error, self.queue) is None:
                raise
        self.handed_back += await self._member.hand_back(self._deliveries.fields_back)

    async def _disconnect(self) -> None:
        if self._asking is not None:
            await end_task(self._asking)
        await self._stack.aclose()
        if self.left:
            self._emit(QueueLost(self._left_because))

    def stop(self) -> None:
        """Take no further task. The tasks that were taken are worked on to their end."""
        self._ending = True

    def ack(self, outcomes: Iterable[Outcome]) -> None:
        """Record that these outcomes are durable: their tasks leave the queue soon, and for good."""
        self._deliveries.ack(outcomes)
        self._tending.wake()

    def give_back(self, tasks: Iterable[Task]) -> None:
        """Take back tasks for which no call was made, and ask Redis at once whose they are."""
        self._deliveries.give_back(tasks)
        self._tending.wake(confirm=True)

    def __aiter__(self) -> AsyncIterator[Batch]:
        return self.take()

    async def take(self, *, settled: Container[bytes] | Identities = frozenset()) -> AsyncGenerator[Batch, None]:
        """Yield tasks as they come, until the end.

        Args:
            settled: identities of tasks whose outcome was durable before this worker began. A delivery of such a task
                was not acknowledged then; it is acknowledged now, and not worked on again.

        Raises:
            QueueDataLostError: the queue's tasks are gone from Redis.
            QueueError: the queue cannot be used any more.
        """
        self._block.check()
        try:
            while not self._ending:
                self._raise_failure()
                try:
                    entries, ours_until = self._unsifted = self._unsifted or await self._next_entries()
                    left = await self._sift(entries, settled)
                    ended = self._until_empty and not entries and await self._member.is_empty()
                    # This comes last, because a row that is taken here and not yielded would be lost.
                    batch = self._deliveries.take(left, ours_until=ours_until)
                    self._unsifted = None
                    self._tending.succeeded("reading")
                except self._availability.errors as error:
                    await self._availability.failed("reading", error)
                    continue
                if batch.rows or batch.broken:
                    yield batch
                if ended:
                    break
            self._raise_failure()
        except StopcastError:
            self._raised = True
            raise

    def _raise_failure(self) -> None:
        if self._error is not None and not self._raised:
            raise self._error

    def _fail(self, error: BackgroundTaskError) -> None:
        cause = error.__cause__
        self._error = cause if isinstance(cause, StopcastError) else error

    async def _next_entries(self) -> tuple[list[Entry], float]:
        # The entries of an answer are ours. If a caller is cancelled, the next caller gets them.
        self._asking = self._asking or asyncio.create_task(self._ask(), name="reading from the queue")
        await asyncio.wait([self._asking])
        asked, self._asking = self._asking, None
        return asked.result()

    async def _ask(self) -> tuple[list[Entry], float]:
        await self._tending.before_reading()
        self._deliveries.begin_request()
        ours_until, claim_after = self._tending.ours_until(), self._tending.settings.claim_after_seconds
        if self._tending.may_claim:
            entries, complete = await self._member.claim(claim_after)
            if complete:
                await self._tending.claimed_all()
            if entries:
                return entries, ours_until
        return await self._member.read(wait_seconds=min(_READ_WAIT_SECONDS, claim_after / 8)), ours_until

    async def _sift(self, entries: list[Entry], settled: Container[bytes] | Identities) -> list[Entry]:
        """Return the entries to work on, and deal with the others."""
        sifted = sift(entries, settled, max_deliveries=self._tending.settings.max_deliveries)
        # This comes first, because what follows emits events.
        left = await self._member.with_doubts(sifted.left)
        if sifted.settled:
            await self._member.settle(sifted.settled)
        if sifted.dead:
            await self._member.settle(sifted.dead, elsewhere=self._stream.dead)
            for letter in sifted.letters:
                self._emit(letter)
        return left
