"""The sentences that the commands print: plans, progress, totals, queues and quotas. Nothing here prints."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from stopcast.i18n import counted, duration, ngettext, status_counts
from stopcast.report.opening import is_file, is_stream
from stopcast.report.totals import Summary
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome

if TYPE_CHECKING:
    from stopcast.cli.display.monitor import RunSnapshot
    from stopcast.cli.lists.remaining import RowsLeft
    from stopcast.fleet.queue import QueueStatus
    from stopcast.fleet.quota.quota_status import QuotaStatus

_LEFT_OUT = "left out because of the status in an earlier report"
_APPS_SHOWN = 10


def rows(number: int, noun: str = "row") -> str:
    """Return a number of rows, or of another noun: ``1 row``, ``2,000 tasks``."""
    return counted(number, noun)


def list_names(names: Sequence[str]) -> str:
    """Return the first list's name and the number of the others."""
    first = "standard input" if names[0] == "-" else names[0]
    return first if len(names) == 1 else f"{first} and {rows(len(names) - 1, 'more list')}"


def canary_passed(tasks: int) -> str:
    """Return that the first tasks have ended well."""
    return ngettext(
        "Canary passed: the first task ended well, and the others follow.",
        "Canary passed: the first {number:,} tasks ended well, and the others follow.",
        tasks,
    )


def rate_limit(calls_per_second: float, most: float) -> str:
    """Return a rate that a person has set during a run."""
    return f"at most {calls_per_second:g} of {most:g} calls a second"


def plan(intake: Intake, invalid: Sequence[Outcome], *, pace: str, shares: Sequence[tuple[str, int]] = ()) -> str:
    """Return what a run would do.

    Args:
        intake: the rows, read and checked.
        invalid: the first outcomes of rows that name no task.
        pace: how long the run would take.
        shares: what each account would get, as pairs of a text and a number of tasks.
    """
    lines = [f"{rows(intake.tasks, 'task')} to stop: {pace}" if intake.tasks else "Nothing to stop."]
    lines += [f"  {name}: {number:,}" for name, number in shares]
    lines += [f"  AppId {app_id}: {number:,}" for app_id, number in intake.per_app.most_common(_APPS_SHOWN)]
    if len(intake.per_app) > _APPS_SHOWN:
        lines.append(f"  and {rows(len(intake.per_app) - _APPS_SHOWN, 'more AppId')}")
    for number, words in (
        (intake.duplicates, "given twice, sent once"),
        (intake.settled, "settled by the report already"),
        (intake.left_out, _LEFT_OUT),
        (intake.invalid, "without a valid task"),
    ):
        if number:
            lines.append(f"{rows(number)} {words}")
    lines += _invalid_rows(invalid, intake.invalid)
    return "\n".join(lines)


def progress(snapshot: RunSnapshot) -> str:
    """Return the state of a run in one line."""
    parts = [f"{snapshot.done:,} of {total(snapshot)} done", f"{snapshot.bad:,} bad", f"{snapshot.rate:.1f} a second"]
    parts += [f"{snapshot.in_flight} in flight", f"{snapshot.waiting} waiting"]
    if snapshot.seconds_left is not None:
        parts.append(f"{duration(snapshot.seconds_left)} left")
    return ", ".join(filter(None, [snapshot.state, *parts]))


def total(snapshot: RunSnapshot) -> str:
    """Return the number of all rows: ``410``, ``about 28,400``, or ``?`` where it is unknown."""
    to_do = snapshot.to_do
    if to_do is None:
        return "?"
    return f"{'' if to_do.exact else 'about '}{snapshot.done + to_do.number:,}"


def totals(summary: Summary, report: str, *, done: int = 0, to_do: RowsLeft | None = None) -> str:
    """Return the end of a run in a few lines.

    Args:
        summary: of the run.
        report: its path.
        done: rows that have their outcome, or need none.
        to_do: rows without an outcome, None where the number is unknown.
    """
    lines = [f"{rows(summary.good + summary.bad)}: {status_counts(summary.statuses) or 'none'}"]
    lines += _calls(summary)
    if summary.settled_earlier:
        lines.append(f"{rows(summary.settled_earlier)} had been settled by an earlier run")
    if summary.left_out:
        lines.append(f"{rows(summary.left_out)} {_LEFT_OUT}")
    if summary.too_old:
        lines.append(
            f"{rows(summary.too_old)} not asked about: finished more than 72 hours ago. The API no longer knows "
            f"their tasks; each task ends by itself within 24 hours"
        )
    continuable = not is_stream(report)
    if left := _left(done, to_do, unfinished=summary.not_finished, continuable=continuable):
        lines.append(left)
    if continuable:
        lines.append(f"report: {report}")
    if summary.bad and is_file(report):
        lines.append(f"what went wrong, and what to do: stopcast summary {shlex.quote(report)}")
    return "\n".join(lines)


