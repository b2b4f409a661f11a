"""The figures of reports as the text that ``stopcast summary`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from stopcast.api.meanings import WITHOUT_CODE, explain, message_shown
from stopcast.i18n import STATUS_WORDS, _, duration, ngettext, status_counts, visible
from stopcast.marking import N_
from stopcast.summary.calls import CallFigures, Kind
from stopcast.summary.figures import ReportFigures
from stopcast.summary.latency import Durations
from stopcast.summary.next_steps import Todo, next_steps
from stopcast.summary.samples import Sample
from stopcast.summary.timeline import WorstSecond
from stopcast.summary.times import moment, took, utc, zone
from stopcast.summary.totals import Total
from stopcast.tasks.task import OTHERS

_APPS_SHOWN: Final = 20
_ATTEMPTS_SHOWN: Final = 6


#: The steps that come after a list of the rows.
_TODO: Final = {
    Todo.RUN_AGAIN: N_("run the rows again that are not good: {command}"),
    Todo.STOP_RUNNING: N_("stop the tasks that still run: {command}"),
    Todo.ASK_AGAIN: N_("ask again about the tasks that are not known to have ended: {command}"),
}
#: The calls of each kind as a heading.
CALLS_OF_KIND: Final = {Kind.STOP: N_("Stop calls"), Kind.VERIFY: N_("Verify calls")}


def summary_text(figures: ReportFigures, reports: Sequence[str], *, report: str, caps: Mapping[Kind, float]) -> str:
    """Return the summary.

    Args:
        figures: of the reports.
        reports: their names.
        report: their names as they stand in a command.
        caps: the most calls a second of each kind.
    """
    return "\n".join(_lines(figures, reports, report, caps))


def _lines(figures: ReportFigures, reports: Sequence[str], report: str, caps: Mapping[Kind, float]) -> Iterator[str]:
    total = figures.total
    yield _rows(total)
    if figures.rehearsed:
        yield rehearsed(figures)
    yield from superseded(figures)
    for name in figures.torn:
        yield _(
            "the last line of {report} is incomplete (still being written, or cut off by a crash) and is not counted",
            report=visible(name),
        )
    yield from _apps(figures)
    yield from _codes(figures, report)
    for kind, calls in figures.calls.items():
        if calls.tried:
            yield from ("", _(CALLS_OF_KIND[kind]))
            yield from (f"  {line}" for line in _calls(calls, caps[kind]))
    yield ""
    yield _("report: {path}", path=_(", ").join(map(visible, reports)))
    if bad := next((status for status in STATUS_WORDS if total.statuses[status] and not status.good), None):
        command = f"stopcast summary {report} --list {bad}"
        yield _("list the rows of a status or a code: {command}", command=command)
    for todo, _number, command in next_steps(figures, report):
        if todo in _TODO:
            yield _(_TODO[todo], command=command)


def reason_name(reason: str) -> str:
    """Return a code as it is, or what stands for one in the language of the command."""
    if reason == OTHERS:
        return _("others")
    return _(reason) if reason in WITHOUT_CODE else visible(reason)


def rehearsed(figures: ReportFigures) -> str:
    """Return how many lines are about nothing real."""
    return ngettext(
        "1 line is of a rehearsal with --sandbox: its task was not really stopped",
        "{number:,} lines are of a rehearsal with --sandbox: their tasks were not really stopped",
        figures.rehearsed,
    )


def superseded(figures: ReportFigures) -> Iterator[str]:
    """Yield sentences about the lines that do not count as rows."""
    if number := figures.asked_about:
        yield ngettext(
            "1 task was stopped and then asked about: the answer counts",
            "{number:,} tasks were stopped and then asked about: the answers count",
            number,
        )
    if number := figures.superseded - figures.asked_about:
        yield ngettext(
            "1 line was superseded by another about the same task",
            "{number:,} lines were superseded by others about the same tasks",
            number,
        )


def _apps(figures: ReportFigures) -> Iterator[str]:
    apps = figures.by_app()
    if apps:
        yield ""
        yield _("By AppId")
    for app in apps[:_APPS_SHOWN]:
        name = _("others") if app.key == OTHERS else visible(app.key)
        yield "  " + _("{name}: {counts}", name=name, counts=_rows(app))
    if len(apps) > _APPS_SHOWN:
        rest = apps[_APPS_SHOWN:]
        yield "  " + ngettext(
            "and {number:,} more AppId with {rows:,} rows; --json lists them",
            "and {number:,} more AppIds with {rows:,} rows; --json lists them",
            len(rest),
            rows=sum(app.rows for app in rest),
        )


def _codes(figures: ReportFigures, report: str) -> Iterator[str]:
    codes = figures.by_reason()
    if codes:
        yield ""
        yield _("By code")
    for code in codes:
        yield "  " + _("{name}: {counts}", name=reason_name(code.key), counts=status_counts(code.statuses))
        if code.key == OTHERS:
            continue
        sample = figures.samples[code.key]
        meaning, advice = explain(code.key, http_status=sample.http_status, report=report)
        yield f"      {meaning}"
        yield f"      {advice}"
        yield from (f"      {line}" for line in _messages(figures, code.key) or _example(code.key, sample))
        if sample.request_id:
            yield "      " + _("for example RequestId {request_id}", request_id=visible(sample.request_id))


def _messages(figures: ReportFigures, reason: str) -> list[str]:
    return [
        rows_with_message(
            _("others") if message == OTHERS else message_shown(reason, message), rows, visible(str(first))
        )
        for message, rows, first in figures.by_message(reason)
    ]


def rows_with_message(message: str, rows: int, place: str) -> str:
    """Return how many rows have a message, and where the first of them stands, "" where that is unknown."""
    if not place:
        return ngettext("1 row: {message}", "{number:,} rows: {message}", rows, message=message)
    return ngettext(
        "1 row: {message} ({place})",
        "{number:,} rows: {message} (the first: {place})",
        rows,
        message=message,
        place=place,
    )


def _example(reason: str, sample: Sample) -> Iterator[str]:
    if sample.message:
        yield _("for example: {message}", message=message_shown(reason, sample.message))


def _calls(calls: CallFigures, cap: float) -> Iterator[str]:
    timeline = calls.timeline
    if calls.calls:
        yield _calls_for(calls.calls, calls.sent, _(", ").join(_attempts(calls)))
    if calls.unsent:
        yield ngettext(
            "1 attempt had no connection; nothing was sent in it",
            "{number:,} attempts had no connection; nothing was sent in them",
            calls.unsent,
        )
    began, ended = utc(timeline.began_at), utc(timeline.ended_at)
    if began is None or ended is None:
        return
    yield _(
        "{duration}, from {began} to {ended}",
        duration=duration(timeline.ended_at - timeline.began_at),
        began=began,
        ended=ended,
    )
    if distance := zone(timeline.began_at):
        yield _(
            "in local time ({zone}) from {began} to {ended}",
            zone=distance,
            began=moment(timeline.began_at, local=True),
            ended=moment(timeline.ended_at, local=True),
        )
    if not calls.calls:
        return
    if calls.one_call:
        yield _("a call (of the tasks that took one): {durations}", durations=_durations(calls.one_call))
    yield _(
        "first attempt to end (of all tasks sent): {durations}",
        durations=_durations(calls.one_call + calls.more_calls),
    )
    worst = timeline.worst_second()
    if worst.calls:
        yield _busiest(worst, cap)
    if worst.calls > cap:
        yield f"  ({over_the_cap(cap)})"
    if calls.retries:
        yield "  " + ngettext(
            "(not included: 1 retry, because a report does not record its time)",
            "(not included: {number:,} retries, because a report does not record their times)",
            calls.retries,
        )


def over_the_cap(cap: float) -> str:
    """Return why more first calls than the cap can have one second. A report has the times of the machine's clock."""
    return _(
        "more than the cap of {cap:g}: several accounts, another cap (--max-per-second), or a clock that was set back",
        cap=cap,
    )


