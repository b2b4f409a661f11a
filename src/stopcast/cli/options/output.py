"""The options that say what a command prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import click

from stopcast.cli.options.option import setting

LOG_FORMATS: Final = ("text", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """What is printed."""

    as_json: bool = setting("--json", is_flag=True, help="The summary as one JSON object on standard output.")
    quiet: bool = setting("-q", "--quiet", is_flag=True, help="Log nothing but errors.")
    verbose: int = setting("-v", "--verbose", count=True, help="Log every retry; -vv every call and every task.")
    log_format: str = setting(
        "--log-format", type=click.Choice(LOG_FORMATS), default="text", show_default=True, help="Of standard error."
    )
