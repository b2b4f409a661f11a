"""``stopcast summary``: the totals of a report, read in one pass."""

from __future__ import annotations

from pathlib import Path

import click

from stopcast.cli.options import option, telling_errors


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("report", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@option("--json", "as_json", is_flag=True, help="As one JSON object.")
@telling_errors
def summary(report: Path, *, as_json: bool) -> None:
    """Tell the totals of a report.

    Exit status: 0 every row is good, 1 some are not, 2 the report cannot be read.
    """
    import asyncio
    import sys

    import orjson

    from stopcast.cli import telling
    from stopcast.cli.options import EXIT_BAD_ROWS, EXIT_GOOD, put_out
    from stopcast.errors import ListError, ReportError
    from stopcast.resume import peek_past
    from stopcast.summary import Summary

    try:
        past = asyncio.run(peek_past(report))
    except ReportError as error:
        raise ListError(str(error)) from None
    totals = Summary(statuses=+past.statuses)
    put_out(orjson.dumps(totals.as_json()) if as_json else telling.totals(totals, str(report)))
    sys.exit(EXIT_BAD_ROWS if totals.bad else EXIT_GOOD)
