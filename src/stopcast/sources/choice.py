"""Which lines of an earlier report are rows, where a list is one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from stopcast.tasks.outcome import Status

_NOT_GOOD: Final = frozenset(status for status in Status if not status.good)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which lines of an earlier report are taken. Of any other list, every row is.

    Attributes:
        statuses: of the lines to take; by default those that did not go well.
        reports_only: whether a list that is no report is refused.
        not_before: the ``finished_at`` of the oldest line to take, as a report words it; "" for any.
    """

    statuses: frozenset[Status] = _NOT_GOOD
    reports_only: bool = False
    not_before: str = ""

    @classmethod
    def only(cls, statuses: Iterable[Status]) -> Self:
        """Return the choice of somebody who names statuses, and so must mean a report."""
        return cls(frozenset(statuses), reports_only=True)
