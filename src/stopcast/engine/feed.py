"""The jobs of one caller: what is ready, how much is out, and whom to tell."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Final

from stopcast.api.answers import Reply
from stopcast.events import AttemptFinished, Event, TaskFinished, TaskRefused
from stopcast.ports import Flights
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task

#: Rows read ahead of the calls. Enough to bridge the reading of the next batch, few enough to be a true back-pressure.
_READ_AHEAD: Final = 64


class Feed:
    """One stream of jobs through a dispatcher, with its own end.

    Back-pressure is by credit: a row that was taken and whose outcome was not yet consumed counts, wherever it is.

    Attributes:
        ready: jobs that wait for their first attempt.
        closed: whether nobody wants its outcomes any more.
        priority: jobs of a feed with a higher one go first.
        flights: keeps in mind which of its calls a crash leaves in doubt.
        observe: tells an event in the context that the feed was opened in.
        observed: whether somebody wants to be told of each attempt and each task. Else no event is made of them.
        error: what ended it before its time.
    """

    def __init__(
        self,
        deliver: Callable[[Outcome], None],
        *,
        most_outstanding: int,
        observe: Callable[[Event], None],
        observed: bool,
        priority: int = 0,
        flights: Flights | None = None,
    ) -> None:
        self.ready: deque[Job] = deque()
        self.closed = False
        self.priority = priority
        self.flights = flights
        context = copy_context()
        self.observe: Callable[[Event], None] = lambda event: context.run(observe, event)
        self.observed = observed
        self._deliver = deliver
        self._most_outstanding = most_outstanding
        self._outstanding = 0
        self._unsettled = 0
        self._changed = asyncio.Event()
        self.error: BaseException | None = None
        self._when_failed: Callable[[], object] | None = None

    def put(self, job: Job) -> None:
        """Take a job in."""
        self._outstanding += 1
        self._unsettled += 1
        self.ready.append(job)

    def take(self) -> Job:
        """Return the job that has been ready longest."""
        job = self.ready.popleft()
        if len(self.ready) == _READ_AHEAD - 1:
            self._changed.set()
        return job

    def settle(self, outcome: Outcome, attempts: Sequence[AttemptFinished] = ()) -> None:
        """Hand over a job's outcome."""
        self._unsettled -= 1
        if not self._unsettled:
            self._changed.set()
        if self.observed:
            self.observe(TaskFinished(outcome, tuple(attempts)) if outcome.attempts else TaskRefused(outcome))
        self._deliver(outcome)

    def tell(self, outcome: Outcome) -> None:
        """Hand over the outcome of a row that never became a job."""
        self._outstanding += 1
        if self.observed:
            self.observe(TaskRefused(outcome))
        self._deliver(outcome)

    def consumed(self) -> None:
        """Give the credit of one outcome back."""
        self._outstanding -= 1
        if self._outstanding == self._most_outstanding - 1:
            self._changed.set()

    def fail(self, error: BaseException) -> None:
        """End the feed with an error, for whoever waits on it."""
        self.error = self.error or error
        self._changed.set()
        if self._when_failed is not None:
            self._when_failed()

    def when_failed(self, act: Callable[[], object]) -> None:
        """Call ``act`` when an error ends the feed, or now if one has."""
        self._when_failed = act
        if self.error is not None:
            act()

    def close(self) -> None:
        """Drop what has not been sent; outcomes of calls in flight are still handed over."""
        self.closed = True
        self.ready.clear()

    async def room(self) -> None:
        """Return when more rows may be taken; raise the error that ended the feed."""
        await self._until(lambda: len(self.ready) < _READ_AHEAD and self._outstanding < self._most_outstanding)

    async def settled(self) -> None:
        """Return when every job has its outcome; raise the error that ended the feed."""
        await self._until(lambda: not self._unsettled)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while True:
            if self.error is not None:
                raise self.error
            if condition():
                return
            self._changed.clear()
            await self._changed.wait()


@dataclass(slots=True, eq=False)
class Job:
    """A task on its way to an outcome.

    Attributes:
        task: the task.
        identity: tells it apart from every other task.
        feed: whom the outcome goes to.
        source: the list it came from.
        line: its line there.
        in_doubt: whether an attempt of ours may have stopped it unseen.
        attempts: calls made so far.
        first_at: loop time of the first one.
        history: the calls, where the feed is observed.
    """

    task: Task
    identity: bytes = field(repr=False)
    feed: Feed = field(repr=False)
    source: str | None = None
    line: int | None = None
    in_doubt: bool = False
    attempts: int = 0
    first_at: float = 0.0
    history: Sequence[AttemptFinished] = ()

    def outcome(self, status: Status, *, seconds: float = 0.0, reply: Reply | None = None) -> Outcome:
        """Return the job's end."""
        if reply is None:
            return Outcome(self.task, status, source=self.source, line=self.line, finished_at=time.time())
        return Outcome(
            self.task,
            status,
            self.attempts,
            reply.code,
            reply.message,
            reply.http_status,
            reply.request_id,
            self.source,
            self.line,
            time.time(),
            seconds,
            in_doubt=self.in_doubt and status is Status.GAVE_UP,
            state=reply.state,
        )
