"""What a story must not show. Each judge goes by the API's record and by the files, and yields sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from simulation.api import REFUSED
from simulation.disk import left_open
from simulation.loop import SimulatedLoop, Thread
from simulation.machine import SECRET
from simulation.world import SHARING, STANDSTILLS
from stopcast import Task
from stopcast.report.line import read_line

if TYPE_CHECKING:
    from simulation.process import Process
    from simulation.record import Call
    from simulation.story import Story

GOOD: Final = {"stopped", "already_stopped", "presumed_stopped", "duplicate"}
_EPSILON: Final = 1e-6
#: Exit statuses that the command may end with: of itself, and of the three signals.
_STATUSES: Final = {0, 1, 3, 129, 130, 143}
#: Of a run over a report that exists, or that another run writes.
REFUSED_STATUS: Final = 2


def judge(story: Story) -> list[str]:
    """Return every violation."""
    from simulation import command_judges, library_judges, worker_judges

    own = {
        "command": command_judges.JUDGES,
        "runs": command_judges.JUDGES,
        "queue": worker_judges.JUDGES,
    }.get(story.world.program, library_judges.JUDGES)
    return [f"{judge.__name__}: {sentence}" for judge in (*JUDGES, *own) for sentence in judge(story)]


def left_behind(life: Process, loop: SimulatedLoop) -> Iterator[str]:
    """Judge what is left of a process that has ended by itself."""
    if not life.group.alive:
        return
    name = life.group.name
    for task in life.group.tasks:
        if not task.done():
            yield f"{name} leaves the task {task.get_name()} behind: {task.get_coro()}"
    for handle in loop._scheduled:  # type: ignore[attr-defined]
        left = not handle.cancelled() and life.group in handle._context.values()
        if left and not isinstance(handle._callback, Thread):
            yield f"{name} leaves a timer behind: {handle}"
    for descriptor in left_open(life.group):
        yield f"{name} leaves a descriptor behind: {Path(f'/proc/self/fd/{descriptor}').resolve()}"
    if life.group.wires:
        yield f"{name} leaves connections behind: {[str(wire) for wire in life.group.wires]}"


def cap(story: Story) -> Iterator[str]:
    """No sliding second at the API holds more calls of an account than the cap."""
    most = max(1, int(story.world.cap))
    for account, moments in story.api.arrivals.items():
        arrivals = sorted(moments)
        for first, last in zip(arrivals, arrivals[most:], strict=False):
            if last - first < 1.0 - _EPSILON:
                within = sum(first <= moment < first + 1.0 - _EPSILON for moment in arrivals)
                yield f"{within} calls {account} in the second from {first:.6f}, and the cap is {story.world.cap}"
                break


def only_listed(story: Story) -> Iterator[str]:
    """Nothing is sent that no list names."""
    listed = {Task(*row) for row in story.rows if "/" not in row[2]}
    for task in {call.task for call in story.calls} - listed:
        yield f"{task} was sent, and no list names it"


def lines_of(story: Story) -> list[dict[str, Any]]:
    """Return the report's lines, without those that are none."""
    if not story.report.exists():
        return []
    return [values for line in story.report.read_bytes().splitlines() if (values := read_line(line)) is not None]


#: A power cut may cost what was written since the last sync: notes and lines of a second.
_LOST_SECONDS: Final = 1.0
#: With these it may cost more: one slow sync waits for another, a process that stands still syncs nothing, and after a
#: sync that failed the next run does it.
_LOST_SECONDS_MORE: Final[Mapping[str, float]] = {
    "sync_slow": 6.8,
    **dict.fromkeys(STANDSTILLS, 45.0),
    "sync_fails": 60.0,
}


class Claim(NamedTuple):
    """What an outcome says of a task.

    Attributes:
        life: the process that says so, None where all lives are meant.
        at: virtual time at which it says so. That there is no doubt is said of the calls before.
    """

    task: Task
    status: str
    code: str | None
    in_doubt: bool
    life: str | None = None
    at: float = float("inf")


def _is_lost(story: Story, call: Call) -> bool:
    """Return whether a power cut may have cost the note of a call."""
    seconds = _LOST_SECONDS + sum(more for kind, more in _LOST_SECONDS_MORE.items() if kind in story.world.kinds)
    return any(0 <= cut - call.sent_at < seconds + _dead_seconds(story, call, cut) for cut in story.record.power_cuts)


