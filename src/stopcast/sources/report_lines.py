"""An earlier report that is read as a list: which of its lines are taken, and which is the last about a task."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stopcast.sources.json_text import NotJsonError, value_of
from stopcast.tasks.identities import IdentityNumbers, identity
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import ID_NAMES, Task

_STATUSES: Final = frozenset(status.value for status in Status)
_NOT_GOOD: Final = frozenset(status for status in Status if not status.good)
_KEYS: Final = frozenset({"status", "attempts", "finished_at"})
#: A line with one of these names no task, or one that has a line of its own.
WITHOUT_TASK: Final = frozenset({"invalid", "duplicate", "excluded"})
_IN_DOUBT: Final = 1
_BEGUN: Final = 2
_ONE_LINE: Final = 4


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which lines of an earlier report are taken. Of any other list, every row is.

    Attributes:
        statuses: of the lines to take; by default those that are not good. A line that names no task of its own is
            never taken.
        reports_only: whether a list that is no report is refused.
        not_before: the ``finished_at`` of the oldest line to take, as a report words it; "" for any.
    """

    statuses: frozenset[Status] = _NOT_GOOD
    reports_only: bool = False
    not_before: str = ""


def may_be_reported(keys: Collection[str]) -> bool:
    """Return whether an object with these keys can be a report's line."""
    return _KEYS.issubset(keys)


def status_of(value: Mapping[str, Any]) -> str | None:
    """Return the status of a report's line, None for an object whose status is its own."""
    status = value["status"]
    return status if isinstance(status, str) and status in _STATUSES else None


class LastLines:
    """Knows the last line about each task in a report from which nothing was removed yet.

    A run that was killed leaves lines that newer ones replace. The last line about a task decides, and keeps the doubt
    of all. Fed with all lines once, it then says of each line in turn whether it is the last one.

    Args:
        taken: the statuses of the lines that are taken. Only tasks with such a line are remembered.
    """

    def __init__(self, taken: Collection[str]) -> None:
        self._taken = taken
        self._tasks = IdentityNumbers()

    def feed(self, texts: Iterable[bytes]) -> None:
        """Add lines."""
        for text in texts:
            try:
                value = value_of(text)
            except NotJsonError:
                continue
            self._add(value)

    def _add(self, value: Any) -> None:
        if not isinstance(value, dict) or not may_be_reported(value) or (status := status_of(value)) is None:
            return
        if status in WITHOUT_TASK or (status not in self._taken and not self._tasks):
            return
        digest = _identity_of(value)
        number = self._tasks[digest]
        if number or status in self._taken:
            self._tasks[digest] = (number + _ONE_LINE) | (value.get("in_doubt") is True)

    def doubt_if_last(self, value: Mapping[str, Any], status: str) -> bool | None:
        """Return whether the task may have been stopped unseen, or None where a later line about it follows."""
        if not self._tasks:
            return False
        digest = _identity_of(value)
        number = self._tasks[digest]
        if not number or not (number & _BEGUN or status in self._taken):
            return False
        number = (number - _ONE_LINE) | _BEGUN
        self._tasks[digest] = number
        return bool(number & _IN_DOUBT) if number < _ONE_LINE else None


def _identity_of(value: Mapping[str, Any]) -> bytes:
    return identity(Task(*(str(value.get(key) or "") for key in ID_NAMES)))
