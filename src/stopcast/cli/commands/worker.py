"""``stopcast worker``: the options. What they make happen is in ``working``."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import click

from stopcast.cli.commands.run import run as run_command
from stopcast.cli.log_output import report_errors
from stopcast.cli.options.option import Number, option
from stopcast.cli.options.queue import options_of_run, queue_option

#: Options of ``stopcast run`` that are about lists, or that a worker has in its own way.
_ABOUT_LISTS: Final = frozenset(
    {"verify_after", "tasks", "report", "dry_run", "form", "columns", "expect", "only", "yes", "verify"}
)
_SHARED: Final = [str(parameter.name) for parameter in run_command.params if parameter.name not in _ABOUT_LISTS]


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@queue_option
@option("-o", "--report", metavar="PATH", help="The report; each worker has its own.")
@option("--results", is_flag=True, help="Put each outcome into the queue's results stream as well, or instead.")
@option("--until-empty", is_flag=True, help="End when the queue is empty; else a signal ends it.")
@option(
    "--claim-after",
    type=Number(0, min_open=True),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Without a sign of life: then a worker's tasks are taken over. The same for all.",
)
@option(
    "--max-deliveries",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    metavar="N",
    help="Workers that may die over a task before it is put among the dead letters.",
)
@options_of_run(_SHARED)
@report_errors
def worker(
    *,
    queue: str,
    report: str | None,
    results: bool,
    until_empty: bool,
    claim_after: float,
    max_deliveries: int,
    **options: Any,
) -> None:
    """Stop the tasks of a queue, together with its other workers.

    A task stays in the queue until its line is in the report and on the disk, or in the results stream. At the first
    signal calls in flight finish, and what was not sent is handed back, so that nothing waits for this worker; a second
    one cuts the calls off. What a worker that died had is taken over by the others.

    Exit status: 0 every task is stopped, or was already; 1 some are not; 2 wrong usage; 3 given up; 130 and 143 after
    SIGINT and SIGTERM.
    """
    if report is None and not results:
        raise click.UsageError("say where the outcomes go: -o PATH, or --results")
    from stopcast.cli.options.values import Options
    from stopcast.cli.running.working import Work, execute

    about_lists: dict[str, Any] = {
        "tasks": (),
        "report": report or os.devnull,
        "form": "auto",
        "columns": None,
        "only": None,
    }
    work = Work(
        queue=queue,
        results=results,
        until_empty=until_empty,
        claim_after_seconds=claim_after,
        max_deliveries=max_deliveries,
    )
    sys.exit(execute(Options(**about_lists, **options), work))
