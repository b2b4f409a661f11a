"""The jobs that have no call in flight, and which of them goes next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush, heapreplace
from itertools import count
from typing import Final

from stopcast.engine.job import Job
from stopcast.engine.origin import Origin
from stopcast.tasks.outcome import Outcome

#: While fresh rows of the same priority are ready, every tenth attempt goes to a job that failed before.
_RETRY_TURN: Final = 10


class Backlog:
    """Fresh jobs, jobs that wait for their next attempt, and jobs that are due for it.

    The highest priority goes first. Origins of the same priority take turns, one job each.

    Args:
        without_call: returns the outcome of a job that no call is to be made for any more, None for one to be sent.
        on_due: is called on the event loop when jobs have become due.
    """

    def __init__(self, without_call: Callable[[Job], Outcome | None], on_due: Callable[[], None]) -> None:
        self._without_call = without_call
        self._on_due = on_due
        self._loop = asyncio.get_running_loop()
        # Heaps, the highest priority on top: origins with a fresh job in their turn, jobs that are due in theirs.
        self._fresh: list[tuple[int, int, Origin]] = []
        self._due: list[tuple[int, int, Job]] = []
        #: How many of them can have more than one job.
        self._streams = 0
        self._waiting: list[tuple[float, int, Job]] = []
        #: The jobs that failed before, of each origin, by their ids. Those of an origin that was withdrawn stay in the
        #: heaps until they come up: to search all heaps for each of very many single tasks would take minutes.
        self._retries: dict[Origin, dict[int, Job]] = {}
        self._turn = count(1)
        self._picked = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0

    def has_more_than(self, jobs: int) -> bool:
        """Return whether more jobs than this can be picked now. An origin that has just ended may count as one job."""
        # Every origin has one at least, and there may be very many origins, most of them with a single task.
        at_least = len(self._due) + len(self._fresh)
        if at_least > jobs or not self._streams:
            return at_least > jobs
        return len(self._due) + sum(len(origin.ready) for _, _, origin in self._fresh) > jobs

    @property
    def waiting(self) -> int:
        """Jobs that have failed before, and wait for their next attempt or are due for it."""
        # In one step without any of Python's: a scrape of the metrics asks from another thread.
        return sum(map(len, self._retries.values()))

    def add(self, origin: Origin) -> None:
        """Add an origin that has jobs ready, and had none."""
        self._streams += not origin.single
        heappush(self._fresh, (-origin.priority, next(self._turn), origin))

    def wait(self, job: Job, seconds: float) -> None:
        """Add a job that is due after these seconds."""
        self._keep(job)
        heappush(self._waiting, (self._loop.time() + seconds, next(self._turn), job))
        self._set_alarm()

    def put_back(self, job: Job) -> None:
        """Add a job whose call was taken back: it goes before all others of its priority."""
        self._keep(job)
        heappush(self._due, (-job.origin.priority, -next(self._turn), job))

    def _keep(self, job: Job) -> None:
        self._retries.setdefault(job.origin, {})[id(job)] = job

    def _remove(self, job: Job) -> bool:
        """Return whether a job of the heaps was not withdrawn, and remove it."""
        kept = self._retries.get(job.origin, {})
        if kept.pop(id(job), None) is None:
            return False
        if not kept:
            del self._retries[job.origin]
        return True

    def withdraw(self, origin: Origin) -> list[Job]:
        """Remove the jobs of an origin that failed before, and return them."""
        return list(self._retries.pop(origin, {}).values())

    def pick(self) -> Job | None:
        """Return the job that goes next. Retries have their turn, and otherwise what fresh jobs leave them."""
        self._picked += 1
        if self._due and self._is_retry_next():
            return self._pick_due() or self._pick_fresh()
        return self._pick_fresh() or self._pick_due()

    def close(self) -> None:
        """Let no job become due any more."""
        if self._alarm is not None:
            self._alarm.cancel()

    def _is_retry_next(self) -> bool:
        if not self._fresh:
            return True
        due, fresh = self._due[0][0], self._fresh[0][0]
        return due < fresh or (due == fresh and self._picked % _RETRY_TURN == 0)

    def _pick_due(self) -> Job | None:
        while self._due:
            job = heappop(self._due)[2]
            if self._remove(job) and not self._is_settled(job):
                return job
        return None

    def _pick_fresh(self) -> Job | None:
        while self._fresh:
            origin = self._fresh[0][2]
            job = origin.take() if origin.ready else None
            if job is None or not origin.ready:
                heappop(self._fresh)  # it has ended meanwhile, or this was its last job
                self._streams -= not origin.single
            elif len(self._fresh) > 1:
                heapreplace(self._fresh, (-origin.priority, next(self._turn), origin))
            if job is not None and not self._is_settled(job):
                return job
        return None

    def _is_settled(self, job: Job) -> bool:
        outcome = self._without_call(job)
        if outcome is None:
            return False
        job.origin.settle(outcome, job.history)
        return True

    def _set_alarm(self) -> None:
        if not self._waiting:
            return
        when = self._waiting[0][0]
        if self._alarm is not None:
            if self._alarm_at <= when:
                return
            self._alarm.cancel()
        # A timer of uvloop whose time has come does not know its time.
        self._alarm_at = when
        self._alarm = self._loop.call_at(when, self._release_due)

    def _release_due(self) -> None:
        """Make the jobs due whose waiting is over."""
        self._alarm = None
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            job = heappop(self._waiting)[2]
            heappush(self._due, (-job.origin.priority, next(self._turn), job))
        self._set_alarm()
        self._on_due()
