"""The figures of reports as the text that ``stopcast summary`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from stopcast.api.meanings import explain
from stopcast.i18n import _, duration, ngettext, status_counts, visible
from stopcast.summary import ReportFigures, Total
from stopcast.summary.as_json import utc
from stopcast.summary.latency import Durations
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import OTHERS

_APPS_SHOWN: Final = 20
_ATTEMPTS_SHOWN: Final = 6


def summary_text(figures: ReportFigures, reports: Sequence[str], *, report: str) -> str:
    """Return the summary.

    Args:
        figures: of the reports.
        reports: their names.
        report: their names as they stand in a command.
    """
    return "\n".join(_SummaryText(figures, report).lines(reports))


class _SummaryText:
    def __init__(self, figures: ReportFigures, report: str) -> None:
        self._figures = figures
        self._report = report

    def lines(self, reports: Sequence[str]) -> Iterator[str]:
        total = self._figures.total
        yield _rows(total)
        if number := self._figures.superseded:
            yield ngettext(
                "1 line was superseded by another about the same task",
                "{number:,} lines were superseded by others about the same tasks",
                number,
            )
        for name in self._figures.torn:
            yield _(
                "the last line of {report} is incomplete (still being written, or cut off by a crash) and is not "
                "counted",
                report=visible(name),
            )
        yield from self._apps()
        yield from self._codes()
        if self._figures.calls:
            yield from self._calls()
        yield ""
        yield _("report: {path}", path=_(", ").join(map(visible, reports)))
        if total.bad > total.statuses[Status.INVALID]:
            command = f"stopcast run {self._report} -o again.jsonl"
            yield _("run the rows again that are not good: {command}", command=command)

    def _apps(self) -> Iterator[str]:
        apps = self._figures.by_app()
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

    def _codes(self) -> Iterator[str]:
        codes = self._figures.by_reason()
        if codes:
            yield ""
            yield _("By code")
        for code in codes:
            name = _("others") if code.key == OTHERS else visible(code.key)
            yield "  " + _("{name}: {counts}", name=name, counts=status_counts(code.statuses))
            if code.key == OTHERS:
                continue
            sample = self._figures.samples[code.key]
            meaning, advice = explain(code.key, http_status=sample.http_status, report=self._report)
            yield f"      {meaning}"
            yield f"      {advice}"
            if sample.message:
                yield "      " + _("for example: {message}", message=visible(sample.message))
            if sample.request_id:
                yield "      " + _("for example RequestId {request_id}", request_id=visible(sample.request_id))

    def _calls(self) -> Iterator[str]:
        figures = self._figures
        sent, worst = figures.attempts.total(), figures.timeline.worst_second()
        yield ""
        yield _("Calls")
        attempts = _(", ").join(self._attempts())
        yield "  " + _calls_for(figures.calls, sent, attempts)
        began, ended = utc(figures.timeline.began_at), utc(figures.timeline.ended_at)
        if began is None or ended is None:
            return
        took = duration(figures.timeline.ended_at - figures.timeline.began_at)
        yield "  " + _("{duration}, from {began} to {ended}", duration=took, began=began, ended=ended)
        yield "  " + _("a call (of the tasks that took one): {durations}", durations=_durations(figures.one_call))
        yield "  " + _(
            "first call to end (of all tasks sent): {durations}",
            durations=_durations(figures.one_call + figures.more_calls),
        )
        yield "  " + ngettext(
            "busiest second: 1 first call, up to {ended}",
            "busiest second: {number:,} first calls, up to {ended}",
            worst.calls,
            ended=utc(worst.ended_at),
        )
        if retries := figures.calls - sent:
            yield "    " + ngettext(
                "(not included: 1 retry, because a report does not record its time)",
                "(not included: {number:,} retries, because a report does not record their times)",
                retries,
            )

    def _attempts(self) -> Iterator[str]:
        attempts = sorted(self._figures.attempts.items())
        for calls, tasks in attempts[:_ATTEMPTS_SHOWN]:
            yield _("{tasks:,} took {calls}", tasks=tasks, calls=calls)
        if rest := attempts[_ATTEMPTS_SHOWN:]:
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
    return _(", ").join(f"{name} {_seconds(value)}" for name, value in values.items())


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.3g} s"
