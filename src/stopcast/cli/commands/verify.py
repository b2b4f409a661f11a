"""``stopcast verify``: its options. What it does is in ``running``."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click

from stopcast.cli.errors import report_errors
from stopcast.cli.options import CallOptions, ListOptions, Options, OutputOptions, ReportOptions
from stopcast.cli.options.option import takes


@click.command()
@click.argument("tasks", nargs=-1, type=click.Path(readable=False), required=True, metavar="REPORT|LIST...")
@takes(
    "report",
    ReportOptions,
    path={"default": "stopcast-verify.jsonl"},
    resume={"help": "Continue that report: tasks that it says have ended are not asked about again."},
)
@takes("lists", ListOptions, without=("excepted",))
@takes("calls", CallOptions, without=("sandbox",), max_per_second={"default": 60})
@takes("output", OutputOptions)
@report_errors
def verify(tasks: tuple[str, ...], *, lists: ListOptions, **groups: Any) -> None:
    """Ask the API whether the tasks have ended, and why. Nothing is stopped.

    Of a run's report it asks about every task, whatever its status; of a list about every row. Each task becomes a line
    of a report: ended, still_running, not_started or unknown, with the API's StopReason and EndTime.

    The API knows only tasks that were started within the last 72 hours. Older lines of a report are left out and
    counted.

    Exit status: 0 every task that was asked about has ended; 1 some have not, or it is not known; 2, 3, 130 and 143 as
    of stopcast run.
    """
    from stopcast.cli.running.execution import execute
    from stopcast.cli.running.verification import verify_job

    sys.exit(execute(verify_job(Options(lists=replace(lists, tasks=tasks), **groups))))
