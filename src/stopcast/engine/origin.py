"""Where a job comes from and where its outcome goes: what a stream of rows and a single task have in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, ClassVar

from stopcast.engine.contracts import StreamOptions
from stopcast.events import AttemptFinished, Event, TaskFinished, TaskRefused
from stopcast.logs import Observers
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Task

if TYPE_CHECKING:
    from stopcast.engine.job import Job


class Origin(ABC):
    """Where jobs come from, and where their outcomes go.

    Args:
        observers: get each event, in the context in which this object was made.
        options: of the stream.

    Attributes:
        single: whether it never has more than one job.
        observed: whether to make an event of each attempt and each task that goes well.
        closed: whether the consumer has left.
        error: what ended this origin early.
        now: returns the loop's time.
        ready: its jobs that wait for their first attempt.
    """

    single: ClassVar[bool] = False
    ready: Sequence[Job]

    def __init__(self, observers: Observers, options: StreamOptions) -> None:
        self.now = asyncio.get_running_loop().time
        self.closed = False
        self.error: BaseException | None = None
        self.priority, self.flights, self.ownership = options
        self.observed = observers.want_all
        context = copy_context()
        # A copy each time: an observer that drains, for instance, causes events of the same origin within its own, and
        # a context cannot be entered twice.
        self.observe: Callable[[Event], None] = lambda event: context.copy().run(observers.notify, event)

    @property
    def ending(self) -> bool:
        """Whether no further call is made for it."""
        return self.closed or self.error is not None

    @property
    @abstractmethod
    def unsettled(self) -> int:
        """Number of its jobs that have no outcome yet."""

    @abstractmethod
    def take(self) -> Job:
        """Return the job that has been ready longest."""

    def in_doubt(self, task: Task) -> bool:
        """Return whether another process may have sent a call for the task meanwhile."""
        return self.ownership is not None and self.ownership.in_doubt(task)

    def settle(self, outcome: Outcome, attempts: Sequence[AttemptFinished] = ()) -> None:
        """Deliver a job's outcome. Once the consumer has left, only observers get it."""
        self._finish_one()
        if self.observed:
            self.observe(TaskFinished(outcome, tuple(attempts)) if outcome.attempts else TaskRefused(outcome))
        if not self.closed:
            self._deliver(outcome)

    def take_back(self, job: Job) -> None:
        """End a job that has no call in flight, because this origin is ending.

        One that was never sent has no outcome: it is as if it had not been read. One that was sent before, and waited
        for its next attempt, has used up its time.
        """
        if job.attempts:
            self.settle(job.gave_up(), job.history)
        else:
            self._drop()

    def cut_off(self, job: Job) -> None:
        """End a job whose call was cut off, so that its fate is not known. Only observers get an outcome."""
        self._drop()
        if self.observed:
            self.observe(TaskFinished(job.gave_up(), tuple(job.history)))

    @abstractmethod
    def give_back(self, job: Job) -> None:
        """Return a row to its source, because another process owns it by now."""

    @abstractmethod
    def end(self, error: BaseException) -> None:
        """End early: what was not sent is taken back, and the outcome of what was sent is delivered."""

    @abstractmethod
    def _deliver(self, outcome: Outcome) -> None:
        """Pass an outcome to the consumer."""

    @abstractmethod
    def _finish_one(self) -> None:
        """Count a job that has ended."""

    @abstractmethod
    def _drop(self) -> None:
        """Count a job that has ended without an outcome."""
