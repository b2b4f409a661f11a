"""What became of a task: the statuses, and the outcome that carries one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from stopcast.tasks.task import Task


class Status(StrEnum):
    """The one word that a row ends with."""

    STOPPED = "stopped"
    """The API answered ok."""
    ALREADY_STOPPED = "already_stopped"
    """The API knows no such running task, and no earlier attempt of ours could have stopped it."""
    PRESUMED_STOPPED = "presumed_stopped"
    """The same answer, after an attempt of ours whose fate is unknown."""
    FAILED = "failed"
    """The API refused this task for good."""
    SET_ASIDE = "set_aside"
    """Its AppId was refused for good before its turn; nothing was sent."""
    GAVE_UP = "gave_up"
    """Attempts or time ran out on transient errors."""
    INVALID = "invalid"
    """The row names no task; nothing was sent."""
    DUPLICATE = "duplicate"
    """The same task stood in an earlier row; nothing was sent for this one."""
    ENDED = "ended"
    """Asked, the API said that the task has ended, or never came to run."""
    STILL_RUNNING = "still_running"
    """Asked, the API said that the task runs."""
    NOT_STARTED = "not_started"
    """Asked, the API said that the task has yet to start."""
    UNKNOWN = "unknown"
    """Asked, the API could not tell."""

    @property
    def good(self) -> bool:
        """Whether the row needs no further care."""
        return self in _GOOD

    @property
    def settled(self) -> bool:
        """Whether a resumed run leaves the row alone."""
        return self not in _UNSETTLED


#: What asking whether a task has ended comes to. No row that was to be stopped ends with one of these.
ASKED = frozenset({Status.ENDED, Status.STILL_RUNNING, Status.NOT_STARTED, Status.UNKNOWN})
#: What stopping a task comes to. No row that was asked about ends with one of these.
STOPPED = frozenset({Status.STOPPED, Status.ALREADY_STOPPED, Status.PRESUMED_STOPPED})
_GOOD = STOPPED | {Status.DUPLICATE, Status.ENDED}
_UNSETTLED = (ASKED - {Status.ENDED}) | {Status.SET_ASIDE, Status.GAVE_UP}


class TaskState(NamedTuple):
    """What the API tells of a task (``WebCastTask`` on the vendor's page 6348/204054).

    Attributes:
        number: 0 unknown, 1 not started, 2 running, 3 ended, 4 failed.
        stop_reason: why it ended, such as ``StopByAPI`` or ``ExceedMaxRunningTime``; None while it has not.
        end_time: when it ended, Unix time in milliseconds; None while it has not.
    """

    number: int
    stop_reason: str | None = None
    end_time: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one task, or of one row that names none.

    Attributes:
        task: the task. In an ``invalid`` row a value that was missing or no string is "".
        status: the word for it.
        attempts: calls made for it; 0 where nothing was sent.
        code: the API's error code in the last answer, None where there was none.
        message: the last answer's message, or what went wrong below HTTP, or why a row is invalid.
        http_status: of the last answer, None where none came.
        request_id: names the last call for the vendor's support.
        source: the list that the row came from, None for tasks made in memory.
        line: the row's line in it, counted from 1.
        finished_at: Unix time, in seconds.
        seconds: from the first attempt to the end.
        in_doubt: whether the task may be stopped although its status does not say so.
        state: what the API told of the task, where it was asked.
    """

    task: Task
    status: Status
    attempts: int = 0
    code: str | None = None
    message: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    source: str | None = None
    line: int | None = None
    finished_at: float = 0.0
    seconds: float = 0.0
    in_doubt: bool = False
    state: TaskState | None = None

    @property
    def good(self) -> bool:
        """Whether the task is stopped, or its row needs nothing."""
        return self.status in _GOOD