def _calls(summary: Summary) -> Iterator[str]:
    # Over less than a second a rate says nothing.
    rated = summary.seconds >= 1
    if summary.calls:
        rate = f", {summary.mean_per_second:.1f} a second" if rated else ""
        yield (
            f"{rows(summary.calls, 'call')} in {duration(summary.seconds)}{rate}, "
            f"never more than {summary.worst_second} in any second{' of one account' if summary.accounts else ''}"
        )
    for name, account in summary.accounts.items():
        if account.calls:
            rate = f", {account.mean_per_second:.1f} a second" if rated else ""
            calls = f"{rows(account.calls, 'call')}{rate}, never more than {account.worst_second} in any second"
        else:
            calls = "no calls"
        yield f"  account {name}: {calls}{'; given up' if account.given_up else ''}"


def _left(done: int, to_do: RowsLeft | None, *, unfinished: int, continuable: bool) -> str:
    """Return what a run that ended early leaves undone, "" for nothing."""
    if to_do is None:
        return f"{rows(unfinished)} read but not finished; more may not have been read" if unfinished else ""
    if not to_do.number:
        return ""
    # Rounded as a person expects it, but something left is never 0 % and something done never leaves 100 %.
    percent = min(max(round(100 * to_do.number / (done + to_do.number)), 1), 99 if done else 100)
    number = f"{'' if to_do.exact else 'about '}{rows(to_do.number)}"
    if not continuable:
        return f"{percent} % of the list is left ({number})"
    return f"{percent} % of the list is left ({number}); --resume continues with it"


def _invalid_rows(shown: Sequence[Outcome], number: int) -> Iterator[str]:
    for outcome in shown:
        yield f"  {outcome.source}:{outcome.line}: {outcome.message}"
    if number > len(shown):
        yield f"  and {number - len(shown):,} more"


def enqueued(counts: Mapping[str, int], invalid: Sequence[Outcome], queue: str) -> str:
    """Return how many rows were put into a queue, and why the others were not."""
    words = {"queued": "queued", "queued_before": "queued before", "duplicates": "duplicate", "invalid": "invalid"}
    parts = [f"{counts[key]:,} {word}" for key, word in words.items() if counts[key]]
    lines = [f"{rows(counts['rows'])}: {', '.join(parts) or 'none'}"]
    if counts["left_out"]:
        lines.append(f"{rows(counts['left_out'])} {_LEFT_OUT}")
    lines += _invalid_rows(invalid, counts["invalid"])
    lines.append(f"queue {queue}: {rows(counts['length'], 'task')}")
    return "\n".join(lines)


def quota_status(status: QuotaStatus) -> str:
    """Return the state of a shared quota."""
    if status.rate is None or status.full_rate is None or status.asked_seconds_ago is None:
        return f"quota of {status.account}: not used within the last day"
    action = "" if status.action == "StopWebcast" else f" for {status.action}"
    line = f"quota of {status.account}{action}: {status.rate:.1f} calls a second"
    line += " at most" if status.rate >= status.full_rate else f", throttled down from {status.full_rate:.1f}"
    if status.held_seconds:
        line += f", and none for {status.held_seconds:.0f} s"
    return (
        f"{line}; {status.last_second} permits in the last second, {status.worst_second} in the fullest\n"
        f"  {status.permits:,} permits in all, {rows(status.throttled, 'throttled answer')}, "
        f"last asked for {duration(status.asked_seconds_ago)} ago\n"
        f"  settings: max-per-second {status.max_per_second or 0:g}, arrival-jitter "
        f"{1000 * (status.arrival_jitter or 0):g} ms"
    )


def dead_letters_back(number: int, queue: str) -> str:
    """Return how many dead letters were put back into a queue."""
    return f"{counted(number, 'dead letter')} put back into the queue {queue}"


def queue_status(status: QueueStatus) -> str:
    """Return the state of a queue and of its workers."""
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
    if status.dead:
        lines.append(f"dead letters: {status.dead:,}; put them back with: stopcast enqueue --dead-letters")
    else:
        lines.append("dead letters: 0")
    if status.claim_after_seconds is not None and status.max_deliveries is not None:
        lines.append(
            f"settings: claim-after {status.claim_after_seconds:g} s, max-deliveries {status.max_deliveries:,}"
        )
    if status.results:
        lines.append(f"results: {status.results:,}")
    return "\n".join(lines)
