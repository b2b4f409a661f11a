"""Which rows become tasks: duplicates, invalid rows and the limit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stopcast.sources import Form, ReadOptions
from stopcast.tasks.identities import identity
from stopcast.tasks.intake import Accepted, Intake
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.settled import AlreadySettled
from stopcast.tasks.task import OTHERS, Batch, RowColumns, Task
from support.intake import NOW, batch, parts, statuses_and_lines
from support.lists import rows_of


def test_a_good_row_is_accepted_with_its_place() -> None:
    taken = Intake().take(batch(("a", "r", "t"), ("a", "r", "u"), first=7), NOW)
    expected = [
        Accepted(Task("a", "r", "t"), identity("a,r,t"), "list", 7, False),
        Accepted(Task("a", "r", "u"), identity("a,r,u"), "list", 8, False),
    ]
    assert parts(taken) == (expected, [])
    assert isinstance(taken.accepted[0], Accepted)
    assert isinstance(taken.accepted[0].task, Task)


def test_rows_by_column_are_the_same_rows() -> None:
    rows = batch(("a", "r", "t"), ("a", "r", 1), ("a", "r", "t"))
    columns = RowColumns.of(rows.rows)
    assert (list(columns), columns[1], columns[-1], list(columns[1:])) == (
        rows.rows, rows.rows[1], rows.rows[-1], rows.rows[1:]
    )  # fmt: skip
    assert RowColumns.of(columns) is columns
    assert parts(Intake().take(Batch("list", columns), NOW)) == parts(Intake().take(rows, NOW))


def test_the_same_task_again_is_a_duplicate_within_a_batch_and_across() -> None:
    intake = Intake()
    first = intake.take(batch(("a", "r", "t"), ("a", "r", "u"), ("a", "r", "t")), NOW)
    second = intake.take(batch(("a", "r", "v"), ("a", "r", "u"), first=4), NOW)
    assert [row.line for row in first.accepted + second.accepted] == [1, 2, 4]
    assert first.outcomes == [
        Outcome(
            Task("a", "r", "t"), Status.DUPLICATE, message="the same task as an earlier row",
            source="list", line=3, finished_at=NOW,
        )
    ]  # fmt: skip
    assert statuses_and_lines(second) == [(Status.DUPLICATE, 5)]


def test_a_task_id_in_another_room_or_app_is_another_task() -> None:
    rows = [("a", "r", "t"), ("a", "s", "t"), ("b", "r", "t"), ("ar", "r", "t"), ("a", "rt", "t"), ("r", "a", "t")]
    assert len(Intake().take(batch(*rows), NOW).accepted) == 6


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((None, "r", "t"), "AppId is missing"),
        (("a", "", "t"), "RoomId is empty"),
        (("a", "r", 12345), "TaskId is a number, not a string"),
        (("a", 1.5, None), "RoomId is a number, not a string"),
        ((True, "r", "t"), "AppId is true or false, not a string"),
        (([1], "r", "t"), "AppId is an array, not a string"),
        (({}, "r", "t"), "AppId is an object, not a string"),
        ((b"a", "r", "t"), "AppId is bytes, not a string"),
        (("a", "room 1", "t"), "RoomId may not hold ' ': 'room 1'"),
        (("a", "r,1", "t"), "RoomId may not hold ',': 'r,1'"),
        (("a", "r\n", "t"), r"RoomId may not hold '\n': 'r\n'"),
        (("a", "r", "té"), "TaskId may not hold 'é': 'té'"),
        (("a", "r", "t\ud800"), r"TaskId may not hold '\ud800': 't\ud800'"),
        (("a", "r" * 129, "t"), f"RoomId is longer than 128 characters: '{'r' * 40}…'"),
    ],
)
def test_a_row_that_is_no_task_is_invalid_and_says_why(row: tuple[Any, Any, Any], message: str) -> None:
    taken = Intake().take(batch(("a", "r", "t"), row), NOW)
    assert len(taken.accepted) == 1
    [outcome] = taken.outcomes
    assert (outcome.status, outcome.line, outcome.message) == (Status.INVALID, 2, message)
    assert (outcome.attempts, outcome.source, outcome.finished_at) == (0, "list", NOW)


def test_an_invalid_row_shows_what_it_held_but_not_at_any_length() -> None:
    outcomes = Intake().take(batch(("x" * 257, None, ["t"]), ("x" * 256, "\ud800", "t")), NOW).outcomes
    assert [outcome.task for outcome in outcomes] == [
        Task("x" * 256 + "…", "", ""),
        Task("x" * 256, "\\ud800", "t"),
    ]


def test_ids_may_be_128_characters_of_the_vendors_alphabet() -> None:
    longest = ("aZ09_@-." * 16, "r" * 128, "." * 128)
    intake = Intake()
    assert len(intake.take(batch(longest, ("a", "r", "t")), NOW).accepted) == 2
    assert statuses_and_lines(intake.take(batch(("a", "r", "t" * 129)), NOW)) == [(Status.INVALID, 1)]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from(["a", "", "a,b", "a\n", "x" * 128, "x" * 129, " ", "é", None, 1])] * 3)))
def test_a_batch_is_judged_as_its_rows_are_one_by_one(rows: list[tuple[Any, ...]]) -> None:
    one, many = Intake(), Intake()
    whole = one.take(batch(*rows), NOW)
    single = [many.take(batch(row, first=line), NOW) for line, row in enumerate(rows, start=1)]
    assert parts(whole) == (
        [row for taken in single for row in taken.accepted],
        [outcome for taken in single for outcome in taken.outcomes],
    )
    assert one.as_json() == many.as_json()


def test_a_broken_line_is_invalid_with_its_reason() -> None:
    taken = Intake().take(batch(("a", "r", "t"), broken=[("not UTF-8", 5)]), NOW)
    assert taken.outcomes == [
        Outcome(Task("", "", ""), Status.INVALID, message="not UTF-8", source="list", line=5, finished_at=NOW)
    ]


def test_every_row_is_counted_once() -> None:
    intake = Intake()
    rows = [("a", "r", "t"), ("b", "r", "t"), ("a", "r", "t"), ("a", "r", ""), ("a", "r", "u")]
    intake.take(batch(*rows, broken=[("no", 6)], left_out=3), NOW)
    assert intake.as_json() == {
        "rows": 6, "tasks": 3, "settled": 0, "told_earlier": 0, "invalid": 2, "duplicates": 1, "excluded": 0,
        "left_out": 3, "per_app": {"a": 2, "b": 1},
    }  # fmt: skip


def test_only_the_first_thousand_apps_are_counted_by_name() -> None:
    intake = Intake()
    for start in range(0, 1200, 200):
        intake.take(batch(*((f"a{number}", "r", "t") for number in range(start, start + 200))), NOW)
    intake.take(batch(("a0", "r", "u"), ("a1100", "r", "u")), NOW)
    assert len(intake.per_app) == 1001
    assert (intake.per_app["a0"], intake.per_app[OTHERS]) == (2, 201)


@pytest.mark.parametrize(
    ("content", "counts"),
    [
        ("b,r,t\nb,r,u\nb,r,t\n", (2, 1, 0)),
        (" b,r ,t\nb,\tr,t\nb,r,u \n", (2, 1, 0)),
        ('b,"r",t\n"b",r,t\nb,r,"u"\n', (2, 1, 0)),
        ("b,,t\nb,r,é\nb,r,t u\n", (0, 0, 3)),
        (f"b,r,{'t' * 128}\nb,r,{'t' * 129}\n{'b' * 100},{'r' * 100},t\n", (2, 0, 1)),
    ],
)
def test_a_list_in_the_apis_order_is_judged_by_what_its_fields_hold(content: str, counts: tuple[int, int, int]) -> None:
    intake = Intake()
    for part in rows_of([b"AppId,RoomId,TaskId\n", content.encode()], ReadOptions(Form.CSV)):
        intake.take(part, NOW)
    assert (intake.tasks, intake.duplicates, intake.invalid) == counts


# The limit


def test_nothing_after_the_limit_is_looked_at() -> None:
    intake = Intake(limit=2)
    rows = [("a", "r", "t"), ("", "r", "t"), ("a", "r", "t"), ("a", "r", "u"), ("a", "r", "u"), ("", "r", "t")]
    taken = intake.take(batch(*rows[:4], *rows[4:], broken=[("early", 1), ("late", 9)]), NOW)
    assert [row.line for row in taken.accepted] == [1, 4]
    assert sorted(statuses_and_lines(taken)) == sorted(
        [(Status.INVALID, 1), (Status.INVALID, 2), (Status.DUPLICATE, 3)]
    )
    assert intake.full
    assert parts(intake.take(batch(("a", "r", "v"), broken=[("x", 1)], left_out=1), NOW)) == ([], [])
    assert (intake.rows, intake.left_out) == (5, 0)


@pytest.mark.parametrize("cut", range(1, 7))
def test_where_the_limit_falls_does_not_depend_on_the_batches(cut: int) -> None:
    rows = [("a", "r", "t"), ("a", "r", "u"), ("a", "r", "t"), ("a", "r", "v"), ("a", "r", "v"), ("a", "r", "w")]
    intake = Intake(limit=3)
    first = intake.take(batch(*rows[:cut]), NOW)
    second = intake.take(batch(*rows[cut:], first=cut + 1), NOW)
    assert [row.line for row in first.accepted + second.accepted] == [1, 2, 4]
    assert statuses_and_lines(first) + statuses_and_lines(second) == [(Status.DUPLICATE, 3)]


def test_a_limit_that_the_last_row_reaches_is_reached() -> None:
    intake = Intake(limit=2)
    taken = intake.take(batch(("a", "r", "t"), ("a", "r", "u"), broken=[("late", 3)]), NOW)
    assert (len(taken.accepted), list(taken.outcomes), intake.full) == (2, [], True)


def test_a_limit_of_none_and_of_nothing() -> None:
    assert not Intake().full
    assert Intake(limit=0).full


def test_settled_tasks_count_for_the_limit() -> None:
    earlier = AlreadySettled()
    earlier.settle(identity("a,r,t"))
    intake = Intake(limit=2, settled=earlier)
    taken = intake.take(batch(("a", "r", "t"), ("a", "r", "u"), ("a", "r", "v")), NOW)
    assert [row.line for row in taken.accepted] == [2]
    assert (intake.settled, intake.tasks, intake.full) == (1, 1, True)
