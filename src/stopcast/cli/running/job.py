"""One run of a command as a value: what is done with which rows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from stopcast.cli.lists import Lists
from stopcast.cli.options import Options
from stopcast.cli.user import User
from stopcast.ports import Deliveries
from stopcast.run import Run
from stopcast.stopper.task_calls import TaskCalls
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """One run of a command.

    Attributes:
        calls: makes the calls: Stopper or Verifier.
        options: of the command.
        lists: the lists, none where the rows come from a queue.
        rows: yields the rows. It is iterated once the run has read its report.
        deliveries: opens the queue, where the rows come from one. What is left of a queue is for other workers too.
        queues: URLs of the queues whose state belongs to the metrics.
        ask: whether the user may be asked before the first call.
        advice: returns what to do about rows that are not good, by their statuses, where this is more than to look at
            them.
        verification: what follows a run that came to its end, None for nothing.
        verify_after_seconds: how long the last tasks have to end before that.
    """

    calls: type[TaskCalls]
    options: Options
    lists: Lists
    rows: Callable[[Run], AsyncGenerator[Batch, None]]
    deliveries: Callable[[User], AbstractAsyncContextManager[Deliveries]] | None = None
    queues: Collection[str] = ()
    ask: bool = False
    advice: Callable[[Collection[Status]], str] | None = None
    verification: Callable[[], RunJob] | None = None
    verify_after_seconds: float = 0.0
