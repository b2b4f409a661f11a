"""``stopcast summary``: reads reports in one pass, and prints their figures or writes them as a page."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from stopcast.cli.log_output import report_errors
from stopcast.cli.options.option import Number, option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stopcast.i18n import Language
    from stopcast.summary import ReportFigures

#: The most rows in the page's table of what needs attention.
ROWS_LISTED: Final = 1000
_LINES_AT_ONCE: Final = 500
#: Reading a report of this size takes long enough to show a progress bar.
_LONG_BYTES: Final = 20_000_000


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument(
    "reports",
    nargs=-1,
    required=True,
    metavar="REPORT...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Also write a page to pass on.")
@option("--max-per-second", type=Number(0), metavar="N", help="The cap that the page shows. [default: the API's]")
@report_errors
def summary(reports: tuple[Path, ...], *, as_json: bool, html: Path | None, max_per_second: float) -> None:
    """Summarise reports: statuses, AppIds, error codes and what to do about them, calls, and durations.

    In several reports each task is counted once, by its most reliable line: the answer of stopcast verify first, then
    stopped, presumed stopped, already stopped, failed, gave up and set aside. Of two lines with the same status the
    later one counts.

    Exit status: 0 every row is good; 1 some rows are not; 2 wrong usage, or a report cannot be read.
    """
    import shlex

    from stopcast.cli.output import EXIT_BAD_ROWS, EXIT_GOOD, write_json, write_stdout
    from stopcast.i18n import language
    from stopcast.summary.as_json import as_json as figures_as_json
    from stopcast.summary.text import summary_text

    if html:
        _check_page(html)
    figures = read_reports(reports, most_listed=ROWS_LISTED if html else 0)
    names = [str(report) for report in reports]
    report = shlex.join(names)
    if html:
        _write_page(html, figures, names, max_per_second, language())
    if as_json:
        write_json({"reports": names, **figures_as_json(figures, report=report)})
    else:
        write_stdout(summary_text(figures, names, report=report))
    sys.exit(EXIT_BAD_ROWS if figures.total.bad else EXIT_GOOD)


def read_reports(reports: Sequence[Path], *, most_listed: int) -> ReportFigures:
    """Read reports; runs may still be writing them.

    Raises:
        ListError: a file cannot be read, or is not a report.
    """
    from itertools import islice

    from stopcast.errors import ListError, ReportError
    from stopcast.report.line import LineReader
    from stopcast.summary import ReportFigures

    figures = ReportFigures(several_reports=len(reports) > 1, most_listed=most_listed)
    for report in reports:
        reader = LineReader(str(report))
        try:
            with report.open("rb", buffering=1 << 20) as file, _progress(report) as advance:
                while lines := list(islice(file, _LINES_AT_ONCE)):
                    figures.add(reader.read(lines))
                    advance(sum(map(len, lines)))
            reader.finish()
            if reader.torn:
                figures.torn.append(str(report))
        except ReportError as error:
            raise ListError(str(error)) from None
        except OSError as error:
            raise ListError(f"the report {report} cannot be read: {error.strerror}") from None
    return figures


@contextmanager
def _progress(report: Path) -> Iterator[Callable[[int], object]]:
    """Show a progress bar on a terminal while a large report is read."""
    size = report.stat().st_size
    on_terminal = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    if size < _LONG_BYTES or not on_terminal:
        yield lambda _: None
        return
    with click.progressbar(length=size, label=f"reading {report.name}", file=sys.stderr) as bar:
        bar.update_min_steps = size // 200
        yield bar.update


def _check_page(path: Path) -> None:
    """Check before the reading that the page may be written there.

    Raises:
        ConfigurationError: the file exists and is not an earlier page.
    """
    from stopcast.errors import ConfigurationError
    from stopcast.summary.page import PAGE_BEGINS

    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            begins = file.read(len(PAGE_BEGINS))
    except OSError as error:
        raise ConfigurationError(f"--html {path}: {error.strerror}. Name another file") from None
    if begins not in {b"", PAGE_BEGINS.encode()}:
        raise ConfigurationError(f"--html {path}: the file exists and was not written by stopcast; name another one")


def _write_page(
    path: Path, figures: ReportFigures, names: Sequence[str], cap: float | None, language: Language
) -> None:
    from importlib.metadata import version

    from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST
    from stopcast.errors import ConfigurationError
    from stopcast.summary.page import Subject, page
    from stopcast.tasks.outcome import ASKED

    if cap is None:
        cap = (GET_WEBCAST_TASK if figures.total.statuses.keys() & ASKED else STOP_WEBCAST).quota_per_second
    # A page is passed on, so it must not show the folders of the person who wrote it.
    reports = tuple(Path(name).name for name in names)
    content = page(figures, Subject(reports=reports, cap=cap, language=language, version=version("stopcast")))
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--html {path}: {error.strerror}. Name a file in a folder that exists") from None
