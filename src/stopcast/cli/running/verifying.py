"""What sets ``stopcast verify`` apart from a run: which rows it asks about, and what it says at the end."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from stopcast.api.actions import GET_WEBCAST_TASK, TOLD_FOR_SECONDS
from stopcast.cli.display.next_commands import ask_again_command, stop_again_command
from stopcast.cli.options.values import Options
from stopcast.errors import ConfigurationError, ReportExistsError
from stopcast.sources import Choice
from stopcast.tasks.outcome import Status

_NO_TASK_OR_PROVED: Final = frozenset({Status.INVALID, Status.DUPLICATE, Status.ENDED})


def worth_asking_about(now: float) -> Choice:
    """Return the choice of a report's lines that the API can tell of at the Unix time ``now``."""
    oldest = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now - TOLD_FOR_SECONDS))
    return Choice(frozenset(Status) - _NO_TASK_OR_PROVED, not_before=oldest)


def verify_report(report: str) -> Path:
    """Return the report of ``run --verify`` beside the run's own."""
    path = Path(report)
    return path.with_name(f"{path.stem}.verify{path.suffix}")


def check_verify_report(options: Options) -> None:
    """Find out before the first call what would else keep the tasks from being asked about.

    Raises:
        ConfigurationError: the run's report cannot be read as a list.
        ReportExistsError: there is a report of an earlier ``--verify``.
    """
    report, path = Path(options.report), verify_report(options.report)
    if report.exists() and not report.is_file():
        raise ConfigurationError(f"--verify reads the report again, and {report} is no file: -o PATH names one")
    if path.exists() and not options.resume:
        raise ReportExistsError(f"the report {path} exists already, and --verify writes it. Name another one: -o PATH")


def has_lines(report: str) -> bool:
    """Whether there is a report to ask about: that of a run over nothing is taken away."""
    return Path(report).exists()


def verifying(options: Options) -> Options:
    """Return the options of what follows ``run --verify``: the report is the list."""
    return replace(
        options,
        tasks=(options.report,),
        report=str(verify_report(options.report)),
        form="jsonl",
        columns=None,
        limit=None,
        only=None,
        max_per_second=min(options.max_per_second, GET_WEBCAST_TASK.quota_per_second),
        halt_after=None,
        canary=None,
        until=None,
        verify=False,
        metrics_port=None,
        metrics_file=None,
    )


def ask_again(options: Options) -> str:
    """Return what to type about tasks that are not known to have ended."""
    return (
        f"Ask again about those that have not ended:\n  {ask_again_command(options)}\n"
        f"Stop those that still run:\n  {stop_again_command(options)}"
    )
