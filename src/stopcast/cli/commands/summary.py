"""``stopcast summary``: prints the figures of reports or some of their rows, or writes the figures as a page."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from stopcast.cli.errors import report_errors
from stopcast.cli.options.option import FileName, Number, option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stopcast.cli.lists.reports import Reports
    from stopcast.summary import Kind, ReportFigures
    from stopcast.tasks.outcome import Status

#: The most rows in the page's table of what needs attention.
_ROWS_LISTED: Final = 1000
_LINES_AT_ONCE: Final = 500


def _complete_listed(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    from stopcast.cli.glossary import known_codes
    from stopcast.tasks.outcome import Status

    return [name for name in (*Status, *known_codes()) if name.lower().startswith(typed.lower())]


@click.command()
@click.argument(
    "reports",
    nargs=-1,
    required=True,
    metavar="REPORT...",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
@option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@option("--html", type=FileName(dir_okay=False, path_type=Path), metavar="FILE", help="Also write a page to pass on.")
@option(
    "--list",
    "listed",
    metavar="STATUS|CODE",
    shell_complete=_complete_listed,
    help="Print the rows with this status or code instead: as lines of a report, which stopcast run reads.",
)
@option("--max-per-second", type=Number(0.001), metavar="N", help="The cap that is shown. [default: the API's]")
@option("--endpoint", metavar="URL", help="The endpoint that the page names; a report does not hold it.")
@option("--account", metavar="NAME", help="The account that the page names; a report does not hold it.")
@report_errors
def summary(
    reports: tuple[str, ...],
    *,
    as_json: bool,
    html: Path | None,
    listed: str | None,
    max_per_second: float | None,
    endpoint: str | None,
    account: str | None,
) -> None:
    """Summarise reports: statuses, AppIds, error codes and what to do about them, calls, and durations.

    In several reports each task is counted once, by its most reliable line: the answer of stopcast verify first, then
    stopped, presumed stopped, already stopped, failed, gave up and set aside. Of two lines with the same status the
    later one counts. A report may be compressed; - is standard input.

    Exit status: 0 every row is good, or --list printed its rows; 1 some rows are not good; 2 wrong usage, or a report
    cannot be read.
    """
    import shlex

    from stopcast.cli.lists.reports import Reports
    from stopcast.cli.output import EXIT_BAD_ROWS, EXIT_GOOD, write_json, write_stdout
    from stopcast.report.opening import STANDARD_OUTPUT, own_stream
    from stopcast.summary.as_json import as_json as figures_as_json
    from stopcast.summary.text import summary_text

    if html:
        _check_page(html)
    if listed and as_json:
        raise click.UsageError("--list prints JSON lines already, and goes without --json")
    report = shlex.join(reports)
    with Reports(reports, twice=listed is not None) as opened:
        figures = opened.figures(most_listed=_ROWS_LISTED if html else 0, selects=_selects(listed) if listed else None)
        caps = _caps(figures, max_per_second)
        if html:
            _write_page(html, figures, reports, caps, endpoint=endpoint, account=account)
        if listed:
            _check_listed(listed, figures)
            _log_if_none(listed, figures)
            _print_lines(opened, figures)
            return
    if html and own_stream(html) == STANDARD_OUTPUT:
        pass  # the page is what is printed
    elif as_json:
        write_json({"reports": reports, **figures_as_json(figures, report=report)})
    else:
        write_stdout(summary_text(figures, reports, report=report, caps=caps))
    sys.exit(EXIT_BAD_ROWS if figures.total.bad else EXIT_GOOD)


def _selects(listed: str) -> Callable[[Status, str | None], bool]:
    """Return whether rows are listed that have this status or code, however it is spelled."""
    from stopcast.cli.glossary import normalized

    wanted = normalized(listed)
    return lambda status, reason: wanted in {normalized(status), normalized(reason or "")}


def _check_listed(listed: str, figures: ReportFigures) -> None:
    """Check that the status or code exists.

    Raises:
        ConfigurationError: no status and no code of the reports has this name.
    """
    from stopcast.cli.glossary import normalized
    from stopcast.errors import ConfigurationError
    from stopcast.i18n import _
    from stopcast.tasks.outcome import Status

    codes = [total.key for total in figures.by_reason()]
    if normalized(listed) not in map(normalized, (*Status, *codes)):
        statuses = [status.value for status in Status if figures.total.statuses[status]]
        there = _(", ").join((*statuses, *codes)) or _("none")
        raise ConfigurationError(
            _(
                "--list {name}: no row has this status or code. The statuses and codes of these rows are: {there}",
                name=listed,
                there=there,
            )
        )


def _log_if_none(listed: str, figures: ReportFigures) -> None:
    """Log that no row is listed, because an empty standard output does not say whether something failed."""
    from stopcast.cli.output import log
    from stopcast.i18n import _

    if not figures.selected:
        log(_("No row has the status or code {name}.", name=listed), event="none_listed")


def _print_lines(opened: Reports, figures: ReportFigures) -> None:
    from itertools import islice

    from stopcast.cli.output import is_read, write_stdout

    lines = opened.selected_lines(figures.selected)
    while is_read() and (batch := list(islice(lines, _LINES_AT_ONCE))):
        write_stdout(b"\n".join(batch))


def _caps(figures: ReportFigures, max_per_second: float | None) -> Mapping[Kind, float]:
    """Return the most calls a second of each kind: the API's, unless the command says otherwise."""
    from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST
    from stopcast.summary import Kind

    quotas = {Kind.STOP: STOP_WEBCAST.quota_per_second, Kind.VERIFY: GET_WEBCAST_TASK.quota_per_second}
    if max_per_second is None:
        return quotas
    stopped = figures.calls[Kind.STOP].calls > 0
    # After a run with --verify the option says how fast tasks were stopped; asking has a smaller quota of its own.
    verify = min(max_per_second, quotas[Kind.VERIFY]) if stopped else max_per_second
    return {Kind.STOP: max_per_second, Kind.VERIFY: verify}


