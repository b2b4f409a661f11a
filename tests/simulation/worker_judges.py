"""What a story of a queue must not show: tasks lost or settled twice, calls for tasks of others, false words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from simulation.judges import Claim, false_claims
from simulation.loop import BEGAN_AT
from simulation.worker import Work
from stopcast import HaltedError, QueueDataLostError, QueueError, QuotaLostError, Task
from stopcast.report.line import read_line

if TYPE_CHECKING:
    from simulation.process import Process
    from simulation.record import Call
    from simulation.redis_server import RedisServer
    from simulation.story import Story

#: A call whose task was looked up is on the wire by then.
_AT_ONCE: Final = 0.001
#: A worker may have joined a queue that was lost before it knew.
_JOINS_WITHIN: Final = 10.0
#: Handing tasks back, closing the quota, and cutting off what does not end.
_LEAVES_WITHIN: Final = 10.0 + 3 * 2.5 + 2.0
_GOOD: Final = {"stopped", "already_stopped", "presumed_stopped"}
_STANDSTILLS: Final = frozenset({"stall", "stopped", "late_timer"})


def _queue(story: Story) -> RedisServer:
    assert story.queue is not None
    return story.queue


def _entries(story: Story, key: bytes) -> list[dict[bytes, bytes]]:
    stream = _queue(story).streams.streams.get(key)
    fields = [] if stream is None else list(stream.entries.values())
    return [dict(zip(each[::2], each[1::2], strict=True)) for each in fields]


def _results(story: Story) -> list[dict[str, Any]]:
    lines = [read_line(entry[b"line"]) for entry in _entries(story, b"{tasks}:results")]
    return [line for line in lines if line is not None]


def _task(line: dict[str, Any]) -> Task:
    return Task(line["AppId"], line["RoomId"], line["TaskId"])


def _finished_at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["finished_at"]).timestamp() - BEGAN_AT


def _workers(story: Story) -> Iterator[tuple[Process, Work]]:
    for life in story.lives:
        if life.work is not None:
            yield life, life.work


def no_task_lost(story: Story) -> Iterator[str]:
    """In the end each task that was put in has a result, or is among the dead letters, and nothing is left."""
    if not story.finished:
        yield f"no worker has come to its end in calm: {[repr(work.failed) for _, work in _workers(story)]}"
        return
    dead = {Task(*entry[b"task"].decode().split(",")) for entry in _entries(story, b"{tasks}:dead")}
    known = {_task(line) for line in _results(story)} | dead
    if missing := sorted(set(story.put) - known):
        yield f"{len(missing)} tasks have neither a result nor a dead letter: {missing[:3]}"
    if left := _entries(story, b"tasks"):
        yield f"{len(left)} entries are left in the queue: {left[:3]}"


def settled_once(story: Story) -> Iterator[str]:
    """A task that was put in once has one result."""
    if _queue(story).emptied_at:
        return
    results = Counter(_task(line) for line in _results(story))
    bad = {_task(line) for line in _results(story) if line["status"] not in _GOOD}
    for task, number in results.items():
        # One that ended badly may have been put in again, after an answer that was lost.
        if number > 1 and task not in bad:
            yield f"{task} has {number} results"


def good_end_stays(story: Story) -> Iterator[str]:
    """What a worker knows to be stopped has a result that says so, or that leaves it in doubt."""
    if _queue(story).emptied_at:
        return
    good = {each.task for _, work in _workers(story) for each in work.outcomes if each.good}
    kept = {_task(line) for line in _results(story) if line["status"] in _GOOD or line.get("in_doubt")}
    for task in sorted(good & {_task(line) for line in _results(story)} - kept):
        yield f"a worker knows that {task.task_id} is stopped, and its result says without a doubt that it is not"


def worker_truth(story: Story) -> Iterator[str]:
    """No result is false, and no outcome of a worker."""
    know = _knowing_each_other(story)
    claims = [
        Claim(_task(line), line["status"], line["code"], bool(line.get("in_doubt")), "", _finished_at(line))
        for line in _results(story)
    ]
    claims += [
        Claim(each.task, each.status, each.code, each.in_doubt, life.group.name, each.finished_at - BEGAN_AT)
        for life, work in _workers(story)
        for each in work.outcomes
    ]
    for claim in dict.fromkeys(claims):
        call = story.api.truth[claim.task].stopped_by
        if call is not None and call.life != claim.life and _is_forgotten(story, call):
            continue
        if call is None or {call.life, claim.life} <= know:
            yield from false_claims(story, claim._replace(life=None))
        elif claim.life:
            yield from false_claims(story, claim)


def _is_forgotten(story: Story, call: Call) -> bool:
    """Return whether a failover lost that a worker had the task of its call, and Redis never answered it again."""
    queue = _queue(story)
    consumer = next(work.consumer for life, work in _workers(story) if life.group.name == call.life)
    entry = ",".join(call.task).encode()
    held = [hold.at for hold in queue.holds if (hold.entry, hold.consumer) == (entry, consumer)]
    return any(
        queue.answered_at[call.life] <= lost.at and all(lost.kept_at < at for at in held if at <= call.sent_at)
        for lost in queue.failovers
    )


def _knowing_each_other(story: Story) -> set[str]:
    """Return the workers whose doubts reach one another, with "" for the results: those since the last loss of data."""
    lost_at = max(_queue(story).emptied_at, default=float("-inf"))
    since = {
        life.group.name
        for life, work in _workers(story)
        if work.joined_at is not None
        and work.joined_at > lost_at + _JOINS_WITHIN
        and not isinstance(work.failed, QueueDataLostError)
    }
    return {"", *since}


def sends_its_own(story: Story) -> Iterator[str]:
    """No call goes out later than the last sign of life and claim-after, and none for a task of another worker."""
    holds: dict[bytes, list[tuple[float, bytes]]] = {}
    for hold in _queue(story).holds:
        holds.setdefault(hold.entry, []).append((hold.at, hold.consumer))
    names = {life.group.name: work.consumer for life, work in _workers(story)}
    longest = story.world.claim_after_seconds + _AT_ONCE
    for call in story.record.calls:
        before = [hold for hold in holds.get(",".join(call.task).encode(), ()) if hold[0] <= call.sent_at]
        own = max((at for at, consumer in before if consumer == names[call.life]), default=float("-inf"))
        # A worker whose queue lost its data finishes what it has, although it is put in again.
        until = min((lost for lost in _queue(story).emptied_at if lost > own), default=float("inf"))
        # A failover may lose the sign of life that made it the worker's own.
        kept = not any(lost.kept_at < own <= lost.at for lost in _queue(story).failovers)
        if kept and any(own < at < min(until, call.sent_at - _AT_ONCE) for at, _ in before):
            yield f"{call.life} sends {call.task.task_id} at {call.sent_at:.6f}, and another worker has the task"
        if call.sent_at - own > longest:
            seconds = call.sent_at - own
            yield f"{call.life} sends {call.task.task_id} at {call.sent_at:.6f}, {seconds:.3f} s after a sign of life"


def loss_is_said(story: Story) -> Iterator[str]:
    """Every worker that had joined a queue whose data was lost says so."""
    for moment in _queue(story).emptied_at:
        for life, work in _workers(story):
            if work.joined_at is None or work.joined_at > moment or not life.group.alive or work.cancelled:
                continue
            if work.leaving_at is not None and (work.stops_early or work.leaving_at > moment):
                leaves_first = work.leaving_at <= moment or work.stops_early
                if not leaves_first and not isinstance(work.failed, QueueDataLostError | HaltedError):
                    yield f"{life.group.name} ends with {work.failed!r}, and the data was lost at {moment:.6f}"


def workers_end(story: Story) -> Iterator[str]:
    """Each worker ends with an error that it may have, and leaves within its bound."""
    lost = bool(_queue(story).emptied_at)
    for life, work in _workers(story):
        name = life.group.name
        if isinstance(work.failed, QueueDataLostError):
            if not lost:
                yield f"{name} says that data was lost, and none was: {work.failed}"
        elif isinstance(work.failed, QueueError | QuotaLostError):
            if work.joined_at is not None:
                yield f"{name} ends with {work.failed!r}, and had joined the queue"
        elif work.failed is not None and not isinstance(work.failed, HaltedError):
            yield f"{name} ends with {work.failed!r}"
        if _STANDSTILLS & story.world.kinds.keys() or work.leaving_at is None or work.left_at is None:
            continue
        if work.left_at - work.leaving_at > _LEAVES_WITHIN + story.world.grace_seconds:
            yield f"{name} takes {work.left_at - work.leaving_at:.1f} s to leave"


JUDGES: Final[tuple[Callable[[Any], Iterator[str]], ...]] = (
    no_task_lost,
    settled_once,
    good_end_stays,
    worker_truth,
    sends_its_own,
    loss_is_said,
    workers_end,
)
