"""The options that say which report is written."""

from __future__ import annotations

from dataclasses import dataclass

import click

from stopcast.cli.options.option import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """The report."""

    path: str = setting(
        "-o",
        "--report",
        type=click.Path(readable=False),
        default="stopcast-report.jsonl",
        show_default=True,
        metavar="PATH",
        help="The report.",
    )
    resume: bool = setting(
        "--resume", is_flag=True, help="Continue that report: rows that it settles are not sent again."
    )
