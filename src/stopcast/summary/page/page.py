"""The page as a whole: its sections, and the limit on its size."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from markupsafe import Markup

from stopcast.i18n import Language, _, language, ngettext
from stopcast.summary.calls import Kind
from stopcast.summary.figures import ReportFigures
from stopcast.summary.next_steps import Todo, asked_only, next_steps
from stopcast.summary.page import sections
from stopcast.summary.page.templating import environment, source
from stopcast.summary.text import rehearsed, superseded
from stopcast.summary.times import moment, zone
from stopcast.tasks.outcome import ASKED, STOPPED, Status

#: The beginning of every page. Only a file that begins like this is overwritten.
PAGE_BEGINS: Final = "<!doctype html>\n<!-- stopcast summary -->\n"
#: The largest size of a page, whatever the size of the report.
PAGE_BYTES: Final = 300_000
_NAMES_SHOWN: Final = 5
#: For the sentences around the rows.
_SPARE_BYTES: Final = 3000
#: Rows that name no task, rows whose task another row has named before, and tasks that were not to be stopped.
_NO_TASKS: Final = frozenset({Status.INVALID, Status.DUPLICATE, Status.EXCLUDED})


#: What is left to do, as a sentence that a command follows.
_TODO: Final[Mapping[Todo, Callable[[int], str]]] = {
    Todo.FIX_ROWS: lambda rows: ngettext(
        "1 row names no task. Fix it in the list. This prints it:",
        "{number:,} rows name no task. Fix them in the list. This prints them:",
        rows,
    ),
    Todo.RUN_AGAIN: lambda rows: ngettext(
        "1 task is not stopped. Remove the cause below, then run it again:",
        "{number:,} tasks are not stopped. Remove the causes below, then run them again:",
        rows,
    ),
    Todo.STOP_RUNNING: lambda rows: ngettext(
        "1 task still runs. Stop it:", "{number:,} tasks still run. Stop them:", rows
    ),
    Todo.ASK_AGAIN: lambda rows: ngettext(
        "1 task is not known to have ended. Ask again:",
        "{number:,} tasks are not known to have ended. Ask again:",
        rows,
    ),
    Todo.RUN_FOR_REAL: lambda _rows: _(
        "This was a rehearsal: nothing real was stopped. To stop the tasks, run the same command without --sandbox."
    ),
    Todo.VERIFY: lambda _rows: _("Nothing. If you want to make sure, ask the API whether the recordings have ended:"),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a page shows beside the figures.

    Attributes:
        reports: the names of the reports.
        caps: calls a second of each kind, drawn as a line in its chart.
        version: of the program.
        written_at: Unix time.
        endpoint: of the API, None if it is not known.
        account: whose tasks they are, None if it is not known.
    """

    reports: tuple[str, ...]
    caps: Mapping[Kind, float]
    version: str
    written_at: float
    endpoint: str | None = None
    account: str | None = None

    @property
    def named(self) -> str:
        """The reports as arguments of a command."""
        few = len(self.reports) <= _NAMES_SHOWN
        return shlex.join(self.reports) if few else f"{shlex.join(self.reports[:_NAMES_SHOWN])} ..."


def page(figures: ReportFigures, subject: Subject) -> str:
    """Return the page. It loads nothing, and its content security policy allows no script but its own."""
    values = _values(figures, subject)
    without_rows = _render("page.html", **values, rows="")
    if not figures.total.bad:
        return without_rows
    room = PAGE_BYTES - len(without_rows.encode()) - _SPARE_BYTES
    return _render("page.html", **values, rows=_rows(figures, subject, room))


def _render(template: str, **values: Any) -> Markup:
    return Markup(environment().get_template(template).render(values))  # noqa: S704 - the template has escaped it


def _values(figures: ReportFigures, subject: Subject) -> dict[str, Any]:
    script = source("page.js")
    return {
        "begins": Markup(PAGE_BEGINS),  # noqa: S704 - our own
        "language": "zh-CN" if language() is Language.ZH else "en",
        "style": Markup(source("page.css")),  # noqa: S704 - our own
        "script": Markup(script),  # noqa: S704
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "headline": _("Rehearsal: {headline}", headline=headline(figures)) if figures.rehearsal else headline(figures),
        "about": list(_about(figures, subject)),
        "notes": list(_notes(figures)),
        "total": figures.total,
        "steps": list(_steps(figures, subject)),
        "codes": sections.codes(figures, subject.named),
        "more_codes": sections.more_codes(figures),
        "kinds": [
            sections.calls_of(figures, kind, subject.caps[kind]) for kind, calls in figures.calls.items() if calls.tried
        ],
        "apps": sections.apps(figures),
        "more_apps": sections.more_apps(figures),
        "row_columns": sections.row_columns(),
        "version": subject.version,
        "written": _both_times(subject.written_at),
    }


