"""Groups of rows that are counted together, and their totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from stopcast.summary.samples import Place
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import OTHERS


class RowGroup(NamedTuple):
    """Rows that are counted together.

    Attributes:
        status: of the rows.
        app_id: of their tasks; "" for invalid rows, which name none; ``OTHERS`` beyond the AppIds that are listed.
        reason: a code of the API or what replaces it (``api.meanings``); ``OTHERS`` beyond the reasons that are
            listed; None where there is nothing to explain.
        message: of the answer, or why the row is invalid; ``OTHERS`` beyond the messages that are listed; None for
            good rows and where there is none.
    """

    status: Status
    app_id: str
    reason: str | None
    message: str | None = None


class Total(NamedTuple):
    """The rows of one AppId, or with one reason.

    Attributes:
        key: the AppId or the reason.
        statuses: the rows by status.
    """

    key: str
    statuses: Counter[Status]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.statuses.total()

    @property
    def bad(self) -> int:
        """The number of rows that are not good."""
        return sum(number for status, number in self.statuses.items() if not status.good)


class MessageTotal(NamedTuple):
    """The rows with one message: their number, and where the first of them stands."""

    message: str
    rows: int
    first: Place


def totals_of(counted: Iterable[tuple[str, Status, int]]) -> list[Total]:
    """Return one total for each key: the most rows first, ``OTHERS`` last."""
    by_key: dict[str, Counter[Status]] = {}
    for key, status, number in counted:
        by_key.setdefault(key, Counter())[status] += number
    totals = [Total(key, +statuses) for key, statuses in by_key.items()]
    # The sort is stable: of equal totals the one met first comes first.
    return sorted((total for total in totals if total.rows), key=lambda total: (total.key == OTHERS, -total.rows))