def _busiest(worst: WorstSecond, cap: float) -> str:
    return ngettext(
        "busiest second: 1 first call (the cap is {cap:g}), up to {ended}",
        "busiest second: {number:,} first calls (the cap is {cap:g}), up to {ended}",
        worst.calls,
        cap=cap,
        ended=utc(worst.ended_at),
    )


def _attempts(figures: CallFigures) -> Iterator[str]:
    attempts = sorted(figures.calls_for_task.items())
    # A range of one number would say nothing more.
    alone = len(attempts) if len(attempts) == _ATTEMPTS_SHOWN + 1 else _ATTEMPTS_SHOWN
    for calls, tasks in attempts[:alone]:
        yield _("{tasks:,} took {calls}", tasks=tasks, calls=calls)
    if rest := attempts[alone:]:
        tasks = sum(tasks for _calls, tasks in rest)
        yield _("{tasks:,} took {least} to {most}", tasks=tasks, least=rest[0][0], most=rest[-1][0])


def _calls_for(calls: int, tasks: int, attempts: str) -> str:
    if calls == 1:
        return _("1 call for 1 task: {attempts}", attempts=attempts)
    return ngettext(
        "{calls:,} calls for 1 task: {attempts}",
        "{calls:,} calls for {number:,} tasks: {attempts}",
        tasks,
        calls=calls,
        attempts=attempts,
    )


def _rows(total: Total) -> str:
    return ngettext(
        "1 row: {counts}", "{number:,} rows: {counts}", total.rows, counts=status_counts(total.statuses) or _("none")
    )


def _durations(durations: Durations) -> str:
    values = durations.as_json()
    if not values.pop("tasks"):
        return _("none")
    return _(", ").join(f"{name} {took(value)}" for name, value in values.items())
