"""The result of a row: the statuses, and the outcome, which has one of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from stopcast.tasks.task import Task


class Status(StrEnum):
    """The result of a row in one word."""

    STOPPED = "stopped"
    """The API answered ok."""
    ALREADY_STOPPED = "already_stopped"
    """The API knows no such running task, and no earlier attempt of ours can have stopped it."""
    PRESUMED_STOPPED = "presumed_stopped"
    """The same answer, after an attempt of ours whose result is unknown."""
    FAILED = "failed"
    """The API refused this task for good, by a code that is known to be about the task."""
    SET_ASIDE = "set_aside"
    """Not decided: its AppId was refused, no account claims it, or the API refused it by an unknown code."""
    GAVE_UP = "gave_up"
    """Attempts or time ran out on transient errors."""
    INVALID = "invalid"
    """The row names no task; nothing was sent."""
    DUPLICATE = "duplicate"
    """An earlier row named the same task; nothing was sent for this one."""
    EXCLUDED = "excluded"
    """An exception names the task; nothing was sent."""
    ENDED = "ended"
    """The API was asked and said that the task has ended, or failed to start."""
    STILL_RUNNING = "still_running"
    """The API was asked and said that the task is running."""
    NOT_STARTED = "not_started"
    """The API was asked and said that the task has not started yet."""
    UNKNOWN = "unknown"
    """The API was asked and does not know the task's state."""

    @property
    def good(self) -> bool:
        """Whether the row needs no further action."""
        return self in _GOOD

    @property
    def settled(self) -> bool:
        """Whether a resumed run skips the row."""
        return self not in _UNSETTLED


#: The results of asking whether a task has ended. A row that was to be stopped never has one of these.
ASKED = frozenset({Status.ENDED, Status.STILL_RUNNING, Status.NOT_STARTED, Status.UNKNOWN})
#: The good results of stopping a task. A row that was only asked about never has one of these.
STOPPED = frozenset({Status.STOPPED, Status.ALREADY_STOPPED, Status.PRESUMED_STOPPED})
_GOOD = STOPPED | {Status.DUPLICATE, Status.EXCLUDED, Status.ENDED}
_UNSETTLED = (ASKED - {Status.ENDED}) | {Status.SET_ASIDE, Status.GAVE_UP}
#: Formatting them for each line of a report would be a quarter of its cost.
_FRACTIONS: Final = tuple(f".{milliseconds:03d}Z" for milliseconds in range(1000))


class TaskState(NamedTuple):
    """The state of a task as the API returns it (``WebCastTask`` on the vendor's page 6348/204054).

    Attributes:
        number: 0 unknown, 1 not started, 2 running, 3 ended, 4 failed.
        stop_reason: why it ended, such as ``StopByAPI`` or ``ExceedMaxRunningTime``; None before the end.
        end_time: when it ended, Unix time in milliseconds; None before the end.
    """

    number: int
    stop_reason: str | None = None
    end_time: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one row: of its task, or of a row that names no task.

    Attributes:
        task: the task. In an ``invalid`` row, a value that is missing or not a string is "".
        status: the result in one word.
        attempts: tries to make the task's call; 0 where there was none.
        code: the API's error code in the last answer, None where it had none.
        message: the last answer's message, or what went wrong below HTTP, or why the row is invalid.
        http_status: of the last answer, None where no answer came.
        request_id: identifies the last call for the vendor's support.
        source: the list that holds the row, None for tasks made in memory.
        line: the row's line in the list, from 1.
        finished_at: Unix time.
        seconds: from the first attempt to the end.
        in_doubt: whether the task may be stopped although its status does not say so.
        state: the task's state, where the API was asked for it.
        unsent: the attempts that had no connection, so that nothing was sent in them.
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
    unsent: int = 0

    @property
    def calls(self) -> int:
        """The attempts in which the API may have been called."""
        return self.attempts - self.unsent

    def as_json(self) -> dict[str, Any]:
        """Return the outcome with the keys and the values of its line in a report."""
        second, milliseconds = divmod(int(self.finished_at * 1000), 1000)
        app_id, room_id, task_id = self.task
        values: dict[str, Any] = {
            "AppId": app_id or None,
            "RoomId": room_id or None,
            "TaskId": task_id or None,
            "status": str(self.status),
            "attempts": self.attempts,
            "code": self.code,
            "message": self.message,
            "http_status": self.http_status,
            "request_id": self.request_id,
            "source": self.source,
            "line": self.line,
            "finished_at": _date(second) + _FRACTIONS[milliseconds],
            # The same as round(), at a fifth of its cost.
            "seconds": int(self.seconds * 1000 + 0.5) / 1000,
        }
        if self.in_doubt and not self.good:
            values["in_doubt"] = True
        if self.unsent:
            values["unsent"] = self.unsent
        if self.state is not None:
            values |= {"StopReason": self.state.stop_reason, "EndTime": self.state.end_time}
        return values

    @property
    def good(self) -> bool:
        """Whether the task is stopped, or its row needs no further action."""
        return self.status in _GOOD


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
