"""Many tasks: how many calls at once, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from stopcast.engine.attempts import Attempts
from stopcast.engine.backlog import Backlog
from stopcast.engine.call import Slot
from stopcast.engine.feed import Feed, Job
from stopcast.engine.halting import Failures
from stopcast.errors import ClosedError, StopcastError
from stopcast.events import Event
from stopcast.ports import Flights
from stopcast.tasks.outcome import Outcome


class Dispatcher:
    """Runs the attempts of all feeds through a bounded number of workers.

    A worker makes one attempt after another and ends when none is to be made. A job that waits for its next attempt
    holds no worker. Workers that have not got their permit yet are bounded apart from those in flight, so that calls do
    not queue at the limiter with a connection and an ageing signature each.

    Args:
        attempts: makes the attempts.
        make_slot: makes a worker's slot; its argument is told when the slot's call was admitted.
        max_at_once: calls in flight.
        max_before_wire: calls that connect or wait for their permit.
        stagger_seconds: between two new workers, and so between two new connections.
        failures: says when too many tasks have ended badly.
        observe: is told what happens.
        observed: whether it wants to be told of each attempt and each task.
        max_waiting: tasks of one feed that may wait, for their next attempt or for their outcome to be taken.

    Attributes:
        most_outstanding: tasks of one feed that were taken and whose outcome was not.
    """

    def __init__(
        self,
        attempts: Attempts,
        make_slot: Callable[[Callable[[], None]], Slot],
        *,
        max_at_once: int,
        max_before_wire: int,
        max_waiting: int,
        stagger_seconds: float,
        failures: Failures | None = None,
        observe: Callable[[Event], None],
        observed: bool,
    ) -> None:
        self._attempts = attempts
        self._make_slot = make_slot
        self._max_at_once = max_at_once
        self._max_before_wire = max_before_wire
        #: The same, and 0 while paused.
        self._room_before_wire = max_before_wire
        self.most_outstanding = max_at_once + max_waiting
        self._stagger_seconds = stagger_seconds
        self._failures = failures
        self._observe = observe
        self._observed = observed
        self._loop = asyncio.get_running_loop()
        self._feeds: set[Feed] = set()
        self._no_feed = asyncio.Event()
        self._no_feed.set()
        self._backlog = Backlog(attempts.guard.set_aside, self.stir)
        self._workers: dict[asyncio.Task[None], Slot] = {}
        self._before_wire = 0
        self._next_worker_at = 0.0
        self._stagger: asyncio.TimerHandle | None = None
        self._stopped: StopcastError | None = None

    @property
    def error(self) -> StopcastError | None:
        """What ended the calls, None while they go on."""
        return self._stopped

    @property
    def in_flight(self) -> int:
        """Calls that were sent and have no answer yet."""
        return len(self._workers) - self._before_wire

    @property
    def waiting(self) -> int:
        """Jobs that have failed before, and wait for their next attempt."""
        return self._backlog.waiting

    def open_feed(
        self, deliver: Callable[[Outcome], None], *, priority: int = 0, flights: Flights | None = None
    ) -> Feed:
        """Open a stream of jobs whose outcomes go to ``deliver``, on the event loop.

        Raises:
            ClosedError: on another event loop than this dispatcher's.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise ClosedError("this was opened on another event loop; make one for each loop")
        feed = Feed(
            self._counted(deliver),
            most_outstanding=self.most_outstanding,
            priority=priority,
            observe=self._observe,
            observed=self._observed,
            flights=flights,
        )
        if self._stopped is not None:
            feed.fail(self._stopped)
        self._feeds.add(feed)
        self._no_feed.clear()
        return feed

    def _counted(self, deliver: Callable[[Outcome], None]) -> Callable[[Outcome], None]:
        if (failures := self._failures) is None:
            return deliver

        def deliver_and_count(outcome: Outcome) -> None:
            deliver(outcome)
            if (error := failures.count(outcome)) is not None:
                self.stop(error)

        return deliver_and_count

    def close_feed(self, feed: Feed) -> None:
        """Drop what the feed has not sent."""
        feed.close()
        self._feeds.discard(feed)
        if not self._feeds:
            self._no_feed.set()

    def submit(self, feed: Feed, jobs: Iterable[Job]) -> None:
        """Take jobs in; their outcomes reach the feed."""
        was_empty = not feed.ready
        for job in jobs:
            feed.put(job)
        if was_empty and feed.ready:
            self._backlog.add(feed)
        self.stir()

    def stop(self, error: StopcastError) -> None:
        """Send no further call. Calls in flight finish; whoever waits on a feed gets ``error``."""
        if self._stopped is None:
            self._stopped = error
        self._cancel_unsent()
        for feed in self._feeds:
            feed.fail(self._stopped)

    @property
    def paused(self) -> bool:
        """Whether no further call is sent for the time being."""
        return not self._room_before_wire

    def pause(self) -> None:
        """Send no further call until ``resume``. Calls in flight finish.

        Calls that wait for their permit are taken back, for they are signed, and a signature does not live for ever.
        """
        self._room_before_wire = 0
        self._cancel_unsent()

    def resume(self) -> None:
        """Send calls again."""
        self._room_before_wire = self._max_before_wire
        self.stir()

    def _cancel_unsent(self) -> None:
        for worker, slot in self._workers.items():
            if not slot.sent:
                worker.cancel()

    async def drained(self) -> None:
        """Return when every feed has been closed by whoever opened it."""
        await self._no_feed.wait()

    async def idle(self) -> None:
        """Return when no call is in flight."""
        while self._workers:
            await asyncio.wait(self._workers)

    def cancel(self) -> None:
        """Cut the calls in flight off. Begin no further one: call ``stop`` first."""
        for worker in self._workers:
            worker.cancel()

    async def close(self) -> None:
        """Stop, cancel what is in flight, and leave nothing behind."""
        self.stop(ClosedError("the calls were cancelled"))
        self._backlog.close()
        if self._stagger is not None:
            self._stagger.cancel()
        self.cancel()
        await self.idle()

    def stir(self) -> None:
        """Set another worker to work, if there is work for it and room."""
        if self._stagger is not None or not self._may_start() or len(self._workers) >= self._max_at_once:
            return
        if not self._backlog:
            return
        now = self._loop.time()
        if now < self._next_worker_at:
            self._stagger = self._loop.call_at(self._next_worker_at, self._end_stagger)
            return
        self._next_worker_at = now + self._stagger_seconds
        slot = self._make_slot(self._admitted)
        worker = self._loop.create_task(self._work(slot))
        self._workers[worker] = slot
        worker.add_done_callback(self._worker_ended)
        if self._stagger_seconds:
            self._stagger = self._loop.call_at(self._next_worker_at, self._end_stagger)
        else:
            self.stir()

    def _end_stagger(self) -> None:
        self._stagger = None
        self.stir()

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        del self._workers[worker]
        if not worker.cancelled() and (error := worker.exception()) is not None:
            self.stop(error if isinstance(error, StopcastError) else StopcastError(f"internal error: {error!r}"))
        self.stir()

    def _may_start(self) -> bool:
        return self._stopped is None and self._before_wire < self._room_before_wire

    def _admitted(self) -> None:
        self._before_wire -= 1
        if self._stagger is None:
            self.stir()

    async def _work(self, slot: Slot) -> None:
        attempt = self._attempts.attempt
        with slot:
            while self._may_start() and (job := self._backlog.pick()) is not None:
                self._before_wire += 1
                try:
                    result = await attempt(job, slot)
                except asyncio.CancelledError:
                    if self.paused and not slot.sent:
                        self._backlog.put_back(job)
                    raise
                finally:
                    if slot.admitted_at is None:
                        self._before_wire -= 1
                if isinstance(result, Outcome):
                    job.feed.settle(result, job.history)
                else:
                    self._backlog.wait(job, result)
