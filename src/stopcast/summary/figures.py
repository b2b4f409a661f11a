"""Counts the lines of reports, one by one and in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from stopcast.accounts.routes import UNCLAIMED
from stopcast.api.meanings import NO_ACCOUNT, NO_TASK, NOT_ENDED, NOT_SENT, without_code
from stopcast.report.line import SANDBOX, task_of
from stopcast.summary.calls import CallFigures, Kind
from stopcast.summary.latest_per_task import LatestPerTask, LineResult
from stopcast.summary.samples import (
    HTTP_STATUSES,
    ListedRow,
    Place,
    Sample,
    attempts_of,
    listed_row_of,
    place_of,
    sample_of,
    text_of,
    unsent_of,
)
from stopcast.summary.totals import MessageTotal, RowGroup, Total, totals_of
from stopcast.tasks.identities import identity
from stopcast.tasks.outcome import ASKED, Status
from stopcast.tasks.task import OTHERS

#: The first AppIds, reasons, and messages of each reason that are met are listed, at most this many; all others are
#: counted together.
_MOST_APPS: Final = 1000
_MOST_REASONS: Final = 200
_MOST_MESSAGES: Final = 10
_ROWS_ONLY: Final = frozenset({Status.INVALID, Status.DUPLICATE})
_HTTP_OK: Final = 200


class ReportFigures:
    """Counts the lines of one report, or of several that may have lines about the same tasks.

    Each task is counted once (``LatestPerTask``). Calls and durations are counted for every line, because the calls of
    a superseded line were made too.

    Args:
        several_reports: the lines are of more than one report; each task takes 20 to 100 bytes.
        most_listed: how many rows that are not good are kept for a table; the first ones are.
        selects: returns whether rows with a status and a reason are selected. Each takes 200 bytes.

    Attributes:
        rows: the number of rows in each group.
        samples: by reason, the first line with a RequestId, or else the first line.
        lines: the number of lines.
        rehearsed: those of them that a run with ``--sandbox`` wrote: nothing real was stopped.
        superseded: lines that are not counted as rows, because another line about the same task counts.
        asked_about: those of them that are not counted because the API was asked later whether the task had ended.
        torn: names of reports whose last line is incomplete; that line is not counted.
        calls: the calls of each kind.
    """

    def __init__(
        self,
        *,
        several_reports: bool = False,
        most_listed: int = 0,
        selects: Callable[[Status, str | None], bool] | None = None,
    ) -> None:
        self._latest_per_task = LatestPerTask(several_reports=several_reports)
        self._most_listed = most_listed
        self._selects = selects
        self._listed: dict[bytes | int, ListedRow] = {}
        self._selected: dict[bytes | int, int] = {}
        self._apps: set[str] = set()
        self._places: dict[str, dict[str, Place]] = {}
        self.rows: Counter[RowGroup] = Counter()
        self.samples: dict[str, Sample] = {}
        self.lines = 0
        self.rehearsed = 0
        self.superseded = 0
        self.asked_about = 0
        self.torn: list[str] = []
        self.calls = {kind: CallFigures() for kind in Kind}

    def add(self, lines: Iterable[dict[str, Any]]) -> None:
        """Count lines, as ``report.line.read_line`` returns them."""
        for values in lines:
            self.lines += 1
            self.rehearsed += SANDBOX in values
            self._count_row(values)
            if attempts := attempts_of(values):
                self.calls[Kind.of(values)].add(values, attempts)

    @property
    def rehearsal(self) -> bool:
        """Whether all lines are of runs with ``--sandbox``."""
        return 0 < self.lines == self.rehearsed

    @property
    def listed(self) -> list[ListedRow]:
        """The rows for a table of what is not good, in the order of the lines."""
        return list(self._listed.values())

    @property
    def selected(self) -> set[int]:
        """The numbers of the lines that hold the selected rows, from 1."""
        return set(self._selected.values())

    @property
    def total(self) -> Total:
        """All rows."""
        statuses: Counter[Status] = Counter()
        for group, number in self.rows.items():
            statuses[group.status] += number
        return Total("", +statuses)

    def by_app(self) -> list[Total]:
        """Return the rows by AppId, the most rows first; invalid rows are left out."""
        return totals_of((group.app_id, group.status, number) for group, number in self.rows.items() if group.app_id)

    def by_reason(self) -> list[Total]:
        """Return the rows by reason, the most bad rows first; rows without a reason are left out."""
        totals = totals_of((group.reason, group.status, number) for group, number in self.rows.items() if group.reason)
        return sorted(totals, key=lambda total: (total.key == OTHERS, -total.bad))

    def by_message(self, reason: str) -> list[MessageTotal]:
        """Return the rows with a reason by their message, the most rows first; rows without a message are left out."""
        groups = ((group, number) for group, number in self.rows.items() if group.reason == reason and group.message)
        totals = totals_of((group.message or "", group.status, number) for group, number in groups)
        places = self._places.get(reason, {})
        return [MessageTotal(total.key, total.rows, places.get(total.key, Place(None, None))) for total in totals]

    def _count_row(self, values: dict[str, Any]) -> None:
        group = self._group(values)
        status = group.status
        key: bytes | int = self.lines
        if status not in _ROWS_ONLY and self._latest_per_task.needs(status):
            key = identity(task_of(values))
            result = LineResult(status, group.reason, group.message)
            superseded = self._latest_per_task.add(key, result)
            if superseded is not None:
                self.superseded += 1
                self.asked_about += status in ASKED and superseded.status not in ASKED
                if superseded is result:
                    return
                self.rows[group._replace(**superseded._asdict())] -= 1
                self._listed.pop(key, None)
                self._selected.pop(key, None)
        self.rows[group] += 1
        if not status.good and len(self._listed) < self._most_listed:
            self._listed[key] = listed_row_of(values, group.reason)
        if self._selects is not None and self._selects(status, group.reason):
            self._selected[key] = self.lines

    def _group(self, values: dict[str, Any]) -> RowGroup:
        status: Status = values["status"]
        code = values.get("code")
        reason = None if code is None and status.good else self._reason(status, values)
        message = None if reason is None or status.good else self._message(reason, values)
        return RowGroup(status, "" if status is Status.INVALID else self._app(values["AppId"] or ""), reason, message)

    def _app(self, app_id: str) -> str:
        if app_id not in self._apps:
            if len(self._apps) >= _MOST_APPS:
                return OTHERS
            self._apps.add(app_id)
        return app_id

    def _reason(self, status: Status, values: dict[str, Any]) -> str | None:
        """Return the code, or what replaces it; None where there is nothing to explain."""
        reason = text_of(values.get("code"))
        if reason is None:
            if status.good:
                return None
            reason = _reason_without_code(status, values)
        known = self.samples.get(reason)
        if known is None:
            if len(self.samples) >= _MOST_REASONS:
                return OTHERS
            self.samples[reason] = sample_of(values)
        elif known.request_id is None and values.get("request_id"):
            self.samples[reason] = sample_of(values)
        return reason

    def _message(self, reason: str, values: dict[str, Any]) -> str | None:
        message = text_of(values.get("message"))
        if message is None:
            return None
        places = self._places.setdefault(reason, {})
        if message not in places:
            if len(places) >= _MOST_MESSAGES:
                return OTHERS
            places[message] = place_of(values)
        return message


def _reason_without_code(status: Status, values: dict[str, Any]) -> str:
    if status is Status.INVALID:
        return NO_TASK
    if status is Status.SET_ASIDE:
        return NO_ACCOUNT if values.get("message") == UNCLAIMED else NOT_SENT
    http_status = values.get("http_status")
    if status in ASKED and http_status == _HTTP_OK:
        return NOT_ENDED
    attempts = attempts_of(values)
    none_sent = 0 < attempts == unsent_of(values, attempts)
    return without_code(http_status if http_status in HTTP_STATUSES else None, sent=not none_sent)
