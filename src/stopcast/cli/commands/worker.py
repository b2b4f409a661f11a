"""``stopcast worker``: its options. What it does is in ``running``."""

from __future__ import annotations

import sys
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
from stopcast.cli.options.option import Number, Whole, option, queue_option, takes


@click.command()
@queue_option()
@takes(
    "report",
    ReportOptions,
    path={"default": "", "help": "The report; each worker has its own."},
)
@option("--results", is_flag=True, help="Put each outcome into the queue's results stream as well, or instead.")
@option("--until-empty", is_flag=True, help="End when the queue is empty; else a signal ends it.")
@option(
    "--claim-after",
    type=Number(0, min_open=True),
    default=60,
    metavar="SECONDS",
    help="After this time without a sign of life, a worker's tasks are taken over. The same for all workers.",
)
@option(
    "--max-deliveries",
    type=Whole(1),
    default=10,
    metavar="N",
    help="Workers that may die over a task before it is put among the dead letters.",
)
@takes("lists", ListOptions, without=("form", "columns", "only", "excepted"))
@takes("calls", CallOptions)
@takes("guards", GuardOptions, without=("expect", "yes"))
@takes("output", OutputOptions)
@takes("metrics", MetricsOptions)
@report_errors
def worker(
    *,
    queue: str,
    results: bool,
    until_empty: bool,
    claim_after: float,
    max_deliveries: int,
    report: ReportOptions,
    **groups: Any,
) -> None:
    """Stop the tasks of a queue, together with its other workers.

    A task stays in the queue until its line is in the report and on the disk, or in the results stream. At the first
    signal calls in flight finish, and what was not sent is handed back, so that no task waits for this worker; a second
    signal cuts the calls off. The other workers take over the tasks of a worker that died.

    Exit status: 0 every task is stopped, or was already; 1 some are not; 2 wrong usage; 3 given up; 130 and 143 after
    SIGINT and SIGTERM.
    """
    if not report.path and not results:
        raise click.UsageError("say where the outcomes go: -o PATH, or --results")
    from stopcast.cli.running.queue_worker import work

    sys.exit(
        work(
            Options(report=report, **groups),
            queue,
            results=results,
            until_empty=until_empty,
            claim_after_seconds=claim_after,
            max_deliveries=max_deliveries,
        )
    )
