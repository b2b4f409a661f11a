"""A task on its way to an outcome, as a frozen value: each attempt makes the next one of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from stopcast.api.answers import Reply
from stopcast.events import AttemptFinished
from stopcast.making import maker
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task

if TYPE_CHECKING:
    from stopcast.engine.origin import Origin

_NO_REPLY: Final = Reply(None)
make_outcome: Final = maker(Outcome)


class Job(NamedTuple):
    """A task, its place in a list, and what its attempts have shown so far.

    Attributes:
        task: the task.
        identity: 16 bytes that no other task has.
        origin: where the job comes from, and its outcome goes.
        source: the list that the row came from.
        line: its line there.
        in_doubt: whether an attempt of ours may have stopped the task although no answer said so.
        attempts: tries to make the call so far.
        unsent: those of them in which nothing was sent.
        first_at: loop time at which the first one was sent, or was begun where it was not sent.
        paused_before: seconds in which no call could be made, before the first attempt.
        last: the last answer.
        history: the calls, where the origin is observed.
    """

    task: Task
    identity: bytes
    origin: Origin
    source: str | None = None
    line: int | None = None
    in_doubt: bool = False
    attempts: int = 0
    unsent: int = 0
    first_at: float = 0.0
    paused_before: float = 0.0
    last: Reply = _NO_REPLY
    history: Sequence[AttemptFinished] = ()

    def gave_up(self) -> Outcome:
        """Return the end of a job for which no further call is made."""
        return self.outcome(Status.GAVE_UP, self.last, attempts=self.attempts, first_at=self.first_at)

    def outcome(self, status: Status, reply: Reply, *, attempts: int, first_at: float) -> Outcome:
        """Return the job's end, as this answer gives it. To be called on the event loop."""
        return make_outcome(
            self.task,
            status,
            attempts,
            reply.code,
            reply.message,
            reply.http_status,
            reply.request_id,
            self.source,
            self.line,
            time.time(),
            asyncio.get_running_loop().time() - first_at if attempts else 0.0,
            in_doubt=not status.good and (self.in_doubt or self.origin.in_doubt(self.task)),
            state=reply.state,
            unsent=self.unsent,
        )
