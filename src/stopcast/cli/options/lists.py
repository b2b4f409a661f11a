"""The options that say which lists are read, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import click

from stopcast.cli.options.option import Whole, setting
from stopcast.tasks.outcome import Status

_FORMATS: Final = ("auto", "csv", "tsv", "jsonl", "json", "xlsx")


def _complete_statuses(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the statuses that the last one in a list of them can be."""
    given, comma, last = typed.rpartition(",")
    return [f"{given}{comma}{status}" for status in Status if status.startswith(last)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """The lists and how to read them. ``tasks`` holds their paths, where "-" is standard input."""

    tasks: tuple[str, ...] = ()
    form: str = setting(
        "--format",
        type=click.Choice(_FORMATS),
        default="auto",
        help="Format of the lists, if their content does not say it.",
    )
    delimiter: str | None = setting("--delimiter", metavar="C", help="Delimiter of the fields, if it is not detected.")
    encoding: str | None = setting(
        "--encoding", metavar="NAME", help="Encoding of the lists, if it is not detected, such as gb18030."
    )
    columns: str | None = setting(
        "--columns",
        metavar="app=A,room=R,task=T",
        help="Names of the three columns or keys, if they differ, or their places.",
    )
    excepted: tuple[str, ...] = setting(
        "--except",
        multiple=True,
        default=(),
        type=click.Path(readable=False),
        metavar="LIST",
        help="Never send the tasks of this list, whatever the others say; may be given several times.",
    )
    limit: int | None = setting("--limit", type=Whole(1), metavar="N", help="Take only the first N tasks.")
    only: str | None = setting(
        "--only",
        metavar="STATUS,...",
        shell_complete=_complete_statuses,
        help="If a list is an earlier report, take only its rows with these statuses.",
    )
