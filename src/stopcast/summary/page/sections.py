"""The sections of the page as values for its templates: codes, calls of each kind, AppIds, and the rows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stopcast.api.meanings import explain, message_shown
from stopcast.i18n import Verbatim, _, ngettext
from stopcast.summary.calls import CallFigures, Kind
from stopcast.summary.figures import ReportFigures
from stopcast.summary.page.chart import Chart
from stopcast.summary.page.latency_chart import latency_chart
from stopcast.summary.page.numbers import cut, percent, rate
from stopcast.summary.page.over_time import ends_chart, first_calls_chart, retries_chart
from stopcast.summary.samples import ListedRow
from stopcast.summary.text import CALLS_OF_KIND, over_the_cap, reason_name, rows_with_message
from stopcast.summary.times import clock, took, zone
from stopcast.summary.totals import MessageTotal, Total
from stopcast.tasks.task import OTHERS

_CODES_SHOWN: Final = 30
_APPS_SHOWN: Final = 30
#: Up to this many attempts have a row each; more attempts share rows.
_ATTEMPTS_ALONE: Final = 5
_ATTEMPTS_TOGETHER: Final = ((6, 10), (11, 20), (21, 10**9))
_MESSAGE_CUT_AT: Final = 120
#: Of each code; the others are folded.
_MESSAGES_SHOWN: Final = 3
_ID_CUT_AT: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A code with its meaning and advice, its messages and where their rows are."""

    name: str
    total: Total
    meaning: str = ""
    advice: str = ""
    messages: Sequence[str] = ()
    more_messages: Sequence[str] = ()
    request_id: str | None = None
    command: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure with its name and a remark."""

    name: str
    value: str
    more: str


@dataclass(frozen=True, slots=True)
class AttemptsRow:
    """The tasks that took a number of calls."""

    calls: str
    tasks: int
    share: str
    width: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsSection:
    """The calls of one kind."""

    name: str
    facts: Sequence[Fact]
    charts: Sequence[Chart]
    latency: Chart | None
    attempts: Sequence[AttemptsRow]
    attempts_note: str


@dataclass(frozen=True, slots=True)
class App:
    """The rows of an AppId, and the width of their bar in percent."""

    name: str
    total: Total
    width: str


def codes(figures: ReportFigures, report: str) -> list[Code]:
    """Return the codes; ``report`` stands for the report in a command."""
    return [_code(figures, total, report) for total in figures.by_reason()[:_CODES_SHOWN]]


def more_codes(figures: ReportFigures) -> str:
    """Return how many codes are not shown, "" for none."""
    return _more(figures.by_reason()[_CODES_SHOWN:])


def _code(figures: ReportFigures, total: Total, report: str) -> Code:
    sample = figures.samples.get(total.key)
    if sample is None:
        return Code(name=_("Other codes"), total=total)
    meaning, advice = explain(total.key, http_status=sample.http_status, report=report)
    messages = [_message(total.key, message) for message in figures.by_message(total.key)]
    if not messages and sample.message:
        messages = [_("for example: {message}", message=_cut_message(total.key, sample.message))]
    return Code(
        name=cut(reason_name(total.key), _ID_CUT_AT),
        total=total,
        meaning=meaning,
        advice=cut(advice, 400),
        messages=messages[:_MESSAGES_SHOWN],
        more_messages=messages[_MESSAGES_SHOWN:],
        request_id=sample.request_id and cut(sample.request_id),
        command=cut(f"stopcast summary {report} --list {shlex.quote(total.key)}", 400) if total.bad else "",
    )


def _cut_message(reason: str, message: str) -> Verbatim:
    return Verbatim(cut(message_shown(reason, message)))


def _message(reason: str, total: MessageTotal) -> str:
    message = _("others") if total.message == OTHERS else _cut_message(reason, total.message)
    return rows_with_message(message, total.rows, cut(str(total.first), 60))


def calls_of(figures: ReportFigures, kind: Kind, cap: float) -> CallsSection:
    """Return the section of one kind of calls."""
    calls = figures.calls[kind]
    return CallsSection(
        name=_(CALLS_OF_KIND[kind]),
        facts=list(_facts(calls, cap)),
        charts=list(_charts(calls, kind, cap)),
        latency=latency_chart(calls.one_call) if len(calls.one_call.by_length) > 1 else None,
        attempts=_attempts(calls),
        attempts_note=_("A task that was sent again counts each time.")
        if figures.superseded > figures.asked_about
        else "",
    )


def _charts(calls: CallFigures, kind: Kind, cap: float) -> Iterator[Chart]:
    bins = calls.timeline.bins.values()
    if bins:
        if any(each.first_calls for each in bins):
            yield first_calls_chart(calls.timeline, cap)
        if any(each.retries for each in bins):
            yield retries_chart(calls.timeline)
        titles = {Kind.STOP: _("Outcomes over time"), Kind.VERIFY: _("Answers over time")}
        yield ends_chart(calls.timeline, titles[kind])


def _facts(calls: CallFigures, cap: float) -> Iterator[Fact]:
    yield Fact(_("calls"), f"{calls.calls:,}", _retries(calls))
    if calls.unsent:
        yield Fact(_("attempts without a connection"), f"{calls.unsent:,}", _("no calls: nothing was sent in them"))
    began, ended = calls.timeline.began_at, calls.timeline.ended_at
    if began:
        yield Fact(_("time"), took(ended - began), _mean(calls, ended - began))
    worst = calls.timeline.worst_second()
    if worst.calls:
        yield Fact(
            _("busiest second"),
            ngettext("1 first call", "{number:,} first calls", worst.calls),
            _busiest(worst.ended_at, cap, over=worst.calls > cap),
        )
    if calls.one_call:
        p50, p95, p99 = map(took, calls.one_call.percentiles((50, 95, 99)))
        yield Fact(
            _("duration of a call"),
            _("median {median}", median=p50),
            _("95% within {p95}, 99% within {p99}", p95=p95, p99=p99),
        )


def _mean(calls: CallFigures, seconds: float) -> str:
    if not calls.calls:
        return _("from the first attempt to the last")
    if seconds < 1:
        return _("too short for a rate")
    return _("{rate} calls a second on average, pauses included", rate=rate(calls.calls / seconds))


def _retries(calls: CallFigures) -> str:
    if not calls.calls:
        return _("no attempt had a connection")
    if not calls.retries:
        return _("one for each task")
    share = percent(calls.retries, calls.calls)
    return ngettext("1 of them a retry ({share})", "{number:,} of them retries ({share})", calls.retries, share=share)


def _busiest(at: float, cap: float, *, over: bool) -> str:
    if over:
        return over_the_cap(cap)
    if distance := zone(at):
        return _(
            "the cap is {cap:g}; up to {utc} UTC, {local} local time ({zone})",
            cap=cap,
            utc=clock(at),
            local=clock(at, local=True),
            zone=distance,
        )
    return _("the cap is {cap:g}; up to {utc} UTC", cap=cap, utc=clock(at))


def _attempts(calls: CallFigures) -> list[AttemptsRow]:
    counted = [(str(number), calls.calls_for_task[number]) for number in range(1, _ATTEMPTS_ALONE + 1)]
    for least, most in _ATTEMPTS_TOGETHER:
        tasks = sum(tasks for number, tasks in calls.calls_for_task.items() if least <= number <= most)
        counted.append((f"{least}–{most}" if most < 10**9 else f"{least}+", tasks))
    largest = max(tasks for _name, tasks in counted) or 1
    return [
        AttemptsRow(name, tasks, percent(tasks, calls.sent), f"{tasks / largest * 100:.1f}")
        for name, tasks in counted
        if tasks
    ]


def apps(figures: ReportFigures) -> list[App]:
    """Return the AppIds with the most rows."""
    totals = figures.by_app()
    most = max((total.rows for total in totals), default=1)
    return [
        App(
            _("others") if total.key == OTHERS else cut(total.key, _ID_CUT_AT),
            total,
            f"{max(total.rows / most * 100, 1):.1f}",
        )
        for total in totals[:_APPS_SHOWN]
    ]


def more_apps(figures: ReportFigures) -> str:
    """Return how many AppIds are not shown, "" for none."""
    return _more(figures.by_app()[_APPS_SHOWN:])


def _more(rest: Sequence[Total]) -> str:
    if not rest:
        return ""
    return ngettext(
        "And 1 more, with {rows:,} rows; stopcast summary --json lists it.",
        "And {number:,} more, with {rows:,} rows; stopcast summary --json lists them.",
        len(rest),
        rows=sum(total.rows for total in rest),
    )


def row_columns() -> list[str]:
    """Return the column names of the table of rows."""
    return [_("status"), _("code"), "AppId", "RoomId", "TaskId", _("line"), "RequestId"]


def row(listed: ListedRow) -> dict[str, Any]:
    """Return a row that needs attention, as its template takes it."""
    return {
        "status": listed.status,
        "reason": cut(reason_name(listed.reason or ""), _ID_CUT_AT),
        "message": cut(message_shown(listed.reason, listed.message or ""), _MESSAGE_CUT_AT),
        "task": [cut(part, _ID_CUT_AT) for part in listed.task],
        "place": cut(str(listed.place), 80),
        "request_id": cut(listed.request_id or "", _ID_CUT_AT),
    }
