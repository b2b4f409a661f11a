"""The figures of reports, taken line by line in bounded memory: totals, reasons, samples, attempts, times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from stopcast.api.meanings import HTTP, NO_ANSWER, NO_TASK, NOT_ENDED, NOT_SENT
from stopcast.report.line import task_of
from stopcast.summary.latency import Times
from stopcast.summary.samples import HTTP_STATUSES, Kept, Sample, kept_of, sample_of, text_of
from stopcast.summary.timeline import Timeline
from stopcast.summary.told_once import ToldOnce, Word
from stopcast.summary.totals import Kind, Total, totals_of
from stopcast.tasks.identities import identity
from stopcast.tasks.outcome import ASKED, Status
from stopcast.tasks.task import OTHERS

#: So many different AppIds and reasons are told apart, the first ones met; the others are counted together.
MOST_APPS: Final = 1000
MOST_REASONS: Final = 200
#: A task with more attempts counts as one with this many.
MOST_ATTEMPTS: Final = 100
_ROWS_ONLY: Final = frozenset({Status.INVALID, Status.DUPLICATE})
_YEAR_SECONDS: Final = 366 * 86400
_HTTP_OK: Final = 200


class Figures:
    """Counts the lines of one report, or of several that may speak of the same tasks.

    What became of rows is counted once a task. Calls and times are counted for every line: a line that a later one
    replaces was paid for all the same.

    Args:
        several: the lines are of more than one report; tasks are told apart at 20 to 100 bytes each.
        keep: so many rows that did not go well are kept, the first ones.

    Attributes:
        rows: how many rows ended how, in which AppId, and why.
        samples: by reason, the first line with a RequestId, or the first of all.
        lines: of the reports.
        replaced: lines that do not count, because another one says more of the same task.
        torn: names of reports whose last line is not whole; that line is left out.
        attempts: tasks that were sent, by their attempts.
        calls: attempts altogether.
        one_call: how long the tasks took that needed one call.
        more_calls: how long the others took that were sent, from the first call to the end, waits included.
        timeline: when.
    """

    def __init__(self, *, several: bool = False, keep: int = 0) -> None:
        self._told_once = ToldOnce(everything=several)
        self._keep = keep
        self._kept: dict[bytes | int, Kept] = {}
        self._apps: set[str] = set()
        self.rows: Counter[Kind] = Counter()
        self.samples: dict[str, Sample] = {}
        self.lines = 0
        self.replaced = 0
        self.torn: list[str] = []
        self.attempts: Counter[int] = Counter()
        self.calls = 0
        self.one_call = Times()
        self.more_calls = Times()
        self.timeline = Timeline()
        self._second = ""
        self._second_ms: int | None = None

    def take(self, lines: Iterable[dict[str, Any]]) -> None:
        """Count some lines, as ``report_line.read_line`` returns them."""
        for values in lines:
            self.lines += 1
            self._count_row(values)
            attempts = values.get("attempts")
            if isinstance(attempts, int) and attempts > 0:
                self._count_calls(values, attempts)

    @property
    def kept(self) -> list[Kept]:
        """The rows kept, in the order in which they stand."""
        return list(self._kept.values())

    @property
    def total(self) -> Total:
        """All rows."""
        statuses: Counter[Status] = Counter()
        for kind, number in self.rows.items():
            statuses[kind.status] += number
        return Total("", +statuses)

    def by_app(self) -> list[Total]:
        """Return the rows by AppId, most rows first, the others last; rows that name no task are left out."""
        return totals_of((kind.app_id, kind.status, number) for kind, number in self.rows.items() if kind.app_id)

    def by_reason(self) -> list[Total]:
        """Return the rows that have a reason by it, those that did not go well first, the others last."""
        told = totals_of((kind.reason, kind.status, number) for kind, number in self.rows.items() if kind.reason)
        return sorted(told, key=lambda one: (one.key == OTHERS, -one.bad))

    def _count_row(self, values: dict[str, Any]) -> None:
        kind = self._kind(values)
        status = kind.status
        key: bytes | int = self.lines
        if status not in _ROWS_ONLY and self._told_once.concerns(status):
            key = identity(task_of(values))
            word = Word(status, kind.reason)
            replaced = self._told_once.replaces(key, word)
            if replaced is not None:
                self.replaced += 1
                if replaced is word:
                    return
                self.rows[Kind(replaced.status, kind.app_id, replaced.reason)] -= 1
                self._kept.pop(key, None)
        self.rows[kind] += 1
        if not status.good and len(self._kept) < self._keep:
            self._kept[key] = kept_of(values, kind.reason)

    def _kind(self, values: dict[str, Any]) -> Kind:
        status: Status = values["status"]
        code = values.get("code")
        reason = None if code is None and status.good else self._reason(status, values)
        return Kind(status, "" if status is Status.INVALID else self._app(values["AppId"] or ""), reason)

    def _app(self, app_id: str) -> str:
        if app_id not in self._apps:
            if len(self._apps) >= MOST_APPS:
                return OTHERS
            self._apps.add(app_id)
        return app_id

    def _reason(self, status: Status, values: dict[str, Any]) -> str | None:
        """Return the code, or what stands in its place, None where there is nothing to explain."""
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
        """Return Unix time in milliseconds, None for what is no moment as a report tells it."""
        if not isinstance(text, str):
            return None
        second = text[:19]
        if second != self._second:
            # Lines that follow each other mostly end in the same second.
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
