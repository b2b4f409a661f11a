"""``stopcast summary``: the figures of reports, read in one pass."""

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
    from stopcast.summary import Figures

#: Rows that did not go well, in the page's table.
ROWS_LISTED: Final = 1000
_LINES_AT_ONCE: Final = 500
#: A report of this size takes more than a moment.
_LONG_BYTES: Final = 20_000_000


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument(
    "reports",
    nargs=-1,
    required=True,
    metavar="REPORT...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@option("--json", "as_json", is_flag=True, help="As one JSON object.")
@option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="As a page to pass on, as well."
)
@option("--lang", type=click.Choice(["en", "zh"]), help="English or Chinese. [the locale's]")
@option("--max-per-second", type=Number(0), metavar="N", help="The cap that it draws. [the API's]")
@report_errors
def summary(
    reports: tuple[Path, ...], *, as_json: bool, html: Path | None, lang: str | None, max_per_second: float
) -> None:
    """Tell what reports add up to: statuses, AppIds, codes and what to do about them, calls, times.

    Of several reports each task is told once, and the most settled line counts: stopped, then presumed stopped, already
    stopped, failed, and last gave up and set aside; of two that are alike, the later one.

    Exit status: 0 every row is good, 1 some are not, 2 a report cannot be read.
    """
    import shlex

    import orjson

    from stopcast.cli.output import EXIT_BAD_ROWS, EXIT_GOOD, write_stdout
    from stopcast.i18n import Language
    from stopcast.summary.as_json import as_json as figures_as_json
    from stopcast.summary.text import summary_text

    if html:
        _check_page(html)
    language = Language(lang) if lang else Language.of_locale(os.environ)
    figures = read_reports(reports, keep=ROWS_LISTED if html else 0)
    names = [str(report) for report in reports]
    report = shlex.join(names)
    if html:
        _write_page(html, figures, names, max_per_second, language)
    if as_json:
        write_stdout(orjson.dumps({"reports": names, **figures_as_json(figures, language, report=report)}))
    else:
        write_stdout(summary_text(figures, names, language, report=report))
    sys.exit(EXIT_BAD_ROWS if figures.total.bad else EXIT_GOOD)


def read_reports(reports: Sequence[Path], *, keep: int) -> Figures:
    """Read the reports, which others may still be writing.

    Raises:
        ListError: one of them cannot be read, or is none.
    """
    from itertools import islice

    from stopcast.errors import ListError, ReportError
    from stopcast.report.line import LineReader
    from stopcast.summary import Figures

    figures = Figures(several=len(reports) > 1, keep=keep)
    for report in reports:
        reader = LineReader(str(report))
        try:
            with report.open("rb", buffering=1 << 20) as file, _progress(report) as advance:
                while lines := list(islice(file, _LINES_AT_ONCE)):
                    figures.take(reader.read(lines))
                    advance(sum(map(len, lines)))
            reader.finish()
            if reader.torn:
                figures.torn.append(str(report))
        except ReportError as error:
            raise ListError(f"{error}, such as stopcast run writes") from None
        except OSError as error:
            raise ListError(f"the report {report} cannot be read: {error.strerror}") from None
    return figures


@contextmanager
def _progress(report: Path) -> Iterator[Callable[[int], object]]:
    """Draw how far the reading is where somebody would else look at a still terminal."""
    size = report.stat().st_size
    seen = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    if size < _LONG_BYTES or not seen:
        yield lambda _: None
        return
    with click.progressbar(length=size, label=f"reading {report.name}", file=sys.stderr) as bar:
        bar.update_min_steps = size // 200
        yield bar.update


def _check_page(path: Path) -> None:
    """Find out before the reading whether the page may be written; only an earlier page is overwritten.

    Raises:
        ConfigurationError: something else is there.
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
        raise ConfigurationError(f"--html {path}: that file is there, and is no page of stopcast's; name another one")


def _write_page(path: Path, figures: Figures, names: Sequence[str], cap: float | None, language: Language) -> None:
    from importlib.metadata import version

    from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST
    from stopcast.errors import ConfigurationError
    from stopcast.summary.page import Subject, page
    from stopcast.tasks.outcome import ASKED

    if cap is None:
        cap = (GET_WEBCAST_TASK if figures.total.statuses.keys() & ASKED else STOP_WEBCAST).quota_per_second
    # A page is passed on: the folders of whoever wrote it are nobody's business.
    reports = tuple(Path(name).name for name in names)
    content = page(figures, Subject(reports=reports, cap=cap, language=language, version=version("stopcast")))
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--html {path}: {error.strerror}. Name a file in a folder that exists") from None
