"""The queue as a program uses it, against a real Redis: putting tasks in, working them off, and the status."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from stopcast import ConfigurationError, Outcome, QueueError, RedisConsumer, RedisQueue, Status, Task
from stopcast.errors import ListError
from stopcast.events import DeadLettered, Event
from stopcast.report.line import read_line, task_of
from stopcast.sandbox import Emulator, Faults
from stopcast.tasks.identities import identity
from support.processes import tasks
from support.queues import SOON, drained, leave_pending, put
from support.streams import eventually, stopper_at


async def test_each_task_of_a_list_comes_out_once_and_leaves_nothing_in_the_queue(url: str, there: Any) -> None:
    assert await put(url, *tasks(1200)) == (1200, 0)
    async with Emulator(quota_per_second=None) as emulator:
        outcomes = await drained(url, emulator)
    assert {outcome.task for outcome in outcomes} == set(tasks(1200)) == emulator.stopped
    assert len(outcomes) == emulator.calls == 1200
    assert {(outcome.source, outcome.status) for outcome in outcomes} == {("tasks", Status.STOPPED)}
    assert (there.xlen("tasks"), there.xpending("tasks", "stopcast")["pending"]) == (0, 0)


async def test_a_list_that_is_put_in_twice_is_worked_on_once(url: str, there: Any) -> None:
    assert await put(url, *tasks(700)) == (700, 0)
    assert await put(url, *tasks(900)) == (200, 700)
    async with Emulator(quota_per_second=None) as emulator:
        assert len(await drained(url, emulator)) == 900
    assert await put(url, *tasks(900)) == (0, 900)
    assert there.xlen("tasks") == 0
    assert await put(url, *tasks(3), again=True) == (3, 0)


async def test_an_identity_expires_after_two_days_at_most(url: str, there: Any) -> None:
    await put(url, *tasks(50))
    shelves = there.keys("{tasks}:seen:*")
    assert shelves
    assert all(86_400 < there.ttl(shelf) <= 2 * 86_400 for shelf in shelves)


async def test_only_a_task_that_ended_badly_can_be_put_in_again(url: str) -> None:
    listed = tasks(4)
    await put(url, *listed)
    async with Emulator(quota_per_second=None, faults=Faults({"parameter": listed[:2]})) as emulator:
        outcomes = await drained(url, emulator)
    assert {outcome.task for outcome in outcomes if not outcome.good} == set(listed[:2])
    assert await put(url, *listed) == (2, 2)


async def test_put_waits_while_the_queue_is_full(url: str, there: Any) -> None:
    full = asyncio.Event()
    async with RedisQueue(url, max_length=600, on_full=full.set) as queue, Emulator(quota_per_second=None) as emulator:
        putting = asyncio.create_task(queue.put(tasks(2000)))
        await full.wait()
        assert not putting.done()
        # Tasks go in by steps of 500, so the queue may exceed its length by a step.
        assert 600 <= there.xlen("tasks") < 1100
        draining = asyncio.create_task(drained(url, emulator))
        assert await putting == (2000, 0)
        rest = await draining + await drained(url, emulator)
    assert {outcome.task for outcome in rest} == set(tasks(2000))


async def test_a_task_with_an_empty_id_is_not_put_in(url: str, there: Any) -> None:
    with pytest.raises(ListError, match="task 2 cannot be put in: RoomId is empty"):
        await put(url, *tasks(1), Task("a", "", "t"))
    assert not there.exists("tasks")


@pytest.mark.parametrize(
    "address", ["redis://localhost/0", "redis://localhost", "redis://:secret@localhost/7", "unix:///socket", "x"]
)
def test_an_address_without_a_queue_name_is_refused_without_showing_its_password(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisQueue(address)
    assert "NAME" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_queue_can_be_named_in_the_path_or_in_the_query_of_the_address(redis_url: str) -> None:
    assert await put(f"{redis_url}?queue=a.b:c", *tasks(1)) == (1, 0)
    assert await put(f"{redis_url}/a.b:c", *tasks(1)) == (0, 1)


async def test_a_redis_that_cannot_be_reached_is_a_queue_error() -> None:
    with pytest.raises(QueueError, match="cannot be used"):
        await put("redis://127.0.0.1:1/0/tasks", *tasks(1))
    with pytest.raises(QueueError, match="cannot be used"):
        async with RedisConsumer("redis://127.0.0.1:1/0/tasks"):
            pass


# What others put in


async def test_an_entry_of_another_program_is_a_task_or_an_invalid_row_with_its_id(url: str, there: Any) -> None:
    there.xadd("tasks", {"task": "a,r,t"})
    bad = {
        "the field task is not AppId,RoomId,TaskId (found 'a,r')": {"task": "a,r"},
        "RoomId is empty (found 'a,,t')": {"task": "a,,t"},
        "it has no field named task (found nothing)": {"job": "a,r,u"},
        r"AppId may not hold '\\': '\\xff' (found '\\xff,r,t')": {"task": b"\xff,r,t"},
    }
    ids = [there.xadd("tasks", fields) for fields in bad.values()]
    async with Emulator(quota_per_second=None) as emulator:
        outcomes = await drained(url, emulator)
    assert emulator.stopped == {Task("a", "r", "t")}
    assert {outcome.message for outcome in outcomes if outcome.status is Status.INVALID} == {
        f"entry {entry_id} of the queue names no task: {reason}" for entry_id, reason in zip(ids, bad, strict=True)
    }
    assert len(outcomes) == 5
    assert there.xlen("tasks") == 0


async def test_two_entries_of_one_task_are_one_call_and_one_outcome(url: str, there: Any) -> None:
    await put(url, *tasks(1))
    await put(url, *tasks(1), again=True)
    async with Emulator(quota_per_second=None) as emulator:
        assert len(await drained(url, emulator)) == emulator.calls == 1
    assert there.xlen("tasks") == 0


async def test_a_worker_that_ends_hands_back_unsent_tasks_without_doubt_and_sent_ones_in_doubt(
    url: str, there: Any
) -> None:
    await put(url, *tasks(100))
    async with Emulator(running=[], quota_per_second=None) as emulator:
        async with (
            stopper_at(emulator, max_at_once=1) as stopper,
            RedisConsumer(url) as consumer,
            aclosing(stopper.stop_all(consumer)) as outcomes,
        ):
            first = await anext(outcomes)
            consumer.ack([first])
        handed_back = there.xrange("tasks")
        assert there.xpending("tasks", "stopcast")["pending"] == 0
        assert there.xinfo_consumers("tasks", "stopcast") == []
        # A task that was sent, and whose outcome was not taken, is in doubt.
        doubts = [fields for _, fields in handed_back if "in_doubt" in fields]
        assert len(handed_back) == 99
        assert len(doubts) == emulator.calls - 1
        rest = await drained(url, emulator)
    counted = {status: sum(outcome.status is status for outcome in rest) for status in Status}
    assert counted[Status.PRESUMED_STOPPED] == len(doubts)
    assert counted[Status.ALREADY_STOPPED] == 99 - len(doubts)


async def test_a_call_that_was_cut_off_is_handed_back_in_doubt(url: str) -> None:
    await put(url, *tasks(1))
    async with Emulator(quota_per_second=None, faults=Faults({"hang": tasks(1)})) as emulator:
        async with (
            stopper_at(emulator, drain_seconds=0.1) as stopper,
            RedisConsumer(url) as consumer,
            aclosing(stopper.stop_all(consumer)) as outcomes,
        ):
            waiting = asyncio.create_task(anext(outcomes))
            await eventually(lambda: emulator.calls)
            waiting.cancel()
            await asyncio.wait([waiting])
        emulator.running = set()
        (outcome,) = await drained(url, emulator)
    assert outcome.status is Status.PRESUMED_STOPPED


async def test_the_tasks_of_a_dead_worker_are_taken_over_in_doubt(url: str, there: Any) -> None:
    await put(url, *tasks(3))
    leave_pending(there, worker="dead", count=2)
    async with Emulator(running=[], quota_per_second=None) as emulator:
        outcomes = await drained(url, emulator)
    assert {outcome.task: outcome.status for outcome in outcomes} == {
        tasks(3)[0]: Status.PRESUMED_STOPPED,
        tasks(3)[1]: Status.PRESUMED_STOPPED,
        tasks(3)[2]: Status.ALREADY_STOPPED,
    }


async def test_a_task_that_a_report_settles_is_acknowledged_and_not_sent_again(url: str, there: Any) -> None:
    await put(url, *tasks(2))
    leave_pending(there, worker="dead", count=2)
    async with (
        RedisConsumer(url, until_empty=True, claim_after_seconds=SOON) as consumer,
        aclosing(consumer.take(settled={identity(tasks(2)[0])})) as batches,
    ):
        batch = await anext(batches)
    assert [row[:3] for row in batch.rows] == [tasks(2)[1]]
    assert there.xlen("tasks") == 1


async def test_a_task_that_takes_long_stays_with_its_living_worker(url: str, there: Any) -> None:
    await put(url, *tasks(1))
    async with (
        RedisConsumer(url, claim_after_seconds=SOON) as slow,
        RedisConsumer(url, claim_after_seconds=SOON) as other,
        aclosing(slow.take()) as of_slow,
        aclosing(other.take()) as of_other,
    ):
        batch = await anext(of_slow)
        nothing = asyncio.create_task(anext(of_other))
        await asyncio.wait([nothing], timeout=5 * SOON)
        assert not nothing.done()
        slow.ack([Outcome(Task(*batch.rows[0][:3]), Status.STOPPED, line=batch.rows[0].line)])  # type: ignore[arg-type]
        await eventually(lambda: not there.xlen("tasks"))
        nothing.cancel()
        await asyncio.wait([nothing])


async def test_a_worker_that_comes_back_does_not_take_its_tasks_back_and_adds_no_second_result(
    url: str, there: Any
) -> None:
    await put(url, *tasks(1))
    async with (
        RedisConsumer(url, claim_after_seconds=SOON, results=True) as asleep,
        aclosing(asleep.take()) as batches,
    ):
        batch = await anext(batches)
        (entry,) = there.xpending_range("tasks", "stopcast", "-", "+", 1)
        there.xclaim("tasks", "stopcast", "other", 0, [entry["message_id"]])
        await asleep._member.keep([entry["message_id"].encode()], asleep._tending.settings)
        (entry,) = there.xpending_range("tasks", "stopcast", "-", "+", 1)
        assert entry["consumer"] == "other"
        async with Emulator(quota_per_second=None) as emulator:
            (outcome,) = await drained(url, emulator, results=True)
        asleep.ack([Outcome(outcome.task, Status.STOPPED, line=batch.rows[0].line)])
    assert there.xlen("{tasks}:results") == 1
    assert there.xlen("tasks") == 0


async def test_a_task_that_was_delivered_too_often_goes_to_the_dead_letters(url: str, there: Any) -> None:
    await put(url, *tasks(2))
    (entry,) = leave_pending(there, worker="dead", count=1)
    for _ in range(2):
        there.xclaim("tasks", "stopcast", "dead", 0, [entry])
    events: list[Event] = []
    async with Emulator(quota_per_second=None) as emulator:
        outcomes = await drained(url, emulator, max_deliveries=3, observers=[events.append])
    assert [outcome.task for outcome in outcomes] == [tasks(2)[1]]
    assert events == [DeadLettered(tasks(1)[0], 3)]
    (letter,) = there.xrange("{tasks}:dead")
    assert letter[1] == {"task": "app,room-0,task-0", "earlier": "3"}
    async with RedisQueue(url) as queue:
        assert (await queue.status()).dead == 1


async def test_handing_back_does_not_count_as_a_death(url: str, there: Any) -> None:
    await put(url, *tasks(1))
    for _ in range(4):
        async with RedisConsumer(url) as consumer, aclosing(consumer.take()) as batches:
            assert (await anext(batches)).in_doubt == [False]
    assert [fields for _, fields in there.xrange("tasks")] == [{"task": "app,room-0,task-0"}]


async def test_the_results_stream_has_one_report_line_for_each_outcome(url: str, there: Any) -> None:
    await put(url, *tasks(30))
    async with Emulator(quota_per_second=None) as emulator:
        await drained(url, emulator, results=True)
    lines = [read_line(fields["line"].encode()) for _, fields in there.xrange("{tasks}:results")]
    assert {task_of(line) for line in lines if line} == set(tasks(30))
    assert [line["status"] for line in lines if line] == [Status.STOPPED] * 30


# How it stands


async def test_the_status_has_length_pending_tasks_age_and_workers(url: str) -> None:
    async with RedisQueue(url) as queue:
        empty = await queue.status()
        assert (empty.length, empty.pending, empty.oldest_seconds, empty.workers) == (0, 0, None, ())
        await queue.put(tasks(70))
        async with RedisConsumer(url) as consumer, aclosing(consumer.take()) as batches:
            assert len((await anext(batches)).rows) == 64
            status = await queue.status()
            assert (status.length, status.pending) == (70, 64)
            assert status.oldest_seconds is not None
            assert status.oldest_seconds >= 0
            assert [(worker.name, worker.pending) for worker in status.workers] == [(consumer.name, 64)]
        status = await queue.status()
        assert (status.length, status.pending, status.workers) == (70, 0, ())
