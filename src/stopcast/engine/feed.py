"""One stream of jobs through a dispatcher: what waits for its first attempt, how much is out, and how it ends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from stopcast.engine.contracts import StreamOptions
from stopcast.engine.job import Job, jobs_of
from stopcast.engine.origin import Origin
from stopcast.events import TaskRefused
from stopcast.logs import Observers
from stopcast.tasks.outcome import Outcome

if TYPE_CHECKING:
    from stopcast.tasks.intake import Accepted

#: Rows read ahead of the calls. Enough to bridge the reading of the next batch, few enough to be a true back-pressure.
READ_AHEAD: Final = 64


class Feed(Origin):
    """One stream of jobs through a dispatcher.

    Back-pressure is by credit: a row counts from the moment it is accepted until its outcome was consumed.

    Args:
        deliver: gets each outcome, on the event loop.
        most_outstanding: rows that may be accepted and not consumed.
        observers: get each event, in the context in which the feed was made.
        options: of the stream.
        on_ready: is called when jobs have become ready where there were none.
        on_end: is called when the feed ends early.

    Attributes:
        without_outcome: rows that were taken back, or whose call was cut off.
        given_back: rows that were returned to their source. It may deliver them again.
    """

    def __init__(
        self,
        deliver: Callable[[Outcome], None],
        *,
        most_outstanding: int,
        observers: Observers,
        options: StreamOptions,
        on_ready: Callable[[Feed], None],
        on_end: Callable[[Feed], None],
    ) -> None:
        super().__init__(observers, options)
        self.without_outcome = 0
        self.given_back = 0
        self.ready: deque[Job] = deque()
        self._consume = deliver
        self._most_outstanding = most_outstanding
        self._on_ready = on_ready
        self._on_end = on_end
        self._outstanding = 0
        self._unsettled = 0
        self._changed = asyncio.Event()

    @property
    def unsettled(self) -> int:
        """Rows that were accepted, and have no outcome yet."""
        return self._unsettled

    def submit(self, rows: Iterable[Accepted]) -> None:
        """Accept rows to send. Where the feed is ending, they are taken back at once."""
        before = len(self.ready)
        self.ready.extend(jobs_of(rows, self))
        added = len(self.ready) - before
        self._outstanding += added
        self._unsettled += added
        if self.ending:
            self._take_back_ready()
        elif added and not before:
            self._on_ready(self)

    def take(self) -> Job:
        """Return the job that has been ready longest."""
        job = self.ready.popleft()
        if len(self.ready) == READ_AHEAD - 1:
            self._changed.set()
        return job

    def refuse(self, outcome: Outcome) -> None:
        """Deliver the outcome of a row that is not sent."""
        if self.closed:
            return
        self._outstanding += 1
        if self.observed:
            self.observe(TaskRefused(outcome))
        self._deliver(outcome)

    def give_back(self, job: Job) -> None:
        """Return a row to its source, because another process owns it by now."""
        self.given_back += 1
        self._outstanding -= 1
        self._finish_one()
        if self.ownership is not None:
            self.ownership.give_back([job.task])

    def _drop(self) -> None:
        self.without_outcome += 1
        self._outstanding -= 1
        self._finish_one()

    def _deliver(self, outcome: Outcome) -> None:
        self._consume(outcome)

    def consumed(self) -> None:
        """Free the place of one outcome that was delivered."""
        self._outstanding -= 1
        if self._outstanding == self._most_outstanding - 1:
            self._changed.set()

    def end(self, error: BaseException) -> None:
        """End the feed early: what was not sent is taken back, and the outcomes of what was sent are delivered."""
        if self.error is None:
            self.error = error
            self._end()

    def close(self) -> None:
        """End the feed because its consumer has left: no further outcome is delivered."""
        if not self.closed:
            self.closed = True
            self._end()

    def _end(self) -> None:
        self._take_back_ready()
        self._on_end(self)
        self._changed.set()

    def _take_back_ready(self) -> None:
        ready = list(self.ready)
        self.ready.clear()
        for job in ready:
            self.take_back(job)

    def _finish_one(self) -> None:
        self._unsettled -= 1
        if not self._unsettled:
            self._changed.set()

    async def wait_for_room(self) -> None:
        """Return when more rows may be accepted, or when the feed is ending."""
        await self._until(
            lambda: self.ending or (len(self.ready) < READ_AHEAD and self._outstanding < self._most_outstanding)
        )
        if self.ending:
            # Who reads is about to be cancelled, and a source that never waits would never let that happen.
            await asyncio.sleep(0)

    async def ended(self) -> None:
        """Return when the feed is ending."""
        await self._until(lambda: self.ending)

    async def settled(self) -> None:
        """Return when every row has its outcome, or was taken back."""
        await self._until(lambda: not self._unsettled)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()
