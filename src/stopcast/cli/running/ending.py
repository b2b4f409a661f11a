"""How a run ended: its totals, and what the user should do next."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stopcast.cli.display import list_messages, messages
from stopcast.cli.display.next_commands import resume_command
from stopcast.cli.lists.remaining import NONE_LEFT, rows_of
from stopcast.cli.output import EXIT_BAD_ROWS, EXIT_GOOD, log
from stopcast.cli.running.advice import advice_on
from stopcast.cli.running.job import RunJob
from stopcast.cli.running.plan import are_unused
from stopcast.cli.user import User
from stopcast.errors import ListError, StopcastError, TimeIsUpError
from stopcast.i18n import _
from stopcast.report.opening import is_stream
from stopcast.run import Run


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended.

    Attributes:
        summary: what ``--json`` prints, None where there is no report.
        status: the exit status, unless ``error`` decides it.
        error: what ended the job early.
        log_totals: logs the totals, which follow the error; they are logged already where nothing ended the job early.
        advice: what to do about the error, before the run is continued.
        resume_with: the command that continues, None for none.
        has_report: whether the report's name is still that of the file with the run's lines.
    """

    summary: dict[str, Any] | None
    status: int
    error: StopcastError | None = None
    log_totals: Callable[[], None] = lambda: None
    advice: str | None = None
    resume_with: str | None = None
    has_report: bool = False


def conclude(run: Run, job: RunJob, user: User, error: StopcastError | None, *, no_such_task_only: bool) -> Ended:
    """Return how a run ended, and log its totals unless they have to follow an error.

    Args:
        run: the run.
        job: what it was to do.
        user: reads the log.
        error: what ended the run early.
        no_such_task_only: whether every answer was that there is no such running task.
    """
    summary, options = run.summary(), job.options
    if run.history.torn_bytes:
        torn = _(
            "The last line of the report was incomplete; its {number} bytes were removed.",
            number=run.history.torn_bytes,
        )
        user.log(torn, event="report_mended")
    done, to_do = rows_of(run, job.lists.rows_left(), limit=options.lists.limit)
    as_json = {
        **summary.as_json(),
        "number_ids": run.intake.numbers,
        "rounded_ids": run.intake.rounded,
        "no_such_task_only": no_such_task_only,
    }
    unused = error is None and not summary.asked and are_unused(options, run.intake, summary.statuses)
    for warning in list_messages.warnings(run.intake, unused_exclusions=unused):
        log(warning, event="list_warning", level=logging.WARNING)
    # The name may be that of another run's report by now.
    has_report = run.has_report()
    report = options.report.path if has_report or is_stream(options.report.path) else ""
    text = messages.totals(
        summary, report, done=done, to_do=NONE_LEFT if job.deliveries else to_do, sandbox=options.calls.sandbox
    )

    resume_with = None
    if error is not None and _can_continue(run, options.report.path, error, has_report=has_report):
        resume_with = resume_command(time_is_up=isinstance(error, TimeIsUpError))
    # The report of a run over nothing is removed.
    moved = resume_with is not None and summary.statuses and not has_report

    def log_totals() -> None:
        if error is None or summary.calls or summary.statuses:
            user.log(text, event="summary", summary=as_json)
        if summary.bad and job.advice is not None:
            user.log(job.advice(summary.statuses), event="not_ended")
        elif summary.bad and error is None and (note := advice_on(None, options, has_report=has_report)) is not None:
            user.log(note, event="advice")
        if moved:
            moved_away = _(
                "The report is not at {path} any more. Move it back there before you continue: without it all tasks "
                "are sent again.",
                path=options.report.path,
            )
            log(moved_away, event="report_moved", level=logging.WARNING)

    status = EXIT_BAD_ROWS if summary.bad else EXIT_GOOD
    if error is None:
        log_totals()
        return Ended(as_json, status, has_report=has_report)
    advice = advice_on(error, options, has_report=has_report)
    return Ended(as_json if run.opened else None, status, error, log_totals, advice, resume_with, has_report)


def _can_continue(run: Run, report: str, error: StopcastError, *, has_report: bool) -> bool:
    # A list that cannot be read may have been read in part.
    begun = has_report if isinstance(error, ListError) else run.opened
    return begun and not is_stream(report)
