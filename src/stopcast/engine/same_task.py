"""Two jobs for one task: the second one waits for the call of the first one, so that no task has two calls at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stopcast.engine.attempts import Result, Settled
from stopcast.tasks.outcome import Outcome, Status

if TYPE_CHECKING:
    from stopcast.engine.job import Job
    from stopcast.engine.origin import Origin
    from stopcast.tasks.task import Task


class SameTask:
    """Knows the tasks that a call is being made for, and the other jobs that wait for the end of that call.

    They wait for that one call, which its timeout bounds, and never for a row that was only read.
    """

    def __init__(self) -> None:
        self._followers: dict[Task, list[Job] | None] = {}
        self._waiting = 0

    def begin(self, job: Job) -> bool:
        """Return whether a call may be made for the job now. Otherwise it waits here."""
        task = job.task
        if task not in self._followers:
            self._followers[task] = None
            return True
        self._followers[task] = [*(self._followers[task] or ()), job]
        self._waiting += 1
        return False

    def end(self, job: Job) -> Sequence[Job]:
        """Return the jobs that waited for this job's call."""
        followers = self._followers.pop(job.task, None)
        if followers is None:
            return ()
        self._waiting -= len(followers)
        return followers

    def withdraw(self, origin: Origin) -> list[Job]:
        """Remove the jobs of a stream that ends, and return them."""
        if not self._waiting:
            return []
        withdrawn: list[Job] = []
        for task, jobs in self._followers.items():
            if jobs:
                withdrawn += (job for job in jobs if job.origin is origin)
                self._followers[task] = [job for job in jobs if job.origin is not origin]
        self._waiting -= len(withdrawn)
        return withdrawn


def shared_outcome(follower: Job, result: Result) -> Outcome | None:
    """Return the outcome that a call for the same task decided, None where the follower needs a call of its own."""
    if not isinstance(result, Settled) or result.outcome.status is Status.GAVE_UP:
        return None
    # What its own earlier calls did is part of its outcome.
    if follower.attempts or (follower.in_doubt and not result.job.in_doubt):
        return None
    return replace(result.outcome, source=follower.source, line=follower.line)


def after_call_of(leader: Job, follower: Job) -> Job:
    """Return the follower as it goes on after a call that decided nothing, but may have stopped the task."""
    return follower._replace(in_doubt=True) if leader.in_doubt else follower
