"""The line that counts for each task, by the rule of ``report.line``."""

from __future__ import annotations

from typing import NamedTuple

from stopcast.report.line import may_be_superseded, supersedes
from stopcast.tasks.identities import Identities
from stopcast.tasks.outcome import Status


class LineResult(NamedTuple):
    """The status of a line, and the reason for it and its message (``RowGroup``)."""

    status: Status
    reason: str | None
    message: str | None = None


class LatestPerTask:
    """Remembers the line that counts for each task.

    Args:
        several_reports: choose by rank, and remember good tasks too, at 20 to 100 bytes each. Within one report only
            tasks that are not good can have a later line.
    """

    def __init__(self, *, several_reports: bool) -> None:
        self._several_reports = several_reports
        # There are few results and many tasks: a set of tasks for each result costs less than a result for each task.
        self._tasks: dict[LineResult, Identities] = {}

    def needs(self, status: Status) -> bool:
        """Return whether a line with this status must be added: it may supersede a line, or be superseded."""
        return bool(self._tasks) or may_be_superseded(status, several_reports=self._several_reports)

    def add(self, task: bytes, result: LineResult) -> LineResult | None:
        """Add a line. Return the result that does not count: an earlier line's, this line's, or None if both count.

        Args:
            task: its identity (``tasks.identities``).
            result: of the line.
        """
        for earlier, tasks in self._tasks.items():
            if task in tasks:
                if not supersedes(result.status, earlier.status, several_reports=self._several_reports):
                    return result
                tasks.discard(task)
                self._remember(task, result)
                return earlier
        self._remember(task, result)
        return None

    def _remember(self, task: bytes, result: LineResult) -> None:
        if may_be_superseded(result.status, several_reports=self._several_reports):
            self._tasks.setdefault(result, Identities()).add(task)
