"""Figures as the one object that ``stopcast summary --json`` prints."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from stopcast.api.meanings import explain
from stopcast.i18n import Language
from stopcast.report.totals import statuses_as_json
from stopcast.summary.figures import Figures
from stopcast.summary.totals import Total
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import OTHERS


def as_json(figures: Figures, language: Language, *, report: str) -> dict[str, Any]:
    """Return the figures. Times are in seconds, moments in UTC, and null where nothing was sent.

    Args:
        figures: to tell.
        language: of the meanings and the advice.
        report: how a command in the advice names the report.
    """
    total, timeline = figures.total, figures.timeline
    worst = timeline.worst_second()
    return {
        "rows": total.rows,
        "good": total.rows - total.bad,
        "bad": total.bad,
        "statuses": statuses_as_json(total.statuses),
        "apps": [{"AppId": None if one.key == OTHERS else one.key, **_rows(one)} for one in figures.by_app()],
        "codes": [_code(figures, one, language, report) for one in figures.by_reason()],
        "lines": figures.lines,
        "lines_replaced": figures.replaced,
        "torn": figures.torn,
        "calls": figures.calls,
        "attempts": {str(attempts): number for attempts, number in sorted(figures.attempts.items())},
        "latency": figures.one_call.as_json(),
        "time_to_end": (figures.one_call + figures.more_calls).as_json(),
        "worst_second": {"first_calls": worst.calls, "ended_at": moment(worst.ended_at)},
        "began_at": moment(timeline.began_at),
        "ended_at": moment(timeline.ended_at),
        "seconds": round(timeline.ended_at - timeline.began_at, 3),
    }


def moment(at: float) -> str | None:
    """Return Unix time as it stands in a report, None for 0."""
    milliseconds = round(at * 1000)
    date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{date}.{milliseconds % 1000:03d}Z" if at else None


def _rows(total: Total) -> dict[str, Any]:
    return {"rows": total.rows, "bad": total.bad, "statuses": _named(total.statuses)}


def _named(statuses: Counter[Status]) -> dict[str, int]:
    return {status.value: number for status, number in statuses.items()}


def _code(figures: Figures, total: Total, language: Language, report: str) -> dict[str, Any]:
    sample = figures.samples.get(total.key)
    if sample is None:
        return {"code": None, **_rows(total)}
    meaning, advice = explain(total.key, language, http_status=sample.http_status, report=report)
    return {
        "code": total.key,
        **_rows(total),
        "request_id": sample.request_id,
        "message": sample.message,
        "meaning": meaning,
        "advice": advice,
    }
