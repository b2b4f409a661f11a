"""The figures of reports as the object that ``stopcast summary --json`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from stopcast.api.meanings import explain
from stopcast.i18n import Language
from stopcast.report.totals import statuses_as_json
from stopcast.summary.calls import CallFigures
from stopcast.summary.figures import ReportFigures
from stopcast.summary.latency import Durations
from stopcast.summary.timeline import WorstSecond
from stopcast.summary.times import utc
from stopcast.summary.totals import Total
from stopcast.tasks.task import OTHERS


def as_json(figures: ReportFigures, *, report: str) -> dict[str, Any]:
    """Return the figures. Durations are in seconds; times are in UTC, and null if nothing was tried. Texts are English.

    Args:
        figures: of the reports.
        report: the report's name as it stands in a command of the advice.
    """
    total = figures.total
    kinds = {kind: calls for kind, calls in figures.calls.items() if calls.tried}
    return {
        "rows": total.rows,
        "good": total.rows - total.bad,
        "bad": total.bad,
        "statuses": statuses_as_json(total.statuses),
        "apps": [{"AppId": None if app.key == OTHERS else app.key, **_rows(app)} for app in figures.by_app()],
        "codes": [_code(figures, code, report) for code in figures.by_reason()],
        "lines": figures.lines,
        "lines_rehearsed": figures.rehearsed,
        "lines_replaced": figures.superseded,
        "lines_asked_about": figures.asked_about,
        "torn": figures.torn,
        **_calls(list(kinds.values())),
        "kinds": {kind.value: _calls([calls]) for kind, calls in kinds.items()},
    }


def _calls(kinds: Sequence[CallFigures]) -> dict[str, Any]:
    """Return the figures of calls of one kind, or of all kinds together."""
    one_call = sum((calls.one_call for calls in kinds), Durations())
    more_calls = sum((calls.more_calls for calls in kinds), Durations())
    attempts = sum((calls.attempts for calls in kinds), Counter[int]())
    timelines = [calls.timeline for calls in kinds if calls.timeline.bins]
    worst = max((timeline.worst_second() for timeline in timelines), default=WorstSecond(0, 0.0))
    began = min((timeline.began_at for timeline in timelines), default=0.0)
    ended = max((timeline.ended_at for timeline in timelines), default=0.0)
    return {
        "calls": sum(calls.calls for calls in kinds),
        "unsent": sum(calls.unsent for calls in kinds),
        "attempts": {str(number): lines for number, lines in sorted(attempts.items())},
        "latency": one_call.as_json(),
        "time_to_end": (one_call + more_calls).as_json(),
        "worst_second": {"first_calls": worst.calls, "ended_at": utc(worst.ended_at)},
        "began_at": utc(began),
        "ended_at": utc(ended),
        "seconds": round(ended - began, 3),
    }


def _rows(total: Total) -> dict[str, Any]:
    statuses = {status.value: number for status, number in total.statuses.items()}
    return {"rows": total.rows, "bad": total.bad, "statuses": statuses}


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
        "messages": [
            {
                "message": None if message == OTHERS else message,
                "rows": rows,
                "source": first.source,
                "line": first.line,
            }
            for message, rows, first in figures.by_message(total.key)
        ],
        "meaning": meaning,
        "advice": advice,
    }
