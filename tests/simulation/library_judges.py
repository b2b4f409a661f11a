"""What a story of the library must not show: how streams end, what is handed out, and what is sent after that."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from simulation.judges import Claim, false_claims
from simulation.library import SourceError, Stream, Use
from simulation.record import Call
from simulation.world import OF_THE_KEY, STANDSTILLS
from stopcast import HaltedError, Task

if TYPE_CHECKING:
    from simulation.process import Process
    from simulation.story import Story

#: A call that has its permit is on the wire by then.
_AT_ONCE: Final = 0.001
#: Nothing of the engine's own takes longer to end, with what it waits for cut off.
_CUT_OFF_WITHIN: Final = 4.5
#: The shared quota is closed after the Stopper.
_QUOTA_CLOSES_WITHIN: Final = 2.5
#: Kinds that may end a Stopper's calls for good.
_HALTING: Final = frozenset({"provider_fails", "provider_cancelled", "clock_off", "clock_set", "refused_unknown"})
#: Seconds by which these kinds can keep a call waiting between its pick and its permit.
_WAITS: Final[Mapping[str, float]] = {
    "connect_slow": 3.0,
    "connect_swallowed": 10.0,
    "idle_dropped": 10.0,
    "idle_dropped_soon": 10.0,
    "throttled": 65.0,
    "late_timer": 1.0,
    "stopped": 30.0,
    "pauses": 60.0,
    **dict.fromkeys(OF_THE_KEY, 65.0),
}


def lives_of(story: Story) -> Iterator[tuple[Process, Use, dict[Task, list[Call]]]]:
    """Yield each life that came to its end, with what it did and the calls that it made."""
    for life in story.lives:
        if life.group.alive and life.use is not None:
            calls: dict[Task, list[Call]] = defaultdict(list)
            for call in story.record.calls:
                if call.life == life.group.name:
                    calls[call.task].append(call)
            yield life, life.use, calls


def streams_end(story: Story) -> Iterator[str]:
    """Each stream ends, and so does leaving the Stopper, within its bounds."""
    # The key is rotated for each of the processes that share a quota, so that one may be refused twice.
    may_halt = story.world.program == "fleet" or bool(_HALTING & story.world.kinds.keys())
    for life, use, _ in lives_of(story):
        for stream in use.streams:
            if not stream.ended:
                yield f"{stream.name} ({stream.way}) has not ended"
            elif isinstance(stream.error, HaltedError) and not may_halt:
                yield f"{stream.name} ends with {stream.error!r}"
        if use.leaving_at is None or use.left_at is None or STANDSTILLS & story.world.kinds.keys():
            continue
        seconds = use.left_at - use.leaving_at
        # The shared quota is closed after it.
        bound = (
            _CUT_OFF_WITHIN
            + 2.5 * (story.world.program == "fleet")
            + (0.0 if use.cancelled else story.world.grace_seconds)
        )
        if seconds > bound:
            yield f"{life.group.name} takes {seconds:.1f} s to leave the Stopper"


def nothing_after_leaving(story: Story) -> Iterator[str]:
    """What was given up is not sent, and after the Stopper was left nothing is."""
    for life, use, calls in lives_of(story):
        for stream in use.streams if "same_task" not in story.world.kinds else ():
            if stream.way != "all" and stream.left_at is not None:
                for call in _late(stream, calls, stream.left_at):
                    yield f"{stream.name} ({stream.way}) was left at {stream.left_at:.6f}, and then sends {call}"
                    break
        if (ended_at := use.last_call_by) is not None:
            late = [call for each in calls.values() for call in each if call.sent_at > ended_at + _AT_ONCE]
            if late:
                yield f"{life.group.name} drains or leaves the Stopper at {ended_at:.6f}, and then sends {late[0]}"


def _late(stream: Stream, calls: dict[Task, list[Call]], moment: float) -> list[Call]:
    return [call for task in stream.tasks for call in calls[task] if call.sent_at > moment + _AT_ONCE]


def _is_given_once(task: Task, use: Use) -> bool:
    """Return whether only one stream has the task, so that all its calls are that stream's."""
    return sum(task in stream.tasks for stream in use.streams) == 1