def _dead_seconds(story: Story, call: Call, until: float) -> float:
    """Return how long there was no process to sync the note of a call: its own was killed, and the next one began."""
    killed_at = next((life.killed_at for life in story.lives if life.group.name == call.life), None)
    if killed_at is None:
        return 0.0
    return min([until, *(life.started_at for life in story.lives if life.started_at >= killed_at)]) - killed_at


def false_claims(story: Story, claim: Claim) -> Iterator[str]:
    """Compare an outcome with the truth."""
    task, status = claim.task, claim.status
    if status in {"invalid", "duplicate"}:
        return
    true = story.api.truth[task]
    call = true.stopped_by
    if call is not None and _is_lost(story, call):
        return
    ours = call is not None and claim.life in {None, call.life}
    if status == "stopped" and not ours:
        yield f"{task.task_id} is called stopped, and the API stopped nothing"
    if status == "already_stopped" and ours:
        yield f"{task.task_id} is called already_stopped, and our call stopped it"
    if status in {"already_stopped", "presumed_stopped"} and call is None and true.ends_at > story.ended_at:
        yield f"{task.task_id} is called {status}, and it runs"
    if status == "failed" and true.refusal != REFUSED:
        yield f"{task.task_id} is called failed ({claim.code}), and the API does not refuse it for good"
    if status == "set_aside" and true.refusal is None:
        yield f"{task.task_id} is set aside ({claim.code}), and the API does not refuse it"
    if status not in GOOD and not claim.in_doubt and ours and call is not None and call.sent_at < claim.at:
        yield f"{task.task_id} is called {status} without a doubt, and our call stopped it"


def errors(story: Story) -> Iterator[str]:
    """No process ends in a way that it should not know."""
    allowed = {None, *_STATUSES, *({REFUSED_STATUS} if "rival" in story.world.kinds else ())}
    for life in story.lives:
        name = life.group.name
        if life.error is not None:
            yield f"{name} raises {life.error!r}"
        elif life.status not in allowed:
            yield f"{name} ends with status {life.status}"


#: With these, the answer that a process sees is not the one to its call.
_FALSE_ANSWERS: Final = frozenset({"answer_doubled", "answer_stray"})


def one_call_at_a_time(story: Story) -> Iterator[str]:
    """No process makes a call for a task for which another one is under way."""
    if _FALSE_ANSWERS & story.world.kinds.keys():
        return
    last: dict[tuple[str, Task], Call] = {}
    for call in story.calls:
        before = last.get((call.life, call.task))
        last[call.life, call.task] = call
        if before is None or call.sent_at - before.sent_at > story.world.timeout_seconds - _EPSILON:
            continue
        if before.answered_at is None or before.answered_at > call.sent_at:
            yield f"{call.life} sends {call.task.task_id} at {call.sent_at:.6f}, and at {before.sent_at:.6f} before"


#: With these, connections die faster than permits come.
_DEADLY: Final = frozenset(
    {
        "idle_dropped_soon",
        "answer_doubled",
        "answer_stray",
        "rate_changed",
        "steered_by_signals",
        "throttled",
        "stall",
        "stopped",
        "connect_slow",
    }
)


def connections_last(story: Story) -> Iterator[str]:
    """A server that closes idle connections after a second keeps no call from going out."""
    if story.world.cap < 5 or story.world.program in SHARING or _DEADLY & story.world.kinds.keys():
        return
    messages = [line["message"] for line in lines_of(story)]
    uses = [life.use for life in story.lives if life.use is not None]
    messages += [outcome.message for use in uses for stream in use.streams for outcome in stream.outcomes]
    if any("dead when the call could have gone out" in (message or "") for message in messages):
        yield "a call found only dead connections"


def secrets(story: Story) -> Iterator[str]:
    """The secret stands nowhere."""
    for path in story.folder.iterdir():
        if path.is_file() and SECRET.encode() in path.read_bytes():
            yield f"the secret stands in {path.name}"
    if SECRET in story.messages:
        yield "the secret stands on standard error"


#: Of every story.
JUDGES: Final[tuple[Callable[[Any], Iterator[str]], ...]] = (
    cap,
    only_listed,
    one_call_at_a_time,
    errors,
    connections_last,
    secrets,
)
