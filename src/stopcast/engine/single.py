"""One task through a dispatcher, without the machinery of a stream. Any number of callers wait for its one outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from stopcast.engine.contracts import StreamOptions
from stopcast.engine.job import Job
from stopcast.engine.origin import Origin
from stopcast.logs import Observers
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Task

_LINE: Final = 1


class SingleTask(Origin):
    """One task, its call and those who wait for it.

    Args:
        task: the task.
        priority: a higher one goes first.
        observers: get each event, in the context of the first caller.
        deliver: is called with the outcome after the callers got it.
        on_settled: is called when it has its outcome, or its callers get none.
        on_end: is called when it ends early.
    """

    single = True

    def __init__(
        self,
        task: Task,
        *,
        priority: int,
        observers: Observers,
        deliver: Callable[[Outcome], None] | None,
        on_settled: Callable[[SingleTask], None],
        on_end: Callable[[SingleTask], None],
    ) -> None:
        super().__init__(observers, StreamOptions(priority))
        self.task = task
        self.ready: Sequence[Job] = (Job(task, b"", source=None, line=_LINE, in_doubt=False, origin=self),)
        self._settled = False
        self._outcome: Outcome | None = None
        self._count = deliver
        self._on_settled = on_settled
        self._on_end = on_end
        self._waiters: list[asyncio.Future[Outcome]] = []

    @property
    def unsettled(self) -> int:
        """1 until the task has its outcome."""
        return not self._settled

    def take(self) -> Job:
        """Return the job."""
        (job,), self.ready = self.ready, ()
        return job

    async def outcome(self) -> Outcome:
        """Return the outcome. The last caller that is cancelled takes the call back, if it was not sent yet.

        Raises:
            StopcastError: the task has no outcome, because the calls have ended.
        """
        # With an eager task factory, and a transport that answers at once, the call is over before its caller waits.
        if self._outcome is not None:
            return self._outcome
        if self._settled and self.error is not None:
            raise self.error
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._waiters.remove(waiter)
            if not self._waiters and not self._settled:
                self.closed = True
                self._on_settled(self)  # a later caller makes a call of its own
                self._end()
            raise

    def end(self, error: BaseException) -> None:
        """End early: a task that was not sent has no outcome."""
        if self.error is None:
            self.error = error
            self._end()

    def _end(self) -> None:
        if self.ready:
            self.take_back(self.take())
        self._on_end(self)

    def give_back(self, job: Job) -> None:
        """Do as ``take_back``: no other process owns a single task."""
        self.take_back(job)

    def _deliver(self, outcome: Outcome) -> None:
        self._outcome = outcome
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(outcome)
        if self._count is not None:
            self._count(outcome)

    def _finish_one(self) -> None:
        self._settled = True
        self._on_settled(self)

    def _drop(self) -> None:
        self._finish_one()
        if self.error is None:
            return  # the callers have left
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self.error)
                waiter.exception()  # a caller that is cancelled in this step never looks at it


class SingleTasks:
    """The single tasks that have no outcome yet.

    Args:
        observers: get each event.
        deliver: is called with each outcome, if it is not None.
        on_end: is called when a task ends early.
        deduplicate: whether callers of one task share its call.

    Attributes:
        open: the single tasks.
    """

    def __init__(
        self,
        observers: Observers,
        *,
        deliver: Callable[[Outcome], None] | None,
        on_end: Callable[[SingleTask], None],
        deduplicate: bool,
    ) -> None:
        self._observers = observers
        self._deliver = deliver
        self._on_end = on_end
        self._shared: dict[Task, SingleTask] | None = {} if deduplicate else None
        self.open: set[SingleTask] = set()

    def find(self, task: Task, priority: int) -> SingleTask:
        """Return the task that other callers wait for, or a new one. It gets the highest priority of its callers."""
        single = None if self._shared is None else self._shared.get(task)
        if single is not None:
            single.priority = max(single.priority, priority)
            return single
        single = SingleTask(
            task,
            priority=priority,
            observers=self._observers,
            deliver=self._deliver,
            on_settled=self._forget,
            on_end=self._on_end,
        )
        self.open.add(single)
        if self._shared is not None:
            self._shared[task] = single
        return single

    def _forget(self, single: SingleTask) -> None:
        self.open.discard(single)
        if self._shared is not None and self._shared.get(single.task) is single:
            del self._shared[single.task]