def headline(figures: ReportFigures) -> str:
    """Return the result in one sentence."""
    statuses = figures.total.statuses
    asked = asked_only(figures) or statuses.keys() & ASKED
    tasks = sum(number for status, number in statuses.items() if status not in _NO_TASKS)
    good = sum(number for status, number in statuses.items() if status not in _NO_TASKS and status.good)
    if not tasks:
        return _("No tasks")
    if asked and statuses.keys() & STOPPED:
        if good == tasks:
            return ngettext("The task is stopped or has ended", "All {number:,} tasks are stopped or have ended", tasks)
        return _("{good:,} of {tasks:,} tasks are stopped or have ended", good=good, tasks=tasks)
    return _all_ended(tasks, good) if asked else _all_stopped(tasks, good)


def _all_ended(tasks: int, good: int) -> str:
    if good == tasks:
        return ngettext("The task has ended", "All {number:,} tasks have ended", tasks)
    return ngettext("The task has not ended", "{good:,} of {number:,} tasks have ended", tasks, good=good)


def _all_stopped(tasks: int, good: int) -> str:
    if good == tasks:
        return ngettext("The task is stopped", "All {number:,} tasks are stopped", tasks)
    return ngettext("The task is not stopped", "{good:,} of {number:,} tasks are stopped", tasks, good=good)


def _about(figures: ReportFigures, subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield what the page is about, as pairs of a name and a text."""
    names = _(", ").join(subject.reports[:_NAMES_SHOWN])
    if rest := len(subject.reports) - _NAMES_SHOWN:
        names = names if rest < 0 else _("{names} and {number:,} more", names=names, number=rest)
    yield _("report"), names
    timelines = [calls.timeline for calls in figures.calls.values() if calls.timeline.bins]
    if timelines:
        yield _("start"), _both_times(min(timeline.began_at for timeline in timelines))
        yield _("end"), _both_times(max(timeline.ended_at for timeline in timelines))
    if subject.account:
        yield _("account"), subject.account
    if subject.endpoint:
        yield _("endpoint"), subject.endpoint
    yield _("page written"), _both_times(subject.written_at)


def _steps(figures: ReportFigures, subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield what is left to do, as pairs of a sentence and a command."""
    for todo, rows, command in next_steps(figures, subject.named):
        yield _TODO[todo](rows), command


def _both_times(at: float) -> str:
    """Return a moment in UTC, and in local time beside it."""
    if distance := zone(at):
        return _("{utc} UTC ({local}, {zone})", utc=moment(at), local=moment(at, local=True), zone=distance)
    return _("{utc} UTC", utc=moment(at))


def _notes(figures: ReportFigures) -> Iterator[str]:
    """Yield sentences about what is not counted."""
    yield from superseded(figures)
    if figures.rehearsed and not figures.rehearsal:
        yield rehearsed(figures)
    if figures.torn:
        yield _("The last line is incomplete and is not counted.")


def _rows(figures: ReportFigures, subject: Subject, room: int) -> Markup:
    """Return the section of the rows that need attention, with as many rows as there is room for, in bytes."""

    def fits(row: str) -> bool:
        nonlocal room
        room -= len(row.encode())
        return room >= 0

    total, named = figures.total, subject.named
    rendered = (_render("row.html", **sections.row(listed)) for listed in figures.listed)
    shown = list(takewhile(fits, rendered))
    bad = [status for status in total.statuses if not status.good]
    return _render(
        "rows.html",
        row_columns=sections.row_columns(),
        rows=Markup().join(shown),
        listed=_listed(len(shown), total.bad),
        list_commands=[f"stopcast summary {named} --list {status}" for status in bad] if len(shown) < total.bad else [],
    )


def _listed(shown: int, bad: int) -> str:
    if shown == bad:
        return ngettext("The one row is here.", "All {number:,} rows are here.", bad)
    return _("{shown:,} of {bad:,} rows are here. These commands print all of them:", shown=shown, bad=bad)