def _check_page(path: Path) -> None:
    """Check before the reading that the page can be made, and may be written there.

    Raises:
        ConfigurationError: Jinja2 is missing, or the file exists and is not an earlier page.
    """
    from importlib.util import find_spec

    from stopcast.cli.files import check_may_be_written
    from stopcast.errors import ConfigurationError
    from stopcast.i18n import _
    from stopcast.report.opening import own_stream

    if find_spec("jinja2") is None:
        raise ConfigurationError(_("--html needs the package Jinja2, which the extra cli brings: pip install Jinja2"))
    from stopcast.summary.page import PAGE_BEGINS

    if own_stream(path) is None:
        check_may_be_written("--html", path, begins=PAGE_BEGINS.encode())


def _written_at() -> float:
    """Return the moment that a page shows: now, or that of the variable of reproducible builds."""
    import os
    import re
    import time

    from stopcast.errors import ConfigurationError
    from stopcast.i18n import _

    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        return time.time()
    if not re.fullmatch(r"(?a:\d{1,10})", epoch):
        text = _(
            "SOURCE_DATE_EPOCH is {value!r}: expected a whole number of seconds since 1970, or nothing", value=epoch
        )
        raise ConfigurationError(text)
    return float(epoch)


def _write_page(
    path: Path,
    figures: ReportFigures,
    names: Sequence[str],
    caps: Mapping[Kind, float],
    *,
    endpoint: str | None,
    account: str | None,
) -> None:
    from importlib.metadata import version

    from stopcast.cli.files import unusable
    from stopcast.cli.output import log, write_stdout
    from stopcast.i18n import _
    from stopcast.report.opening import STANDARD_OUTPUT, own_stream
    from stopcast.summary.page import Subject, page

    subject = Subject(
        # A page is passed on, so it must not show the folders of the person who wrote it.
        reports=tuple(Path(name).name for name in names),
        caps=caps,
        version=version("stopcast"),
        written_at=_written_at(),
        endpoint=endpoint,
        account=account,
    )
    # A file's name need not be UTF-8.
    content = page(figures, subject).encode("utf-8", "backslashreplace")
    if own_stream(path) == STANDARD_OUTPUT:
        write_stdout(content)
        return
    try:
        path.write_bytes(content)
    except OSError as error:
        raise unusable("--html", path, error) from None
    log(_("The page is in {path}.", path=path), event="page_written", path=str(path))
