"""``stopcast run``: its options. What it does is in ``running``."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click

from stopcast.cli.errors import report_errors
from stopcast.cli.options import (
    CallOptions,
    GuardOptions,
    ListOptions,
    MetricsOptions,
    Options,
    OutputOptions,
    ReportOptions,
)
from stopcast.cli.options.option import Number, option, takes
from stopcast.cli.standard_streams import can_be_typed_on


@click.command()
@click.argument("tasks", nargs=-1, type=click.Path(readable=False), metavar="[TASKS]...")
@takes("report", ReportOptions)
@option("--dry-run", is_flag=True, help="Read, check and count, send nothing, print the plan. No credentials.")
@takes("lists", ListOptions)
@takes("calls", CallOptions)
@takes("guards", GuardOptions)
@option("--verify", is_flag=True, help="At the end ask the API whether the tasks of the report have ended.")
@option(
    "--verify-after",
    type=Number(0),
    default=5,
    metavar="SECONDS",
    help="How long the last tasks have to end before that.",
)
@takes("output", OutputOptions)
@takes("metrics", MetricsOptions)
@report_errors
def run(
    tasks: tuple[str, ...],
    *,
    lists: ListOptions,
    dry_run: bool,
    verify: bool,
    verify_after: float,
    **groups: Any,
) -> None:
    """Stop the tasks of these lists; - is standard input.

    A list is delimited text with the columns AppId, RoomId, TaskId (or just these three, in this order), JSON with
    these keys, an Excel workbook, or an earlier report. Every row becomes one line of the report.

    Exit status: 0 every task is stopped, or was already; 1 some rows are not; 2 wrong usage, or a list that cannot be
    read; 3 the run was given up; 130 and 143 after SIGINT and SIGTERM: calls in flight finish first, a second signal
    cuts them off. SIGUSR1 slows the run by a tenth of the cap, and at last pauses it; SIGUSR2 makes it faster again.

    Every option is an environment variable too: STOPCAST_MAX_AT_ONCE=64. The key comes from the environment
    (VOLCENGINE_ACCESS_KEY, VOLCENGINE_SECRET_KEY) or from the vendor's files, never from an option.
    """
    if not tasks and can_be_typed_on():
        raise click.UsageError(
            "name a list, or pipe one into standard input, such as: stopcast run tasks.csv --dry-run"
        )
    options = Options(lists=replace(lists, tasks=tasks or ("-",)), **groups)
    if dry_run:
        from stopcast.cli import event_loop
        from stopcast.cli.running.dry_run import print_plan

        sys.exit(event_loop.run(print_plan(options, verify=verify)))
    from stopcast.cli.running.execution import execute
    from stopcast.cli.running.stopping import stop_job

    sys.exit(execute(stop_job(options, verify_after_seconds=verify_after if verify else None)))
