"""Rows that are counted together, and their totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from stopcast.tasks.outcome import Status
from stopcast.tasks.task import OTHERS


class Kind(NamedTuple):
    """Rows that are counted together.

    Attributes:
        status: theirs.
        app_id: of their tasks; "" for invalid rows, which name none, ``OTHERS`` beyond those told apart.
        reason: a code of the API or what stands in its place (``code_meanings``), ``OTHERS`` beyond those told apart,
            None where there is nothing to explain.
    """

    status: Status
    app_id: str
    reason: str | None


class Total(NamedTuple):
    """All rows of one AppId, or with one reason.

    Attributes:
        key: the AppId or the reason.
        statuses: the rows by status.
    """

    key: str
    statuses: Counter[Status]

    @property
    def rows(self) -> int:
        """How many rows."""
        return self.statuses.total()

    @property
    def bad(self) -> int:
        """Rows that are not known to be stopped."""
        return sum(number for status, number in self.statuses.items() if not status.good)


def totals_of(counted: Iterable[tuple[str, Status, int]]) -> list[Total]:
    """Return one total for each key, most rows first, the others last."""
    by_key: dict[str, Counter[Status]] = {}
    for key, status, number in counted:
        by_key.setdefault(key, Counter())[status] += number
    totals = [Total(key, +statuses) for key, statuses in by_key.items()]
    # A sort keeps the order of what is equal: the first ones met stay first.
    return sorted((one for one in totals if one.rows), key=lambda one: (one.key == OTHERS, -one.rows))