def handed_out(story: Story) -> Iterator[str]:
    """A stream whose consumer stays hands out what its ending says, each once."""
    for _, use, calls in lives_of(story):
        # A drain that takes all of its time cuts calls off.
        ended_early = use.last_call_by is not None and use.left_at is not None
        cut_off = use.cancelled or (
            ended_early and (use.left_at or 0.0) - (use.last_call_by or 0.0) > story.world.grace_seconds - 0.1
        )
        for stream in use.streams:
            given = Counter(outcome.task for outcome in stream.outcomes)
            if twice := [task for task, times in given.items() if times > 1]:
                yield f"{stream.name} hands out {twice[0]} twice"
            if stream.way != "all" or not stream.ended:
                continue
            if stream.error is None or isinstance(stream.error, SourceError):
                missing = set(stream.read) - given.keys()
                if not stream.exhausted:
                    yield f"{stream.name} ends without an error before its source"
            elif cut_off:
                continue
            else:
                own = [task for task in stream.tasks if _is_given_once(task, use)]
                missing = {task for task in own if calls[task]} - given.keys()
            if missing:
                yield f"{stream.name} ends with {stream.error!r}, without the outcomes of {sorted(missing)[:3]}"


def observers(story: Story) -> Iterator[str]:
    """Observers are told once of the end of each task that was sent."""
    for life, use, calls in lives_of(story):
        for task in calls.keys() | use.finished.keys():
            streams = sum(task in stream.tasks for stream in use.streams)
            if calls[task] and not 1 <= use.finished[task] <= streams:
                yield f"{life.group.name}: observers were told {use.finished[task]} times of the end of {task}"


def gives_up_in_time(story: Story) -> Iterator[str]:
    """No attempt begins later than the policy has it."""
    world = story.world
    if {"stall", "blocks_loop"} & world.kinds.keys() or world.program == "fleet":
        return
    # With a connection in hand, half a second's worth of calls waits for its permit, or one.
    wait = 1.0 + 2.0 / world.cap + 4 * world.latency_seconds
    wait += sum(seconds for kind, seconds in _WAITS.items() if kind in world.kinds)
    for _, use, calls in lives_of(story):
        if use.give_up_after is None:
            continue
        for task, each in calls.items():
            if each and _is_given_once(task, use) and each[-1].sent_at - each[0].sent_at > use.give_up_after + wait:
                seconds = each[-1].sent_at - each[0].sent_at
                yield f"{task} is tried {seconds:.1f} s after its first attempt, and {use.give_up_after} s are allowed"


def library_truth(story: Story) -> Iterator[str]:
    """No status is false, as far as one stream can know."""
    for life, use, _ in lives_of(story):
        for stream in use.streams:
            for outcome in stream.outcomes:
                if _is_given_once(outcome.task, use):
                    claim = Claim(outcome.task, outcome.status, outcome.code, outcome.in_doubt, life.group.name)
                    yield from false_claims(story, claim)


def calm_end(story: Story) -> Iterator[str]:
    """In calm, each task has its outcome."""
    last = story.lives[-1].use
    if last is None or not last.streams:
        yield "there is no life in calm"
        return
    stream = last.streams[-1]
    if stream.error is not None or len(stream.outcomes) != len(stream.tasks):
        yield f"in calm, {stream.name} ends with {stream.error!r} and {len(stream.outcomes)} outcomes"
    for outcome in stream.outcomes:
        if outcome.status == "gave_up":
            yield f"in calm, {outcome.task} was given up: {outcome.code} {outcome.message}"


JUDGES: Final[tuple[Callable[[Any], Iterator[str]], ...]] = (
    streams_end,
    nothing_after_leaving,
    handed_out,
    observers,
    gives_up_in_time,
    library_truth,
    calm_end,
)
