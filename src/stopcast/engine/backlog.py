"""The jobs that have no call in flight, and which of them goes next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from heapq import heappop, heappush
from itertools import count
from typing import Final

from stopcast.engine.feed import Feed, Job
from stopcast.tasks.outcome import Status

#: While fresh rows of the same priority are ready, one attempt in so many goes to a job that failed before.
_RETRY_TURN: Final = 10


class Backlog:
    """Fresh jobs, jobs that wait for their next attempt, and jobs that are due for it.

    The highest priority goes first; feeds of the same priority take turns, one job each.

    Args:
        set_aside: AppIds that no call is made for: their jobs are settled when it is their turn.
        when_due: called on the event loop when jobs have become due.
    """

    def __init__(self, set_aside: Collection[str], when_due: Callable[[], None]) -> None:
        self._set_aside = set_aside
        self._when_due = when_due
        self._loop = asyncio.get_running_loop()
        # Heaps, the highest priority on top: feeds with a fresh job in their turn, jobs that are due in theirs.
        self._fresh: list[tuple[int, int, Feed]] = []
        self._due: list[tuple[int, int, Job]] = []
        self._waiting: list[tuple[float, int, Job]] = []
        self._turn = count(1)
        self._picked = 0
        self._alarm: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        """Whether there may be a job to pick."""
        return bool(self._fresh or self._due)

    @property
    def waiting(self) -> int:
        """Jobs that have failed before, and wait for their next attempt or are due for it."""
        return len(self._waiting) + len(self._due)

    def add(self, feed: Feed) -> None:
        """Take in a feed that has jobs ready, and had none."""
        heappush(self._fresh, (-feed.priority, next(self._turn), feed))

    def wait(self, job: Job, seconds: float) -> None:
        """Take in a job that is due in so many seconds."""
        heappush(self._waiting, (self._loop.time() + seconds, next(self._turn), job))
        self._set_alarm()

    def put_back(self, job: Job) -> None:
        """Take in a job whose call was taken back: it goes before all others of its priority."""
        heappush(self._due, (-job.feed.priority, -next(self._turn), job))

    def pick(self) -> Job | None:
        """Return the job that goes next. Retries have their turn, and otherwise what fresh jobs leave them."""
        self._picked += 1
        if self._is_retry_next():
            return self._pick_due() or self._pick_fresh()
        return self._pick_fresh() or self._pick_due()

    def close(self) -> None:
        """Let no job become due any more."""
        if self._alarm is not None:
            self._alarm.cancel()

    def _is_retry_next(self) -> bool:
        if not self._due or not self._fresh:
            return bool(self._due)
        due, fresh = self._due[0][0], self._fresh[0][0]
        return due < fresh or (due == fresh and self._picked % _RETRY_TURN == 0)

    def _pick_due(self) -> Job | None:
        while self._due:
            job = heappop(self._due)[2]
            if not job.feed.closed:
                return job
        return None

    def _pick_fresh(self) -> Job | None:
        fresh, set_aside = self._fresh, self._set_aside
        while fresh:
            feed = heappop(fresh)[2]
            if feed.closed:
                continue
            job = feed.take()
            if feed.ready:
                self.add(feed)
            if job.task.app_id not in set_aside:
                return job
            feed.settle(job.outcome(Status.SET_ASIDE))
        return None

    def _set_alarm(self) -> None:
        if not self._waiting:
            return
        when = self._waiting[0][0]
        if self._alarm is not None:
            if self._alarm.when() <= when:
                return
            self._alarm.cancel()
        self._alarm = self._loop.call_at(when, self._ripen)

    def _ripen(self) -> None:
        """Make the jobs due whose waiting is over."""
        self._alarm = None
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            job = heappop(self._waiting)[2]
            heappush(self._due, (-job.feed.priority, next(self._turn), job))
        self._set_alarm()
        self._when_due()
