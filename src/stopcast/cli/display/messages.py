"""What a run says to the person: the plan, the progress line, the summary."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stopcast.i18n import STATUS_WORDS, duration
from stopcast.report.totals import Summary
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome

if TYPE_CHECKING:
    from stopcast.cli.display.gauges import Figures
    from stopcast.cli.lists.remaining import RowsLeft
    from stopcast.fleet.queue import QueueStatus
    from stopcast.fleet.quota.quota_status import QuotaStatus

#: How a status reads in a sentence.
WORDS = {status: words.en for status, words in STATUS_WORDS.items()}


def rows(number: int, word: str = "row") -> str:
    """Return the number with its noun."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def lists(names: Sequence[str]) -> str:
    """Return the lists' names in a few words."""
    first = "standard input" if names[0] == "-" else names[0]
    return first if len(names) == 1 else f"{first} and {rows(len(names) - 1, 'more list')}"


def rate_limit(calls_per_second: float, most: float) -> str:
    """Return the rate that somebody has asked for."""
    return f"at most {calls_per_second:g} of {most:g} calls a second"


def left(to_do: RowsLeft | None, *, unfinished: int) -> str:
    """Return how many rows a run that ended before its time leaves behind."""
    if to_do is None:
        return f"{rows(unfinished)} read and not finished; how many were not read is not known."
    about = "" if to_do.exact else "About "
    return f"{about}{rows(to_do.number)} of the lists {'is' if to_do.number == 1 else 'are'} left."


def plan(intake: Intake, invalid: list[Outcome], *, pace: str, shares: Sequence[tuple[str, int]] = ()) -> str:
    """Return the plan of a run over rows that were read and checked, nothing sent.

    ``pace`` tells how long it takes, ``shares`` how many tasks each account has.
    """
    lines = [f"{rows(intake.tasks, 'task')} to stop: {pace}"]
    lines += [f"  {name}: {number:,}" for name, number in shares]
    lines += [f"  AppId {app_id}: {number:,}" for app_id, number in intake.per_app.most_common(10)]
    if len(intake.per_app) > 10:  # noqa: PLR2004 - as many as are shown
        lines.append(f"  and {rows(len(intake.per_app) - 10, 'more AppId')}")
    for number, what in (
        (intake.duplicates, "given twice, sent once"),
        (intake.settled, "settled by the report already"),
        (intake.left_out, "left out, because an earlier report says that they need nothing"),
        (intake.invalid, "that name no task"),
    ):
        if number:
            lines.append(f"{rows(number)} {what}")
    lines += [f"  {outcome.source}:{outcome.line}: {outcome.message}" for outcome in invalid]
    if intake.invalid > len(invalid):
        lines.append(f"  and {intake.invalid - len(invalid):,} more")
    return "\n".join(lines)


def progress(figures: Figures) -> str:
    """Return how a run stands, in one line."""
    told = [f"{figures.done:,} of {total(figures)} done", f"{figures.bad:,} bad", f"{figures.rate:.1f} a second"]
    told += [f"{figures.in_flight} in flight", f"{figures.waiting} waiting"]
    if figures.seconds_left is not None:
        told.append(f"{duration(figures.seconds_left)} left")
    return ", ".join(filter(None, [figures.state, *told]))


def total(figures: Figures) -> str:
    """Return how many rows there are, as far as that is known."""
    to_do = figures.to_do
    if to_do is None:
        return "?"
    return f"{'' if to_do.exact else 'about '}{figures.done + to_do.number:,}"


