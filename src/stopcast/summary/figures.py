"""Counts the lines of reports, one by one and in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from stopcast.api.meanings import HTTP, NO_ANSWER, NO_TASK, NOT_ENDED, NOT_SENT
from stopcast.report.line import task_of
from stopcast.summary.latency import Durations
from stopcast.summary.latest_per_task import LatestPerTask, LineResult
from stopcast.summary.samples import HTTP_STATUSES, ListedRow, Sample, listed_row_of, sample_of, text_of
from stopcast.summary.timeline import Timeline
from stopcast.summary.totals import RowGroup, Total, totals_of
from stopcast.tasks.identities import identity
from stopcast.tasks.outcome import ASKED, Status
from stopcast.tasks.task import OTHERS

#: The first AppIds and reasons that are met are listed, at most this many; all others are counted together.
MOST_APPS: Final = 1000
MOST_REASONS: Final = 200
#: A task with more attempts is counted with this many.
MOST_ATTEMPTS: Final = 100
_ROWS_ONLY: Final = frozenset({Status.INVALID, Status.DUPLICATE})
_YEAR_SECONDS: Final = 366 * 86400
_HTTP_OK: Final = 200


class ReportFigures:
    """Counts the lines of one report, or of several that may have lines about the same tasks.

    Each task is counted once (``LatestPerTask``). Calls and durations are counted for every line, because the calls of
    a superseded line were made too.

    Args:
        several_reports: the lines are of more than one report; each task takes 20 to 100 bytes.
        most_listed: how many rows that are not good are kept for a table; the first ones are.

    Attributes:
        rows: the number of rows in each group.
        samples: by reason, the first line with a RequestId, or else the first line.
        lines: the number of lines.
        superseded: lines that are not counted as rows, because another line about the same task counts.
        torn: names of reports whose last line is incomplete; that line is not counted.
        attempts: the number of tasks that were sent, by their number of attempts.
        calls: the number of attempts.
        one_call: the durations of tasks that took one call.
        more_calls: the durations of tasks that took more, from the first call to the end, waits included.
        timeline: calls and ended tasks over time.
    """

    def __init__(self, *, several_reports: bool = False, most_listed: int = 0) -> None:
        self._latest_per_task = LatestPerTask(several_reports=several_reports)
        self._most_listed = most_listed
        self._listed: dict[bytes | int, ListedRow] = {}
        self._apps: set[str] = set()
        self.rows: Counter[RowGroup] = Counter()
        self.samples: dict[str, Sample] = {}
        self.lines = 0
        self.superseded = 0
        self.torn: list[str] = []
        self.attempts: Counter[int] = Counter()
        self.calls = 0
        self.one_call = Durations()
        self.more_calls = Durations()
        self.timeline = Timeline()
        self._second = ""
        self._second_ms: int | None = None

    def add(self, lines: Iterable[dict[str, Any]]) -> None:
        """Count lines, as ``report.line.read_line`` returns them."""
        for values in lines:
            self.lines += 1
            self._count_row(values)
            attempts = values.get("attempts")
            if isinstance(attempts, int) and attempts > 0:
                self._count_calls(values, attempts)

    @property
    def listed(self) -> list[ListedRow]:
        """The rows for a table of what is not good, in the order of the lines."""
        return list(self._listed.values())

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

    def _count_row(self, values: dict[str, Any]) -> None:
        group = self._group(values)
        status = group.status
        key: bytes | int = self.lines
        if status not in _ROWS_ONLY and self._latest_per_task.needs(status):
            key = identity(task_of(values))
            result = LineResult(status, group.reason)
            superseded = self._latest_per_task.add(key, result)
            if superseded is not None:
                self.superseded += 1
                if superseded is result:
                    return
                self.rows[RowGroup(superseded.status, group.app_id, superseded.reason)] -= 1
                self._listed.pop(key, None)
        self.rows[group] += 1
        if not status.good and len(self._listed) < self._most_listed:
            self._listed[key] = listed_row_of(values, group.reason)

    def _group(self, values: dict[str, Any]) -> RowGroup:
        status: Status = values["status"]
        code = values.get("code")
        reason = None if code is None and status.good else self._reason(status, values)
        return RowGroup(status, "" if status is Status.INVALID else self._app(values["AppId"] or ""), reason)

    def _app(self, app_id: str) -> str:
        if app_id not in self._apps:
            if len(self._apps) >= MOST_APPS:
                return OTHERS
            self._apps.add(app_id)
        return app_id

    def _reason(self, status: Status, values: dict[str, Any]) -> str | None:
        """Return the code, or what replaces it; None where there is nothing to explain."""
        reason = text_of(values.get("code"))
        if reason is None:
            if status.good:
                return None
            reason = _without_code(status, values)
        known = self.samples.get(reason)
        if known is None:
            if len(self.samples) >= MOST_REASONS:
                return OTHERS
            self.samples[reason] = sample_of(values)
        elif known.request_id is None and values.get("request_id"):
            self.samples[reason] = sample_of(values)
        return reason

    def _count_calls(self, values: dict[str, Any], attempts: int) -> None:
        self.calls += attempts
        self.attempts[min(attempts, MOST_ATTEMPTS)] += 1
        took = values.get("seconds")
        ended_ms = self._moment_ms(values.get("finished_at"))
        if ended_ms is None or not isinstance(took, int | float) or not 0 <= took < _YEAR_SECONDS:
            return
        took_ms = round(took * 1000)
        (self.one_call if attempts == 1 else self.more_calls).add(took_ms)
        self.timeline.add(ended_ms, took_ms, values["status"], attempts)

    def _moment_ms(self, text: object) -> int | None:
        """Return Unix time in milliseconds; None for anything but a time as a report has it."""
        if not isinstance(text, str):
            return None
        second = text[:19]
        if second != self._second:
            # Most lines have the same second as the line before.
            self._second = second
            try:
                self._second_ms = int(datetime.fromisoformat(f"{second}+00:00").timestamp()) * 1000
            except ValueError:
                self._second_ms = None
        rest = text[20:23]
        if self._second_ms is None or not (rest.isascii() and rest.isdigit()):
            return None
        return self._second_ms + int(rest)


def _without_code(status: Status, values: dict[str, Any]) -> str:
    if status is Status.INVALID:
        return NO_TASK
    if status is Status.SET_ASIDE:
        return NOT_SENT
    http_status = values.get("http_status")
    if status in ASKED and http_status == _HTTP_OK:
        return NOT_ENDED
    return f"{HTTP}{http_status}" if http_status in HTTP_STATUSES else NO_ANSWER
