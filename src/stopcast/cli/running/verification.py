"""The job of ``stopcast verify``, and of what follows ``stopcast run --verify``."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import Final

from stopcast.api.actions import GET_WEBCAST_TASK, STATE_KEPT_SECONDS
from stopcast.cli.display.next_commands import ask_again_command, run_again_command
from stopcast.cli.lists import Lists
from stopcast.cli.options import CallOptions, GuardOptions, ListOptions, MetricsOptions, Options
from stopcast.cli.running.checks import verify_report_of
from stopcast.cli.running.job import RunJob
from stopcast.errors import ReportError
from stopcast.i18n import _
from stopcast.report.opening import is_file
from stopcast.sources import ReportFilter
from stopcast.stopper import Verifier
from stopcast.tasks.outcome import Status

#: Rows without a task of their own, tasks that have ended, and tasks that are not to be stopped.
_NOTHING_TO_ASK: Final = frozenset({Status.INVALID, Status.DUPLICATE, Status.EXCLUDED, Status.ENDED})


def verify_job(options: Options, *, run: CallOptions | None = None) -> RunJob:
    """Return the job that asks the API about the tasks of the lists.

    Args:
        options: of the command.
        run: how the run made its calls that stopped them, None if this is not known.

    Raises:
        ConfigurationError: wrong usage of the lists.
        ListError: a list does not exist or cannot be read.
    """
    oldest = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - STATE_KEPT_SECONDS))
    to_ask = ReportFilter(frozenset(Status) - _NOTHING_TO_ASK, not_before=oldest)
    lists = Lists.of(options.lists, report=options.report.path, report_filter=to_ask, rehearsals=options.calls.sandbox)
    calls = options.calls
    if run is None and calls.max_per_second == GET_WEBCAST_TASK.quota_per_second:
        # The usual cap of verify says nothing about that of a run.
        calls = replace(calls, max_per_second=CallOptions().max_per_second)
    return RunJob(
        calls=Verifier,
        options=options,
        lists=lists,
        rows=lambda _run: lists.batches(),
        # The sandbox ends with the run, and its tasks with it.
        advice=None if calls.sandbox else partial(_advice, options, run or calls),
    )


def _advice(options: Options, run: CallOptions, statuses: Collection[Status]) -> str:
    ask = _("Ask again about those that have not ended:\n  {command}", command=ask_again_command(options))
    if Status.STILL_RUNNING not in statuses:
        return ask
    stop = run_again_command(replace(options, calls=run), only=Status.STILL_RUNNING)
    return "\n".join((ask, _("Stop those that still run:\n  {command}", command=stop)))


def missing_report(path: str) -> ReportError:
    """Return the error for a report whose name is not that of its file any more, so that it cannot be verified."""
    if is_file(path):
        text = _(
            "{path} is another file now, not the report of this run, so the API was not asked whether the tasks have "
            "ended. Find where the report is now, and name it: stopcast verify REPORT",
            path=path,
        )
    else:
        text = _(
            "the report {path} is not there any more, so the API was not asked whether the tasks have ended. Find "
            "where the report is now, and name it: stopcast verify REPORT",
            path=path,
        )
    return ReportError(text)


def verification_of(options: Options) -> RunJob:
    """Return the job that asks about the tasks of a run's report."""
    report = options.report
    cap = min(options.calls.max_per_second, GET_WEBCAST_TASK.quota_per_second)
    return verify_job(
        replace(
            options,
            lists=ListOptions(tasks=(report.path,), form="jsonl"),
            calls=replace(options.calls, max_per_second=cap),
            report=replace(report, path=str(verify_report_of(report.path))),
            guards=GuardOptions(control=options.guards.control),
            metrics=MetricsOptions(),
        ),
        run=options.calls,
    )
