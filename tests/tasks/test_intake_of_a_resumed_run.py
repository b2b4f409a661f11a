"""What an intake makes of rows that a report settles, or that were in flight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from stopcast.tasks.identities import identity, row_fingerprint
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.settled import AlreadySettled
from stopcast.tasks.task import Task
from support.intake import NOW, batch, parts, statuses_and_lines


def earlier_of(lines: Iterable[bytes]) -> AlreadySettled:
    """What a reader of the report makes of it, going by the lines alone."""
    earlier = AlreadySettled()
    for line in lines:
        values = orjson.loads(line)
        status = Status(values["status"])
        task = Task(*(values[key] or "" for key in ("AppId", "RoomId", "TaskId")))
        if status in {Status.INVALID, Status.DUPLICATE}:
            earlier.rows[row_fingerprint(status, task, values["message"])] += 1
        else:
            earlier.settle(identity(task))
    return earlier


def line_of(outcome: Outcome) -> bytes:
    values = dict(zip(("AppId", "RoomId", "TaskId"), (value or None for value in outcome.task), strict=True))
    return orjson.dumps({**values, "status": outcome.status, "message": outcome.message})


IDS = st.one_of(st.sampled_from(["a", "b"]), st.text(max_size=300), st.none(), st.integers(), st.lists(st.text()))
ROWS = st.lists(st.tuples(IDS, IDS, IDS), max_size=20)


@settings(max_examples=300, deadline=None)
@given(ROWS, st.data())
def test_a_second_run_over_the_same_lists_reports_only_what_the_first_did_not(
    rows: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    whole = batch(*rows, broken=[("not UTF-8", 50), ("not UTF-8", 51)])
    first = Intake().take(whole, NOW)
    lines = [line_of(outcome) for outcome in first.outcomes]
    lines += [line_of(Outcome(row.task, Status.STOPPED)) for row in first.accepted]
    kept = data.draw(st.sets(st.integers(0, max(0, len(lines) - 1)))) if lines else set()
    earlier = earlier_of(lines[number] for number in kept)
    intake = Intake(settled=earlier)
    second = intake.take(whole, NOW)
    again = [line_of(outcome) for outcome in second.outcomes]
    again += [line_of(Outcome(row.task, Status.STOPPED)) for row in second.accepted]
    assert Counter(again) + Counter(lines[number] for number in kept) == Counter(lines)
    assert intake.rows == len(rows) + 2
    # It only reads what the report says: a second pass has the same result.
    assert parts(Intake(settled=earlier).take(whole, NOW)) == parts(second)


def test_a_row_that_a_report_settles_is_skipped_and_counted() -> None:
    earlier = earlier_of([line_of(Outcome(Task("a", "r", "t"), Status.STOPPED))])
    intake = Intake(settled=earlier)
    taken = intake.take(batch(("a", "r", "t"), ("a", "r", "u"), ("a", "r", "t")), NOW)
    assert [row.task.task_id for row in taken.accepted] == ["u"]
    assert statuses_and_lines(taken) == [(Status.DUPLICATE, 3)]
    assert (intake.settled, intake.tasks, intake.duplicates, intake.rows) == (1, 1, 1, 3)


def test_a_task_that_was_in_flight_at_a_crash_is_in_doubt() -> None:
    earlier = AlreadySettled()
    earlier.doubt([identity(Task("a", "r", "t"))])
    taken = Intake(settled=earlier).take(batch(("a", "r", "t"), ("a", "r", ""), ("a", "r", "t"), ("a", "r", "u")), NOW)
    assert [(row.line, row.in_doubt) for row in taken.accepted] == [(1, True), (4, False)]


def test_rows_that_are_unique_already_are_each_a_task_and_only_those_of_a_doubtful_delivery_are_in_doubt() -> None:
    intake = Intake()
    rows = batch(("a", "r", "1"), ("a", "", "2"), ("a", "r", "3"))
    for _ in range(2):
        taken = intake.take(replace(rows, in_doubt=[False, True, True], already_unique=True), 0.0)
        assert [(row.task.task_id, row.in_doubt) for row in taken.accepted] == [("1", False), ("3", True)]
        assert statuses_and_lines(taken) == [(Status.INVALID, 2)]
    assert (intake.tasks, intake.invalid, intake.duplicates, len(intake._seen)) == (4, 2, 0, 0)


def test_an_intake_sees_what_is_added_to_the_settled_tasks_later() -> None:
    earlier = AlreadySettled()
    intake = Intake(settled=earlier)
    earlier.settle(identity("a,r,t"))
    assert not intake.take(batch(("a", "r", "t")), NOW).accepted
