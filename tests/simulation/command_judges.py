"""What a story of the command must not show, by its report, its exit statuses and its times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from simulation.judges import GOOD, REFUSED_STATUS, Claim, false_claims, lines_of
from simulation.world import STANDSTILLS
from stopcast import Status, Task
from stopcast.report.in_flight import open_in_flight_log
from stopcast.tasks.identities import identity

if TYPE_CHECKING:
    from simulation.story import Story


def one_line_each(story: Story) -> Iterator[str]:
    """Each row is one line, once a run has come to its end."""
    if not story.finished:
        yield f"no run has come to its end in calm: {[life.status for life in story.lives]}"
        return
    rows = Counter(row[2] for row in story.rows)
    lines = Counter(line["TaskId"] for line in lines_of(story))
    if len(story.report.read_bytes().splitlines()) != lines.total():
        yield "the report has something that is no line"
    for task_id in rows | lines:
        if rows[task_id] != lines[task_id]:
            yield f"{task_id} has {rows[task_id]} rows and {lines[task_id]} lines"


def truth(story: Story) -> Iterator[str]:
    """No line of the report is false."""
    for line in lines_of(story):
        task = Task(line["AppId"] or "", line["RoomId"] or "", line["TaskId"] or "")
        yield from false_claims(story, Claim(task, line["status"], line["code"], bool(line.get("in_doubt"))))


def one_run_at_a_time(story: Story) -> Iterator[str]:
    """Only one run writes a report: no two send by turns, and one that is refused sends nothing."""
    order = list(dict.fromkeys(call.life for call in story.calls))
    turns = [life for life, _ in groupby(story.calls, key=attrgetter("life"))]
    if turns != order:
        yield f"runs over one report send by turns: {turns[:5]}"
    for life in story.lives:
        if life.status == REFUSED_STATUS and life.group.name in order:
            yield f"{life.group.name} is refused, and has sent calls"


def in_the_end(story: Story) -> Iterator[str]:
    """In calm, each task ends as the truth has it."""
    if not story.finished:
        return
    for line in lines_of(story):
        if line["status"] == "gave_up":
            yield f"{line['TaskId']} was given up in calm: {line['code']} {line['message']}"


def no_log_left(story: Story) -> Iterator[str]:
    """Once each row is settled or certain, no in-flight log is left beside the report."""
    doubtful = (line for line in lines_of(story) if line.get("in_doubt") and not Status(line["status"]).settled)
    if not story.finished or any(doubtful):
        return
    left = [path.name for path in story.folder.glob(f"{story.report.name}.inflight*")]
    # Each later run keeps a note that a power cut has torn, as it may be of a task that another list names.
    if left and not (story.record.power_cuts and _notes(story) - {identity(task) for task in story.tasks}):
        yield f"no row is in doubt, and {left} are left"


def _notes(story: Story) -> set[bytes]:
    log = open_in_flight_log(story.report, most=0, settled=())
    notes = set(log.left)
    log.close()
    return notes


def ends_by_its_deadline(story: Story) -> Iterator[str]:
    """With --until, the last call goes out one timeout before that time, and then the run ends."""
    if STANDSTILLS & story.world.kinds.keys():
        return
    for life in story.lives:
        if life.until is None or not life.group.alive:
            continue
        last_call_at = life.until - story.world.timeout_seconds + 0.001
        if any(call.life == life.group.name and call.sent_at > last_call_at for call in story.calls):
            yield f"{life.group.name} sends after {last_call_at:.6f}, and is to end at {life.until:.6f}"
        if life.ended_at is not None and life.ended_at > life.until + 4.5:
            yield f"{life.group.name} ends {life.ended_at - life.until:.1f} s after its deadline"


def statuses(story: Story) -> Iterator[str]:
    """The exit status and the totals agree with the report."""
    last = story.lives[-1]
    if not story.finished or last.ended is None or last.ended.summary is None:
        return
    lines = Counter(line["status"] for line in lines_of(story))
    summary = last.ended.summary
    if lines != Counter(summary["statuses"]):
        yield f"the summary says {summary['statuses']}, and the report {dict(lines)}"
    bad = sum(number for status, number in lines.items() if status not in GOOD)
    if (last.status == 0) != (not bad):
        yield f"status {last.status} with {bad} rows that are not good"


def calls_counted(story: Story) -> Iterator[str]:
    """A life counts the calls that it wrote to the wire, and those whose connection died in the same moment."""
    written = Counter(call.life for call in story.calls)
    dead = story.record.dropped
    for life in story.lives:
        if life.ended is not None and life.ended.summary is not None:
            counted = life.ended.summary["calls"]
            if not 0 <= counted - written[life.group.name] <= dead[life.group.name]:
                yield f"{life.group.name} counts {counted} calls, and wrote {written[life.group.name]}"


def ends_in_time(story: Story) -> Iterator[str]:
    """After a signal, no call goes out, and the run ends within its bounds."""
    world = story.world
    for life in story.lives:
        if life.first_signal_at is None or not life.group.alive:
            continue
        late = [call for call in story.calls if call.life == life.group.name]
        late = [call for call in late if call.sent_at > life.first_signal_at + 0.001]
        if late:
            yield f"{life.group.name} sends {late[0].task.task_id} at {late[0].sent_at:.6f}, after its first signal"
        if {"stall", "stopped", "write_slow"} & world.kinds.keys():
            continue
        ended_at = life.ended_at or float("inf")
        if ended_at - life.first_signal_at > world.grace_seconds + 4.5:
            yield f"{life.group.name} ends {ended_at - life.first_signal_at:.1f} s after its first signal"
        if life.second_signal_at is not None and ended_at - life.second_signal_at > 4.0:
            yield f"{life.group.name} ends {ended_at - life.second_signal_at:.1f} s after its second signal"


JUDGES: Final[tuple[Callable[[Any], Iterator[str]], ...]] = (
    one_line_each,
    truth,
    one_run_at_a_time,
    in_the_end,
    statuses,
    calls_counted,
    no_log_left,
    ends_in_time,
    ends_by_its_deadline,
)
