"""A task on its way to an outcome, as a frozen value: each attempt makes the next one of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from operator import add
from typing import TYPE_CHECKING, Final, NamedTuple

from stopcast.api.answers import Reply
from stopcast.events import AttemptFinished
from stopcast.making import all_of, maker
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task

if TYPE_CHECKING:
    from stopcast.engine.origin import Origin
    from stopcast.tasks.intake import Accepted

_NO_REPLY: Final = Reply(None)
make_outcome: Final = maker(Outcome)


class Job(NamedTuple):
    """A task, its place in a list, and what its attempts have shown so far. It begins with the fields of ``Accepted``.

    Attributes:
        task: the task.
        identity: 16 bytes that no other task has.
        source: the list that the row came from.
        line: its line there.
        in_doubt: whether an attempt of ours may have stopped the task although no answer said so.
        origin: where the job comes from, and its outcome goes.
        attempts: tries to make the call so far.
        unsent: those of them in which nothing was sent.
        first_at: loop time at which the first one was sent, or was begun where it was not sent.
        paused_before: seconds in which no call could be made, before the first attempt.
        last: the last answer.
        history: the calls, where the origin is observed.
    """

    task: Task
    identity: bytes
    source: str | None
    line: int | None
    in_doubt: bool
    origin: Origin
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
        """Return the job's end, as this answer gives it."""
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
            self.origin.now() - first_at if attempts else 0.0,
            not status.good and (self.in_doubt or self.origin.in_doubt(self.task)),
            reply.state,
            self.unsent,
        )


#: What the fields after the origin are before the first attempt.
_FRESH: Final = tuple(Job._field_defaults.values())


def jobs_of(rows: Iterable[Accepted], origin: Origin) -> Iterator[Job]:
    """Return the job of each row."""
    return all_of(Job, map(add, rows, repeat((origin, *_FRESH))))
