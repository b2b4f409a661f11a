"""Many jobs: how many calls are made at once, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from stopcast.background import end_task
from stopcast.engine.attempts import Attempts, Interrupted, Result, Retry, Settled
from stopcast.engine.backlog import Backlog
from stopcast.engine.feed import Feed
from stopcast.engine.halting import Failures
from stopcast.engine.job import Job, make_jobs
from stopcast.engine.slot import Interrupt, Slot
from stopcast.engine.working_time import WorkingTime
from stopcast.errors import BackgroundTaskError, ClosedError, StopcastError
from stopcast.events import Event
from stopcast.ports import Flights, Ownership
from stopcast.tasks.outcome import Outcome

_PAUSED: Final = "paused"
#: For a worker whose call was cut off: closing a TLS connection takes a few turns of the loop.
_PATIENCE_SECONDS: Final = 0.2


class Dispatcher:
    """Makes the attempts of all feeds, with a bounded number of workers.

    A worker makes one attempt after another, and ends when there is none to make. A job that waits for its next attempt
    holds no worker. Calls that are not sent yet are bounded apart from those in flight, so that they do not queue at
    the limiter with a connection each.

    Args:
        attempts: makes the attempts.
        working_time: counts the time in which calls are paused.
        timeout_seconds: for one call.
        max_at_once: calls in flight.
        max_unsent: returns how many calls may connect or wait for their permit.
        stagger_seconds: between two new workers, and so between two new connections.
        one_at_a_time: returns whether no call may begin while another one is being made.
        failures: says when too many tasks have ended badly.
        observe: is called with each event.
        observed: whether to make an event of each attempt and each task that goes well.
        max_waiting: rows of one feed that may wait, for their next attempt or for their outcome to be consumed.

    Attributes:
        most_outstanding: rows of one feed that may be taken in and not consumed.
        error: what ended the calls, None while they go on.
        paused: whether no call is made for the time being.
    """

    def __init__(
        self,
        attempts: Attempts,
        *,
        working_time: WorkingTime,
        timeout_seconds: float,
        max_at_once: int,
        max_unsent: Callable[[], int],
        max_waiting: int,
        stagger_seconds: float,
        one_at_a_time: Callable[[], bool],
        failures: Failures | None = None,
        observe: Callable[[Event], None],
        observed: bool,
    ) -> None:
        self._attempts = attempts
        self._working_time = working_time
        self._timeout_seconds = timeout_seconds
        self._max_at_once = max_at_once
        self._max_unsent = max_unsent
        self.most_outstanding = max_at_once + max_waiting
        self._stagger_seconds = stagger_seconds
        self._one_at_a_time = one_at_a_time
        self._failures = failures
        self._observe = observe
        self._observed = observed
        self._loop = asyncio.get_running_loop()
        self._feeds: set[Feed] = set()
        self._backlog = Backlog(attempts.without_call, self._start_workers)
        self._workers: dict[asyncio.Task[None], Slot] = {}
        #: Workers that were started and have not looked for a job yet.
        self._starting = 0
        self._unsent = 0
        self._next_worker_at = 0.0
        self._stagger: asyncio.TimerHandle | None = None
        self._when_ended: list[Callable[[StopcastError], None]] = []
        self.error: StopcastError | None = None
        self.paused = False

    @property
    def in_flight(self) -> int:
        """Calls that were sent and have no answer yet."""
        return sum(slot.sent and slot.job is not None for slot in self._workers.values())

    @property
    def waiting(self) -> int:
        """Jobs that have failed before, and wait for their next attempt."""
        return self._backlog.waiting

    def open_feed(
        self,
        deliver: Callable[[Outcome], None],
        *,
        priority: int = 0,
        flights: Flights | None = None,
        ownership: Ownership | None = None,
    ) -> Feed:
        """Open a stream of rows whose outcomes go to ``deliver``, on the event loop.

        Raises:
            ClosedError: on another event loop than this dispatcher's.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise ClosedError("this was opened on another event loop; make one for each loop")
        feed = Feed(
            deliver if self._failures is None else self._failures.counting(deliver, self.stop),
            most_outstanding=self.most_outstanding,
            priority=priority,
            observe=self._observe,
            observed=self._observed,
            flights=flights,
            ownership=ownership,
            make_jobs=make_jobs,
            on_ready=self._on_ready,
            on_end=self._on_end,
        )
        self._feeds.add(feed)
        if self.error is not None:
            feed.end(self.error)
        return feed

    def _on_ready(self, feed: Feed) -> None:
        self._backlog.add(feed)
        self._start_workers()

    def _on_end(self, feed: Feed) -> None:
        if feed.closed:
            self._feeds.discard(feed)
        if not feed.unsettled:
            return
        for job in self._backlog.withdraw(feed):
            feed.take_back(job)
        self._take_back_unsent(feed)

    def _take_back_unsent(self, feed: Feed | None = None) -> None:
        for slot in self._workers.values():
            if slot.job is not None and not slot.sent and feed in {None, slot.job.feed}:
                slot.interrupt(Interrupt.TAKEN_BACK)

    def stop(self, error: StopcastError) -> None:
        """Make no further call. Calls in flight finish and are handed out, and then each feed ends with ``error``.

        Rows that were not sent are taken back. Those that wait for their next attempt end as ``gave_up``.
        """
        if self.error is None:
            self.error = error
            for act in self._when_ended:
                act(error)
        for feed in tuple(self._feeds):
            feed.end(self.error)

    def when_ended(self, act: Callable[[StopcastError], None]) -> None:
        """Call ``act`` when the calls have ended, with what ended them."""
        self._when_ended.append(act)

    def reopen(self) -> None:
        """Make calls again, for feeds that are opened from now on."""
        self.error = None

    def pause(self) -> None:
        """Make no further call until ``resume``. Calls in flight finish, and those not sent yet are taken back."""
        self.paused = True
        self._working_time.pause(_PAUSED)
        self._take_back_unsent()

    def resume(self) -> None:
        """Make calls again."""
        self.paused = False
        self._working_time.resume(_PAUSED)
        self._start_workers()

    async def idle(self) -> None:
        """Return when no call is in flight."""
        while self._workers:
            await asyncio.wait(self._workers)

    def cancel(self) -> None:
        """Cut off the calls in flight. Call ``stop`` first."""
        for slot in self._workers.values():
            slot.interrupt(Interrupt.CUT_OFF if slot.sent else Interrupt.TAKEN_BACK)

    async def close(self) -> None:
        """Stop, cut off what is in flight, and leave nothing behind."""
        self.stop(ClosedError("the calls were cancelled"))
        self._backlog.close()
        if self._stagger is not None:
            self._stagger.cancel()
        self.cancel()
        # The mark and one cancellation are enough, unless something on the way swallowed it.
        await asyncio.gather(*(end_task(worker, patience_seconds=_PATIENCE_SECONDS) for worker in self._workers))

    def _start_workers(self) -> None:
        """Start as many workers as there are jobs for them, and room."""
        while (
            self._stagger is None
            and self._may_start()
            and len(self._workers) + self._starting < self._max_at_once
            and self._backlog.has_more_than(self._starting)
        ):
            now = self._loop.time()
            if now < self._next_worker_at:
                self._stagger = self._loop.call_at(self._next_worker_at, self._end_stagger)
                return
            self._next_worker_at = now + self._stagger_seconds
            self._starting += 1
            # It registers itself: an eager task factory runs its first step at once.
            self._loop.create_task(self._work(), name="stopcast worker").add_done_callback(self._on_worker_end)

    def _end_stagger(self) -> None:
        self._stagger = None
        self._start_workers()

    def _on_worker_end(self, worker: asyncio.Task[None]) -> None:
        if self._workers.pop(worker, None) is None:
            self._starting -= 1  # it was cancelled before its first step
        error = None if worker.cancelled() else worker.exception()
        if error is not None:
            self.stop(error if isinstance(error, StopcastError) else _unexpected(error))
        self._start_workers()

    def _may_start(self) -> bool:
        unsent = self._unsent + self._starting
        if self.error is not None or self.paused or unsent >= self._max_unsent():
            return False
        return not (self._one_at_a_time() and (unsent or self.in_flight))

    def on_admitted(self) -> None:
        """Start another worker: a call has gone out, and left its place among those not sent."""
        self._unsent -= 1
        self._start_workers()

    async def _work(self) -> None:
        slot = Slot(self._timeout_seconds)
        worker = asyncio.current_task()
        assert worker is not None, "a worker is a task"  # noqa: S101 - an invariant
        self._starting -= 1
        self._workers[worker] = slot
        try:
            while self._may_start() and (job := self._backlog.pick()) is not None:
                self._unsent += 1
                try:
                    result = await self._attempts.attempt(job, slot)
                except BaseException:
                    # The row is not lost with the worker. The worker's end stops the run, with the cause.
                    self._give_back(job)
                    raise
                finally:
                    if not slot.sent:
                        self._unsent -= 1
                self._receive(result)
        finally:
            slot.close()

    def _receive(self, result: Result) -> None:
        feed = result.job.feed
        match result:
            case Settled(_, outcome, calls, error):
                feed.settle(outcome, calls)
                if error is not None:
                    self.stop(error)
            case Retry(job, wait_seconds):
                self._backlog.wait(job, wait_seconds)
            case Interrupted(job, Interrupt.LOST):
                feed.give_back(job)
            case Interrupted(job, Interrupt.CUT_OFF):
                feed.cut_off(job)
            case Interrupted(job, Interrupt.CANCELLED):
                self._give_back(job)
                raise asyncio.CancelledError
            case Interrupted(job, _):
                self._give_back(job)

    def _give_back(self, job: Job) -> None:
        if job.feed.ending:
            job.feed.take_back(job)
        else:
            self._backlog.put_back(job)


def _unexpected(error: BaseException) -> BackgroundTaskError:
    unexpected = BackgroundTaskError(f"unexpected error: {type(error).__name__}: {error}")
    unexpected.__cause__ = error
    return unexpected
