"""The sentences about queues and shared quotas. Nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from stopcast.cli.display.list_messages import invalid_rows, left_out
from stopcast.cli.display.next_commands import dead_letters_command
from stopcast.i18n import _, duration, ngettext
from stopcast.marking import N_
from stopcast.tasks.outcome import Outcome

if TYPE_CHECKING:
    from stopcast.fleet.queue import QueueStatus
    from stopcast.fleet.quota.quota_status import QuotaStatus


def enqueued(counts: Mapping[str, int], invalid: Sequence[Outcome], queue: str) -> str:
    """Return how many rows were put into a queue, and why the others were not."""
    words = {
        "queued": N_("queued"),
        "queued_before": N_("queued before"),
        "duplicates": N_("duplicate"),
        "excluded": N_("excluded"),
        "invalid": N_("invalid"),
    }
    parts = [_("{number:,} {status}", number=counts[key], status=_(word)) for key, word in words.items() if counts[key]]
    parts_text = _(", ").join(parts) or _("none")
    lines = [ngettext("1 row: {counts}", "{number:,} rows: {counts}", counts["rows"], counts=parts_text)]
    lines += left_out(counts["left_out"], counts["not_chosen"])
    lines += invalid_rows(invalid, counts["invalid"])
    lines.append(ngettext("queue {name}: 1 task", "queue {name}: {number:,} tasks", counts["length"], name=queue))
    return "\n".join(lines)


def dead_letters_back(number: int, queue: str) -> str:
    """Return how many dead letters were put back into a queue."""
    return ngettext(
        "1 dead letter put back into the queue {queue}",
        "{number:,} dead letters put back into the queue {queue}",
        number,
        queue=queue,
    )


def queue_status(status: QueueStatus, url: str) -> str:
    """Return the state of the queue at a URL, and of its workers."""
    return "\n".join(_queue_lines(status, url))


def _queue_lines(status: QueueStatus, url: str) -> Iterator[str]:
    tasks = ngettext(
        "queue {name}: 1 task, {pending:,} of them with workers",
        "queue {name}: {number:,} tasks, {pending:,} of them with workers",
        status.length,
        name=status.name,
        pending=status.pending,
    )
    if status.oldest_seconds is None:
        yield tasks
    else:
        age = duration(status.oldest_seconds)
        yield _("{queue}, the oldest there for {duration}", queue=tasks, duration=age)
    for worker in status.workers:
        yield "  " + ngettext(
            "{name}: 1 task, last seen {duration} ago",
            "{name}: {number:,} tasks, last seen {duration} ago",
            worker.pending,
            name=worker.name,
            duration=duration(worker.idle_seconds),
        )
    if not status.workers:
        yield "  " + _("no workers")
    if status.dead:
        command = dead_letters_command(url)
        yield _("dead letters: {number:,}; to put them back:\n  {command}", number=status.dead, command=command)
    else:
        yield _("dead letters: 0")
    if status.claim_after_seconds is not None and status.max_deliveries is not None:
        yield _(
            "settings: claim-after {seconds:g} s, max-deliveries {number:,}",
            seconds=status.claim_after_seconds,
            number=status.max_deliveries,
        )
    if status.results:
        yield _("results: {number:,}", number=status.results)


def quota_status(status: QuotaStatus) -> str:
    """Return the state of a shared quota."""
    if status.rate is None or status.full_rate is None or status.asked_seconds_ago is None:
        return _("quota of {account}: not used within the last day", account=status.account)
    first = _(
        "{rate}; {last_second} permits in the last second, {worst_second} in the fullest",
        rate=_quota_rate(status, status.rate, status.full_rate),
        last_second=status.last_second,
        worst_second=status.worst_second,
    )
    second = _(
        "{permits:,} permits in all, throttled answers: {throttled:,}, last asked for {duration} ago",
        permits=status.permits,
        throttled=status.throttled,
        duration=duration(status.asked_seconds_ago),
    )
    third = _(
        "settings: max-per-second {rate:g}, arrival-jitter {jitter:g} ms",
        rate=status.max_per_second or 0,
        jitter=1000 * (status.arrival_jitter or 0),
    )
    return f"{first}\n  {second}\n  {third}"


def _quota_rate(status: QuotaStatus, rate: float, full: float) -> str:
    account = status.account
    if status.action != "StopWebcast":
        account = _("{account} for {action}", account=account, action=status.action)
    if rate >= full:
        text = _("quota of {account}: {rate:.1f} calls a second at most", account=account, rate=rate)
    else:
        text = _(
            "quota of {account}: {rate:.1f} calls a second, throttled down from {full:.1f}",
            account=account,
            rate=rate,
            full=full,
        )
    if not status.held_seconds:
        return text
    return _("{rate}, and none for {duration}", rate=text, duration=duration(status.held_seconds))
