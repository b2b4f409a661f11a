"""Many jobs: how many calls are made at once, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from stopcast.background import check_loop
from stopcast.engine.attempts import Attempts, Interrupted, Result, Retry, Settled
from stopcast.engine.backlog import Backlog
from stopcast.engine.contracts import StreamOptions
from stopcast.engine.feed import Feed
from stopcast.engine.halting import Failures
from stopcast.engine.job import Job
from stopcast.engine.origin import Origin
from stopcast.engine.same_task import SameTask, after_call_of, shared_outcome
from stopcast.engine.single import SingleTask, SingleTasks
from stopcast.engine.slot import Interrupt
from stopcast.engine.workers import CallBounds, Workers
from stopcast.engine.working_time import WorkingTime
from stopcast.errors import ORDERED_ENDS, ClosedError, CredentialsRefusedError, StopcastError
from stopcast.events import TaskRefused
from stopcast.logs import Observers
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Task

_PAUSED: Final = "paused"


class Dispatcher:
    """Makes the attempts of all feeds and single tasks. A job that waits for its next attempt holds no worker.

    Args:
        attempts: makes the attempts.
        working_time: counts the time in which calls are paused.
        bounds: of the calls.
        may_begin: takes the number of calls that are not sent yet; returns whether another one may begin.
        failures: says when too many tasks have ended badly.
        observers: get each event.
        max_waiting: rows of one feed that may wait, for their next attempt or for their outcome to be consumed.
        deduplicate: whether two calls for one task are never made at once.

    Attributes:
        most_outstanding: rows of one feed that may be accepted and not consumed.
        error: what ended the calls, None while they go on.
        paused: whether no call is made for the time being.
    """

    def __init__(
        self,
        attempts: Attempts,
        *,
        working_time: WorkingTime,
        bounds: CallBounds,
        may_begin: Callable[[int], bool],
        max_waiting: int,
        failures: Failures | None = None,
        observers: Observers,
        deduplicate: bool = True,
    ) -> None:
        self._attempts = attempts
        self._working_time = working_time
        self._may_begin = may_begin
        self.most_outstanding = bounds.max_at_once + max_waiting
        self._failures = failures
        self._observers = observers
        self._loop = asyncio.get_running_loop()
        self._feeds: set[Feed] = set()
        self._singles = SingleTasks(
            observers,
            deliver=None if failures is None else failures.counting(lambda _: None, self.stop),
            on_end=self._on_end,
            deduplicate=deduplicate,
        )
        self._same_task = SameTask() if deduplicate else None
        self._backlog = Backlog(attempts.without_call, self._start_workers)
        self._workers = Workers(
            attempt=attempts.attempt,
            pick=self._pick,
            has_more_than=self._backlog.has_more_than,
            may_start=self._may_start,
            receive=self._receive,
            lost=self._lost,
            on_failure=self.stop,
            bounds=bounds,
        )
        self.on_admitted: Final = self._workers.on_admitted
        self._when_ended: list[Callable[[StopcastError], None]] = []
        self.error: StopcastError | None = None
        self._closing = False
        self.paused = False

    @property
    def in_flight(self) -> int:
        """Calls that were sent and have no answer yet."""
        return self._workers.in_flight

    @property
    def unsent(self) -> int:
        """Calls that connect or wait for their permit."""
        return self._workers.unsent

    @property
    def waiting(self) -> int:
        """Jobs that have failed before, and wait for their next attempt."""
        return self._backlog.waiting

    def open_feed(self, deliver: Callable[[Outcome], None], options: StreamOptions) -> Feed:
        """Open a stream of rows whose outcomes go to ``deliver``, on the event loop.

        Raises:
            ClosedError: on another event loop than this dispatcher's.
        """
        check_loop(self._loop)
        feed = Feed(
            deliver if self._failures is None else self._failures.counting(deliver, self.stop),
            most_outstanding=self.most_outstanding,
            observers=self._observers,
            options=options,
            on_ready=self._on_ready,
            on_end=self._on_end,
        )
        self._feeds.add(feed)
        if self.error is not None:
            feed.end(self.error)
        return feed

    def call(self, task: Task, *, priority: int = 0) -> SingleTask:
        """Return the call of one task: the one that other callers wait for, or a new one.

        Raises:
            ClosedError: on another event loop than this dispatcher's.
            StopcastError: what ended the calls.
        """
        check_loop(self._loop)
        if self.error is not None:
            raise self.error.with_traceback(None)
        single = self._singles.find(task, priority)
        if single.ready:
            self._on_ready(single)
        return single

    def refuse(self, outcome: Outcome) -> None:
        """Emit the event of a single value that names no task."""
        if self._observers.want_all:
            self._observers.notify(TaskRefused(outcome))

    def _on_ready(self, origin: Origin) -> None:
        self._backlog.add(origin)
        self._workers.start()

    def _on_end(self, origin: Origin) -> None:
        if origin.closed and isinstance(origin, Feed):
            self._feeds.discard(origin)
        if not origin.unsettled:
            return
        for job in self._backlog.withdraw(origin):
            origin.take_back(job)
        if self._same_task is not None:
            for job in self._same_task.withdraw(origin):
                origin.take_back(job)
        self._workers.take_back_unsent(origin)

    def stop(self, error: StopcastError) -> None:
        """Make no further call. Calls in flight finish and are delivered, and then each origin ends with ``error``.

        Rows that were not sent are taken back. Those that wait for their next attempt end as ``gave_up``.
        """
        self._closing = self._closing or isinstance(error, ORDERED_ENDS)
        first, error = self.error is None, self.error or error
        self.error = error
        self._workers.dismiss()
        for origin in (*self._feeds, *self._singles.open):
            origin.end(error)
        if first:
            # An observer of the end may open the calls again, so it comes last.
            for act in self._when_ended:
                act(error)

    def when_ended(self, act: Callable[[StopcastError], None]) -> None:
        """Call ``act`` when the calls have ended, with what ended them."""
        self._when_ended.append(act)

    @property
    def may_reopen(self) -> bool:
        """Whether what ended the calls is a refused key, and no end was asked for since."""
        return isinstance(self.error, CredentialsRefusedError) and not self._closing

    def reopen(self) -> None:
        """Make calls again, for feeds that are opened from now on. Only where ``may_reopen``."""
        check_loop(self._loop)
        self.error = None
        self._workers.recall()

    def pause(self) -> None:
        """Make no further call until ``resume``. Calls in flight finish, and those not sent yet are taken back."""
        check_loop(self._loop)
        self.paused = True
        self._working_time.pause(_PAUSED)
        self._workers.take_back_unsent()

    def resume(self) -> None:
        """Make calls again."""
        check_loop(self._loop)
        self.paused = False
        self._working_time.resume(_PAUSED)
        self._workers.start()

    async def idle(self) -> None:
        """Return when no call is in flight."""
        await self._workers.ended()

    def cancel(self) -> None:
        """Cut off the calls in flight. Call ``stop`` first."""
        self._workers.cut_off()

    async def close(self) -> None:
        """Stop, cut off what is in flight, and leave nothing behind."""
        self.stop(ClosedError("the calls were cancelled"))
        self._backlog.close()
        await self._workers.close()

    def _may_start(self, unsent: int) -> bool:
        return self.error is None and not self.paused and self._may_begin(unsent)

    def _pick(self) -> Job | None:
        pick, same_task = self._backlog.pick, self._same_task
        job = pick()
        while job is not None and same_task is not None and not same_task.begin(job):
            job = pick()
        return job

    def _lost(self, job: Job, sent_at: float | None) -> None:
        if sent_at is None:
            self._give_back(job)
        else:
            # It is not sent again, as what ended its worker is about to end the calls.
            job = self._attempts.broken_off(job, sent_at)
            job.origin.settle(job.gave_up(), job.history)
        self._release_followers(job, None)

    def _release_followers(self, job: Job, result: Result | None) -> None:
        """Let the jobs go on that waited for this job's call."""
        if self._same_task is None:
            return
        for follower in self._same_task.end(job):
            if result is not None and (outcome := shared_outcome(follower, result)) is not None:
                follower.origin.settle(outcome, result.job.history)
            else:
                self._give_back(after_call_of(job, follower))

    def _start_workers(self) -> None:
        self._workers.start()

    def _receive(self, result: Result) -> None:
        job = result.job
        try:
            if not isinstance(result, Settled):
                self._go_on(result)
                return
            job.origin.settle(result.outcome, result.calls)
            if result.error is not None:
                self.stop(result.error)
        finally:
            self._release_followers(job, result)

    def _go_on(self, result: Retry | Interrupted) -> None:
        origin = result.job.origin
        match result:
            case Retry(job, _) if job.origin.ending:  # an observer of the attempt has ended it
                origin.take_back(job)
            case Retry(job, wait_seconds):
                self._backlog.wait(job, wait_seconds)
            case Interrupted(job, Interrupt.LOST):
                origin.give_back(job)
            case Interrupted(job, Interrupt.CUT_OFF):
                origin.cut_off(job)
            case Interrupted(job, _):
                self._give_back(job)

    def _give_back(self, job: Job) -> None:
        if job.origin.ending:
            job.origin.take_back(job)
        else:
            self._backlog.put_back(job)
