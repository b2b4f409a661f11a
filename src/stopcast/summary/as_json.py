"""The figures of reports as the object that ``stopcast summary --json`` prints."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from stopcast.api.meanings import explain
from stopcast.i18n import Language
from stopcast.report.totals import statuses_as_json
from stopcast.summary.figures import ReportFigures
from stopcast.summary.totals import Total
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import OTHERS


def as_json(figures: ReportFigures, *, report: str) -> dict[str, Any]:
    """Return the figures. Durations are in seconds; times are in UTC, and null if nothing was sent. Texts are English.

    Args:
        figures: of the reports.
        report: the report's name as it stands in a command of the advice.
    """
    total, timeline = figures.total, figures.timeline
    worst = timeline.worst_second()
    return {
        "rows": total.rows,
        "good": total.rows - total.bad,
        "bad": total.bad,
        "statuses": statuses_as_json(total.statuses),
        "apps": [{"AppId": None if app.key == OTHERS else app.key, **_rows(app)} for app in figures.by_app()],
        "codes": [_code(figures, code, report) for code in figures.by_reason()],
        "lines": figures.lines,
        "lines_replaced": figures.superseded,
        "torn": figures.torn,
        "calls": figures.calls,
        "attempts": {str(attempts): number for attempts, number in sorted(figures.attempts.items())},
        "latency": figures.one_call.as_json(),
        "time_to_end": (figures.one_call + figures.more_calls).as_json(),
        "worst_second": {"first_calls": worst.calls, "ended_at": utc(worst.ended_at)},
        "began_at": utc(timeline.began_at),
        "ended_at": utc(timeline.ended_at),
        "seconds": round(timeline.ended_at - timeline.began_at, 3),
    }


def utc(at: float) -> str | None:
    """Return Unix time in the form of a report, None for 0."""
    milliseconds = round(at * 1000)
    date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{date}.{milliseconds % 1000:03d}Z" if at else None


def _rows(total: Total) -> dict[str, Any]:
    return {"rows": total.rows, "bad": total.bad, "statuses": _named(total.statuses)}


def _named(statuses: Counter[Status]) -> dict[str, int]:
    return {status.value: number for status, number in statuses.items()}


def _code(figures: ReportFigures, total: Total, report: str) -> dict[str, Any]:
    sample = figures.samples.get(total.key)
    if sample is None:
        return {"code": None, **_rows(total)}
    meaning, advice = explain(total.key, http_status=sample.http_status, report=report, into=Language.EN)
    return {
        "code": total.key,
        **_rows(total),
        "request_id": sample.request_id,
        "message": sample.message,
        "meaning": meaning,
        "advice": advice,
    }
