from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stopcast.sources import Form, ReadOptions
from stopcast.tasks import identities
from stopcast.tasks.identities import Identities, IdentityNumbers, identities_of, identity, row_fingerprint
from stopcast.tasks.intake import Accepted, AlreadySettled, Intake, Taken
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import OTHERS, Batch, BrokenRow, RawRow, RowColumns, Task
from support.lists import rows_of
from support.memory import peak_memory

NOW = 1795377600.0


def batch(*rows: tuple[Any, ...], broken: Iterable[tuple[str, int]] = (), left_out: int = 0, first: int = 1) -> Batch:
    """Rows on the lines from ``first`` on."""
    numbered = [RawRow(row[0], row[1], row[2], line) for line, row in enumerate(rows, start=first)]
    return Batch("list", numbered, [BrokenRow(*row) for row in broken], left_out)


def statuses_and_lines(taken: Taken) -> list[tuple[Status, int | None]]:
    return [(outcome.status, outcome.line) for outcome in taken.outcomes]


def parts(taken: Taken) -> tuple[list[Accepted], list[Outcome]]:
    return taken.accepted, list(taken.outcomes)


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


# Going on with a report


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


# Identities


def test_an_identity_is_the_same_in_every_process_and_version() -> None:
    assert identity(Task("a", "r", "t")).hex() == "5733a149a01213a1ed500b14d4543d02"


def test_an_identity_is_128_bits_and_the_same_in_every_form() -> None:
    digest = identity(Task("a", "r", "t"))
    assert len(digest) == 16
    assert digest == identity("a,r,t") == identities_of([b"a,r,t"])[0]
    assert identity("a\ud800") != identity("a\udc00")


def test_the_fingerprint_of_an_invalid_row_is_made_of_what_its_line_shows() -> None:
    task = Task("a", "r", "t")
    assert row_fingerprint(Status.DUPLICATE, task, "x") == identity(task)
    distinct = {
        row_fingerprint(Status.DUPLICATE, task, "x"),
        row_fingerprint(Status.INVALID, task, "x"),
        row_fingerprint(Status.INVALID, task, "y"),
        row_fingerprint(Status.INVALID, task, None),
        row_fingerprint(Status.INVALID, Task("a", "r", "t', 'x"), ""),
    }
    assert len(distinct) == 5


@pytest.fixture(params=[1 << 20, 2], ids=["few shelves", "shelves that grow"])
def empty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Identities:
    monkeypatch.setattr(identities, "_FULL_SHELF", request.param)
    return Identities()


def test_identities_are_a_set(empty: Identities) -> None:
    digests = identities_of(b"%d" % number for number in range(2000))
    assert empty.add_all(digests[:1000]) == [True] * 1000
    assert empty.add_all(digests[500:1500] + digests[1499:1500]) == [False] * 500 + [True] * 500 + [False]
    assert len(empty) == 1500
    assert all(digest in empty for digest in digests[:1500])
    assert not any(digest in empty for digest in digests[1500:])
    assert not empty.add(digests[0])
    assert empty.add(digests[1999])


def test_an_identity_can_be_removed_and_added_again(empty: Identities) -> None:
    digests = identities_of(b"%d" % number for number in range(1000))
    empty.add_all(digests)
    for digest in digests[::2]:
        empty.discard(digest)
        empty.discard(digest)
    assert len(empty) == 500
    assert [digest in empty for digest in digests] == [False, True] * 500
    assert empty.add_all(digests) == [True, False] * 500


def test_shelves_that_grow_one_batch_after_the_other_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "_FULL_SHELF", 1)
    digests = identities_of(b"%d" % number for number in range(40_000))
    found, numbers = Identities(), IdentityNumbers()
    for start in range(0, 40_000, 70):
        assert all(found.add_all(digests[start : start + 70]))
        for digest in digests[start : start + 70]:
            numbers[digest] += 1
        assert digests[0] in found
    assert len(found) == len(numbers) == 40_000
    assert not any(found.add_all(digests))
    assert {numbers[digest] for digest in digests} == {1}


def test_bytes_across_two_identities_of_a_shelf_are_not_a_third(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "_FIRST_SHELVES", 1)
    found, numbers = Identities(), IdentityNumbers()
    one, two = bytes(range(16)), bytes(range(16, 32))
    found.add_all([one, two])
    for digest in (one, two):
        numbers[digest] = 16
    for shift in range(1, 16):
        across = (one + two)[shift : shift + 16]
        assert across not in found
        found.discard(across)
        assert len(found) == 2
        assert not numbers[(one + b"\x10" + two)[shift : shift + 16]]
    across = (one + two)[8:24]
    assert found.add(across)
    assert not found.add(across)
    assert across in found
    # Bytes that stand across others first, and as themselves later.
    assert not found.add_all([across, one, two]).count(True)


def test_numbers_of_identities_may_be_of_any_size() -> None:
    numbers = IdentityNumbers()
    one, two = identities_of([b"1", b"2"])
    assert not numbers
    for number in (1, 254, 255, 256, 70_000, 3, 0):
        numbers[one] = number
        assert (numbers[one], numbers[two], len(numbers)) == (number, 0, 1)


# Before the number of shelves grows, just after it grew, and well after that.
@pytest.mark.parametrize("rows", [24_000, 27_000, 70_000])
def test_deduplication_takes_at_most_30_bytes_a_row(rows: int) -> None:
    with peak_memory() as peak:
        found = Identities()
        for start in range(0, rows, 200):
            found.add_all(identities_of(b"%d" % number for number in range(start, start + 200)))
    assert len(found) == rows
    assert peak.bytes / rows < 30
