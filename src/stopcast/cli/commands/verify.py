"""``stopcast verify``: the options, and nothing else. What they make happen is in ``running``."""

from __future__ import annotations

import sys
from typing import Any

import click

from stopcast.cli.log_output import report_errors
from stopcast.cli.options.groups import calls, lists
from stopcast.cli.options.option import option


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("tasks", nargs=-1, type=click.Path(readable=False), required=True, metavar="REPORT|LIST...")
@option(
    "-o",
    "--report",
    type=click.Path(readable=False),
    default="stopcast-verify.jsonl",
    show_default=True,
    metavar="PATH",
    help="The report.",
)
@option(
    "--resume", is_flag=True, help="Go on with that report: tasks that it says have ended are not asked about again."
)
@lists
@calls(quota_per_second=60)
@option("--json", "as_json", is_flag=True, help="The summary as one JSON object on standard output.")
@option("-q", "--quiet", is_flag=True, help="Nothing but errors.")
@option("-v", "--verbose", count=True, help="Tell every retry as well; -vv every call and every task.")
@report_errors
def verify(tasks: tuple[str, ...], **options: Any) -> None:
    """Ask the API whether the tasks have ended, and why. Nothing is stopped.

    Of a run's report every task is asked about, whatever became of it; of a list every row. Each ends as a line of a
    report: ended, still_running, not_started or unknown, with the API's StopReason and EndTime.

    The API tells only of tasks that were started within 72 hours. Lines of a report that are older than that are left
    out, and counted.

    Exit status: 0 every task that was asked about has ended; 1 some have not, or it cannot be told; 2, 3, 130 and 143
    as of stopcast run.
    """
    from stopcast.cli.options.values import Options
    from stopcast.cli.running import wakeup
    from stopcast.cli.running.command import Command
    from stopcast.stopper import Verifier

    sys.exit(wakeup.run(Command(Options(tasks=tasks, **options), Verifier).run()))
