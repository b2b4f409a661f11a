"""The options that say which lists are read, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import click

from stopcast.cli.options.option import Whole, setting

_FORMATS: Final = ("auto", "csv", "tsv", "jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """The lists and how to read them. ``tasks`` holds their paths, where "-" is standard input."""

    tasks: tuple[str, ...] = ()
    form: str = setting(
        "--format", type=click.Choice(_FORMATS), default="auto", show_default=True, help="Format of the lists."
    )
    columns: str | None = setting(
        "--columns", metavar="app=A,room=R,task=T", help="Names of the three columns or keys, if they differ."
    )
    limit: int | None = setting("--limit", type=Whole(1), metavar="N", help="Take only the first N tasks.")
    only: str | None = setting(
        "--only", metavar="STATUS,...", help="If a list is an earlier report, take only its rows with these statuses."
    )
