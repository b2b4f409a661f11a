"""``stopcast run``: the options, and nothing else. What they make happen is in ``running``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from stopcast.cli.log_output import FORMATS, report_errors
from stopcast.cli.options.groups import calls, lists
from stopcast.cli.options.option import Number, Whole, halt_after, option, until


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("tasks", nargs=-1, type=click.Path(readable=False), metavar="[TASKS]...")
@option(
    "-o",
    "--report",
    type=click.Path(readable=False),
    default="stopcast-report.jsonl",
    show_default=True,
    metavar="PATH",
    help="The report.",
)
@option("--resume", is_flag=True, help="Go on with that report: rows it settles are not sent again.")
@option("--dry-run", is_flag=True, help="Read, check and count, send nothing, print the plan. No credentials.")
@lists
@calls(quota_per_second=150)
@option(
    "--halt-after",
    callback=halt_after,
    metavar="N|P%",
    help="Give up once so many tasks have ended badly, or this share of at least 100 tasks.",
)
@option(
    "--canary",
    type=Whole(1),
    metavar="N",
    help="Send the first N tasks alone, and the others only if each of those ends well.",
)
@option(
    "--until",
    callback=until,
    metavar="WHEN",
    help="Have no call in flight any more at 06:00, or after 90m, 1h30m; what is left is for --resume.",
)
@option(
    "--control",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Obey this file while running: pause, resume, rate N, one a line.",
)
@option("--expect", type=Whole(0), metavar="N", help="Refuse to start unless the lists hold N tasks.")
@option("--verify", is_flag=True, help="At the end ask the API whether the tasks of the report have ended.")
@option(
    "--verify-after",
    type=Number(0),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="How long the last tasks have to end before that.",
)
@option("--sandbox", is_flag=True, help="Against an emulator of the API in this process: nothing real, no credentials.")
@option("--json", "as_json", is_flag=True, help="The summary as one JSON object on standard output.")
@option("-y", "--yes", is_flag=True, help="Do not ask.")
@option("-q", "--quiet", is_flag=True, help="Nothing but errors.")
@option("-v", "--verbose", count=True, help="Tell every retry as well; -vv every call and every task.")
@option("--log-format", type=click.Choice(FORMATS), default="text", show_default=True, help="Of standard error.")
@option("--metrics-port", type=Whole(0, 65535), metavar="N", help="Serve metrics for Prometheus here.")
@option("--metrics-host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where that port is.")
@option("--metrics-file", metavar="PATH", help="Write metrics for node exporter's textfile collector.")
@report_errors
def run(tasks: tuple[str, ...], **options: Any) -> None:
    """Stop the tasks of these lists; - is standard input.

    A list is CSV or TSV with the columns AppId, RoomId, TaskId (or just these three, in this order), JSONL with these
    keys, or an earlier report. Every row ends as one line of the report.

    Exit status: 0 every task is stopped, or was already; 1 some rows are not; 2 wrong usage, or a list that cannot be
    read; 3 the run was given up; 130 and 143 after SIGINT and SIGTERM: calls in flight finish first, a second signal
    cuts them off. SIGUSR1 slows the run by a tenth of the cap, and at last pauses it; SIGUSR2 makes it faster again.

    Every option is an environment variable too: STOPCAST_MAX_AT_ONCE=64. The key comes from the environment
    (VOLCENGINE_ACCESS_KEY, VOLCENGINE_SECRET_KEY) or from the vendor's files, never from an option.
    """
    if not tasks and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError(
            "name a list, or pipe one into standard input, such as: stopcast run tasks.csv --dry-run"
        )
    from stopcast.cli.options.values import Options
    from stopcast.cli.running.planning import dry_run

    chosen = Options(tasks=tasks or ("-",), **options)
    if chosen.dry_run:
        from stopcast.cli.running import wakeup

        sys.exit(wakeup.run(dry_run(chosen)))
    from stopcast.cli.running.command import execute

    sys.exit(execute(chosen))
