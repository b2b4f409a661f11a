"""Which of several lines about the same task counts."""

from __future__ import annotations

from typing import Final, NamedTuple

from stopcast.tasks.identities import Identities
from stopcast.tasks.outcome import Status

#: Of lines in several reports the one with the highest rank counts, and of equal ranks the later one. What the API
#: answered when it was asked whether the task runs is more reliable than its answer when the task was stopped.
_RANK: Final = {
    Status.ENDED: 6,
    Status.STILL_RUNNING: 6,
    Status.STOPPED: 5,
    Status.PRESUMED_STOPPED: 4,
    Status.ALREADY_STOPPED: 3,
    Status.FAILED: 2,
    Status.GAVE_UP: 1,
    Status.SET_ASIDE: 1,
    Status.NOT_STARTED: 1,
    Status.UNKNOWN: 1,
}


class LineResult(NamedTuple):
    """The status of a line, and the reason for it and its message (``RowGroup``)."""

    status: Status
    reason: str | None
    message: str | None = None


class LatestPerTask:
    """Remembers the line that counts for each task.

    Within one report the later line counts, because ``--resume`` sends a task again only while it is not settled, and
    the new line replaces the old one (``report.history``).

    Args:
        several_reports: choose by rank, and remember settled tasks too, at 20 to 100 bytes each. Within one report
            only unsettled tasks can have a later line.
    """

    def __init__(self, *, several_reports: bool) -> None:
        self._several_reports = several_reports
        # There are few results and many tasks: a set of tasks for each result costs less than a result for each task.
        self._tasks: dict[LineResult, Identities] = {}

    def needs(self, status: Status) -> bool:
        """Return whether a line with this status must be added: it may supersede a line, or be superseded."""
        return self._several_reports or bool(self._tasks) or not status.settled

    def add(self, task: bytes, result: LineResult) -> LineResult | None:
        """Add a line. Return the result that does not count: an earlier line's, this line's, or None if both count.

        Args:
            task: its identity (``tasks.identities``).
            result: of the line.
        """
        for earlier, tasks in self._tasks.items():
            if task in tasks:
                if self._several_reports and _RANK[result.status] < _RANK[earlier.status]:
                    return result
                tasks.discard(task)
                self._remember(task, result)
                return earlier
        self._remember(task, result)
        return None

    def _remember(self, task: bytes, result: LineResult) -> None:
        if self._several_reports or not result.status.settled:
            self._tasks.setdefault(result, Identities()).add(task)