def totals(summary: Summary, report: str) -> str:
    """Return the end of a run in a few lines."""
    told = [f"{number:,} {WORDS[status]}" for status in WORDS if (number := summary.statuses[status])]
    lines = [f"{rows(summary.good + summary.bad)}: {', '.join(told) or 'none'}"]
    if summary.calls:
        # Over less than a second, a rate would be about nothing that was there.
        rate = f", {summary.mean_per_second:.1f} a second" if summary.seconds >= 1 else ""
        lines.append(
            f"{rows(summary.calls, 'call')} in {duration(summary.seconds)}{rate}, "
            f"never more than {summary.worst_second} in any second{' of one account' if summary.accounts else ''}"
        )
    for name, figures in summary.accounts.items():
        rate = f", {figures.mean_per_second:.1f} a second" if summary.seconds >= 1 else ""
        lines.append(
            f"  account {name}: {rows(figures.calls, 'call')}{rate}, never more than "
            f"{figures.worst_second} in any second{'; given up' if figures.given_up else ''}"
        )
    if summary.settled_earlier:
        lines.append(f"{rows(summary.settled_earlier)} had been settled by an earlier run")
    if summary.left_out:
        lines.append(f"{rows(summary.left_out)} left out: an earlier report says that they need nothing")
    if summary.too_old:
        lines.append(
            f"{rows(summary.too_old)} not asked about: finished more than 72 hours ago, and of tasks that old the API "
            f"tells nothing; by itself a task ends within 24 hours"
        )
    if summary.not_finished:
        lines.append(f"{rows(summary.not_finished)} read and not finished; more may not have been read")
    if report != os.devnull:
        lines.append(f"report: {report}")
    if summary.bad and Path(report).is_file():
        lines.append(f"what went wrong, and what to do: stopcast summary {shlex.quote(report)}")
    return "\n".join(lines)


def enqueued(counts: Mapping[str, int], invalid: list[Outcome], queue: str) -> str:
    """Return what became of lists that were put into a queue."""
    words = {"queued": "queued", "queued_before": "queued before", "duplicates": "duplicate", "invalid": "invalid"}
    told = [f"{counts[key]:,} {word}" for key, word in words.items() if counts[key]]
    lines = [f"{rows(counts['rows'])}: {', '.join(told) or 'none'}"]
    if counts["left_out"]:
        lines.append(f"{rows(counts['left_out'])} left out: an earlier report says that they need nothing")
    lines += [f"  {outcome.source}:{outcome.line}: {outcome.message}" for outcome in invalid]
    if counts["invalid"] > len(invalid):
        lines.append(f"  and {counts['invalid'] - len(invalid):,} more")
    lines.append(f"queue {queue}: {rows(counts['length'], 'task')}")
    return "\n".join(lines)


def quota_status(status: QuotaStatus) -> str:
    """Return how a shared quota stands."""
    if status.rate is None or status.full_rate is None or status.asked_seconds_ago is None:
        return f"quota of {status.account}: nobody asked for it within the last day"
    line = f"quota of {status.account}: {status.rate:.1f} calls a second"
    line += " at most" if status.rate >= status.full_rate else f", throttled down from {status.full_rate:.1f}"
    if status.held_seconds:
        line += f", and none for {status.held_seconds:.0f} s"
    return (
        f"{line}; {status.last_second} permits in the last second, {status.worst_second} in the fullest\n"
        f"  {status.permits:,} permits in all, {rows(status.throttled, 'throttled answer')}, "
        f"last asked for {duration(status.asked_seconds_ago)} ago"
    )


def queue_status(status: QueueStatus) -> str:
    """Return how a queue stands."""
    line = f"queue {status.name}: {rows(status.length, 'task')}, {status.pending:,} of them with workers"
    if status.oldest_seconds is not None:
        line += f", the oldest there for {duration(status.oldest_seconds)}"
    lines = [line]
    lines += [
        f"  {worker.name}: {rows(worker.pending, 'task')}, last seen {duration(worker.idle_seconds)} ago"
        for worker in status.workers
    ]
    if not status.workers:
        lines.append("  no workers")
    lines.append(f"dead letters: {status.dead:,}")
    if status.results:
        lines.append(f"results: {status.results:,}")
    return "\n".join(lines)
