"""What a worker knows of its tasks without asking Redis: whose they are, and whether they are in doubt."""

from __future__ import annotations

import pytest

from stopcast import Outcome, Status
from stopcast.fleet.queue.deliveries import Entry, WorkerDeliveries
from stopcast.fleet.queue.endings import endings_of
from stopcast.tasks.task import Task
from support.processes import tasks
from support.queues import Clock, rows

TASK = tasks(1)[0]


def entries(number: int, *, first: int = 0, **fields: bytes) -> list[Entry]:
    """Return entries of as many tasks."""
    texts = [",".join(task).encode() for task in tasks(number, first=first)]
    return [
        Entry(b"%d-0" % n, {b"task": text, **{name.encode(): value for name, value in fields.items()}})
        for n, text in enumerate(texts, start=first)
    ]


def test_a_task_is_ours_until_its_time_is_over(clock: Clock) -> None:
    deliveries = WorkerDeliveries("queue", clock)
    deliveries.take(entries(1), ours_until=1010)
    assert deliveries.still_ours(TASK)
    assert not deliveries.in_doubt(TASK)
    clock.now = 1010
    assert not deliveries.still_ours(TASK)
    assert deliveries.in_doubt(TASK)
    assert not deliveries.still_ours(Task("a", "task", "of another source"))


def test_a_confirmation_counts_for_the_entries_that_were_asked_about(clock: Clock) -> None:
    deliveries = WorkerDeliveries("queue", clock)
    deliveries.take(entries(1), ours_until=1010)
    asked = deliveries.ids
    deliveries.take(entries(1, first=1), ours_until=1012)
    deliveries.confirm(asked, set(asked), ours_until=1020)
    clock.now = 1015
    assert [deliveries.still_ours(task) for task in tasks(2)] == [True, False]


def test_an_entry_that_was_settled_and_is_there_again_is_handed_back_in_doubt(clock: Clock) -> None:
    deliveries = WorkerDeliveries("queue", clock)
    (settled, unsent), (unseen,) = entries(2), entries(1, first=2)
    deliveries.take([settled, unsent], ours_until=1010)
    deliveries.ack([Outcome(TASK, Status.STOPPED, line=1)])
    deliveries.settled(1)
    doubts = [b"in_doubt" in deliveries.fields_back(entry) for entry in (settled, unsent, unseen)]
    assert doubts == [True, False, False]


def test_a_row_that_was_given_back_comes_again_with_its_line_once_it_is_confirmed(clock: Clock) -> None:
    deliveries = WorkerDeliveries("queue", clock)
    deliveries.take(entries(2), ours_until=1010)
    clock.now = 1100
    deliveries.give_back(tasks(2))
    assert rows(deliveries.take([], ours_until=1110)) == []
    deliveries.confirm(deliveries.ids, {b"1-0"}, ours_until=1110)
    assert rows(deliveries.take([], ours_until=1110)) == [(2, tasks(2)[1], True)]
    assert [deliveries.still_ours(task) for task in tasks(2)] == [False, True]


def test_a_row_that_was_sent_before_it_was_given_back_comes_again_in_doubt(clock: Clock) -> None:
    deliveries = WorkerDeliveries("queue", clock)
    deliveries.take(entries(1), ours_until=1010)
    deliveries.begin(TASK, b"")
    deliveries.give_back(tasks(1))
    deliveries.confirm(deliveries.ids, {b"0-0"}, ours_until=1110)
    assert rows(deliveries.take([], ours_until=1110)) == [(1, TASK, True)]


def test_a_task_that_another_worker_had_and_that_is_ours_again_is_in_doubt(clock: Clock) -> None:
    deliveries = WorkerDeliveries("queue", clock)
    (entry,) = entries(1)
    deliveries.take([entry], ours_until=1010)
    deliveries.confirm([entry.id], set(), ours_until=1110)
    assert not deliveries.still_ours(TASK)
    # The row is with the engine still, so the entry that was claimed back is no second row.
    assert rows(deliveries.take([entry._replace(earlier=1)], ours_until=1110)) == []
    assert deliveries.still_ours(TASK)
    assert deliveries.in_doubt(TASK)


def test_a_second_entry_of_a_task_that_is_in_doubt_puts_its_row_in_doubt(clock: Clock) -> None:
    deliveries = WorkerDeliveries("queue", clock)
    deliveries.take(entries(1), ours_until=1010)
    (entry,) = entries(1, in_doubt=b"1")
    deliveries.take([entry._replace(id=b"7-0")], ours_until=1010)
    assert deliveries.still_ours(TASK)
    assert deliveries.in_doubt(TASK)


@pytest.mark.parametrize(("status", "only_mine"), [(Status.STOPPED, False), (Status.GAVE_UP, True)])
def test_only_a_good_outcome_settles_an_entry_that_another_worker_has_by_then(
    clock: Clock, status: Status, *, only_mine: bool
) -> None:
    deliveries = WorkerDeliveries("queue", clock)
    deliveries.take(entries(1), ours_until=1010)
    deliveries.ack([Outcome(TASK, status, line=1)])
    assert [ending.only_mine for ending in endings_of(deliveries.acked, results=True)] == [only_mine]


@pytest.mark.parametrize(("status", "left"), [(Status.STOPPED, [b"0-0"]), (Status.GAVE_UP, [])])
def test_a_bad_outcome_of_a_task_that_was_taken_over_leaves_it_to_the_other_worker(
    clock: Clock, status: Status, left: list[bytes]
) -> None:
    deliveries = WorkerDeliveries("queue", clock)
    deliveries.take(entries(1), ours_until=1010)
    deliveries.confirm(deliveries.ids, set(), ours_until=1110)
    deliveries.ack([Outcome(TASK, status, line=1)])
    assert [ending.entry_id for ending in endings_of(deliveries.acked, results=False)] == left


def test_an_entry_that_is_settled_while_an_answer_with_it_is_on_its_way_is_no_second_row(clock: Clock) -> None:
    deliveries = WorkerDeliveries("queue", clock)
    deliveries.take(entries(1), ours_until=1010)
    deliveries.begin_request()
    deliveries.ack([Outcome(TASK, Status.STOPPED, line=1)])
    deliveries.settled(1)
    assert rows(deliveries.take(entries(1), ours_until=1010)) == []
    deliveries.begin_request()
    assert len(rows(deliveries.take(entries(1), ours_until=1010))) == 1
