"""The queue as a program has it, against a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, closing
from typing import Any

import pytest
import redis

from stopcast import (
    ConfigurationError,
    Outcome,
    QueueError,
    RedisConsumer,
    RedisQueue,
    Status,
    Task,
)
from stopcast.errors import ListError
from stopcast.events import DeadLettered, Event, QueueFound, QueueLost
from stopcast.sandbox import Emulator, Faults
from support.processes import tasks
from support.redis_server import RedisServer
from support.streams import eventually, stopper_at

SOON = 0.2  # seconds of silence after which these tests take a worker for dead


@pytest.fixture
def url(redis_url: str) -> str:
    return f"{redis_url}/tasks"


@pytest.fixture
def there(redis_url: str) -> Iterator[Any]:
    """Looks at what lies in Redis."""
    with closing(redis.Redis.from_url(redis_url, decode_responses=True)) as client:
        yield client


async def put(url: str, *given: Task, **settings: Any) -> tuple[int, int]:
    async with RedisQueue(url) as queue:
        return await queue.put(given, **settings)


async def drained(url: str, emulator: Emulator, **settings: Any) -> list[Outcome]:
    """Work the queue off, and return what came of it."""
    outcomes: list[Outcome] = []
    async with (
        stopper_at(emulator) as stopper,
        RedisConsumer(url, until_empty=True, claim_after_seconds=SOON, **settings) as consumer,
    ):
        async for outcome in stopper.stop_all(consumer):
            outcomes.append(outcome)
            consumer.ack([outcome])
    return outcomes


# Putting in


async def test_what_is_put_in_comes_out_once_and_leaves_nothing(url: str, there: Any) -> None:
    assert await put(url, *tasks(1200)) == (1200, 0)
    async with Emulator(quota_per_second=None) as emulator:
        outcomes = await drained(url, emulator)
    assert {outcome.task for outcome in outcomes} == set(tasks(1200)) == emulator.stopped
    assert len(outcomes) == emulator.calls == 1200
    assert {(outcome.source, outcome.status) for outcome in outcomes} == {("tasks", Status.STOPPED)}
    assert (there.xlen("tasks"), there.xpending("tasks", "stopcast")["pending"]) == (0, 0)


async def test_the_same_list_put_in_twice_is_no_more_work_than_once(url: str, there: Any) -> None:
    assert await put(url, *tasks(700)) == (700, 0)
    assert await put(url, *tasks(900)) == (200, 700)
    async with Emulator(quota_per_second=None) as emulator:
        assert len(await drained(url, emulator)) == 900
    assert await put(url, *tasks(900)) == (0, 900)
    assert there.xlen("tasks") == 0
    assert await put(url, *tasks(3), again=True) == (3, 0)


async def test_an_identity_is_forgotten_after_two_days_at_most(url: str, there: Any) -> None:
    await put(url, *tasks(50))
    shelves = there.keys("{tasks}:seen:*")
    assert shelves
    assert all(86_400 < there.ttl(shelf) <= 2 * 86_400 for shelf in shelves)


async def test_a_task_that_ended_badly_may_be_put_in_again_and_one_that_ended_well_may_not(url: str) -> None:
    listed = tasks(4)
    await put(url, *listed)
    async with Emulator(quota_per_second=None, faults=Faults({"parameter": listed[:2]})) as emulator:
        outcomes = await drained(url, emulator)
    assert {outcome.task for outcome in outcomes if not outcome.good} == set(listed[:2])
    assert await put(url, *listed) == (2, 2)


async def test_a_full_queue_lets_wait_whoever_puts_in(url: str, there: Any) -> None:
    told = asyncio.Event()
    async with RedisQueue(url, max_length=600, on_full=told.set) as queue, Emulator(quota_per_second=None) as emulator:
        putting = asyncio.create_task(queue.put(tasks(2000)))
        await told.wait()
        assert not putting.done()
        # Whole steps go in, so it may hold a step more than that.
        assert 600 <= there.xlen("tasks") < 1100
        draining = asyncio.create_task(drained(url, emulator))
        assert await putting == (2000, 0)
        rest = await draining + await drained(url, emulator)
    assert {outcome.task for outcome in rest} == set(tasks(2000))


async def test_what_is_no_task_is_not_put_in(url: str, there: Any) -> None:
    with pytest.raises(ListError, match="task 2 names none: RoomId is empty"):
        await put(url, *tasks(1), Task("a", "", "t"))
    assert not there.exists("tasks")


@pytest.mark.parametrize(
    "address", ["redis://localhost/0", "redis://localhost", "redis://:secret@localhost/7", "unix:///socket", "x"]
)
def test_an_address_without_a_queue_s_name_is_refused_and_no_password_shown(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisQueue(address)
    assert "NAME" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_queue_may_be_named_behind_any_address(redis_url: str) -> None:
    assert await put(f"{redis_url}?queue=a.b:c", *tasks(1)) == (1, 0)
    assert await put(f"{redis_url}/a.b:c", *tasks(1)) == (0, 1)


async def test_a_redis_that_is_not_there_is_told_in_words() -> None:
    with pytest.raises(QueueError, match="cannot be used"):
        await put("redis://127.0.0.1:1/0/tasks", *tasks(1))
    with pytest.raises(QueueError, match="cannot be used"):
        async with RedisConsumer("redis://127.0.0.1:1/0/tasks"):
            pass


# What others put in


async def test_entries_of_other_programs_are_taken_and_odd_ones_are_invalid_rows(url: str, there: Any) -> None:
    for fields in ({"task": "a,r,t"}, {"task": "a,r"}, {"task": "a,,t"}, {"job": "a,r,u"}, {"task": b"\xff,r,t"}):
        there.xadd("tasks", fields)
    async with Emulator(quota_per_second=None) as emulator:
        outcomes = await drained(url, emulator)
    assert emulator.stopped == {Task("a", "r", "t")}
    assert sorted(outcome.status for outcome in outcomes) == ["invalid"] * 4 + ["stopped"]
    assert there.xlen("tasks") == 0


async def test_one_task_twice_at_the_same_time_is_one_call_and_one_outcome(url: str, there: Any) -> None:
    await put(url, *tasks(1))
    await put(url, *tasks(1), again=True)
    async with Emulator(quota_per_second=None) as emulator:
        assert len(await drained(url, emulator)) == emulator.calls == 1
    assert there.xlen("tasks") == 0


# Workers that end


async def test_what_a_worker_did_not_send_is_handed_back_and_not_in_doubt(url: str, there: Any) -> None:
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
        # Those that were sent, and whose outcome nobody took, are in doubt.
        doubts = [fields for _, fields in handed_back if "in_doubt" in fields]
        assert len(handed_back) == 99
        assert len(doubts) == emulator.calls - 1
        rest = await drained(url, emulator)
    counted = {status: sum(it.status is status for it in rest) for status in Status}
    assert counted[Status.PRESUMED_STOPPED] == len(doubts)
    assert counted[Status.ALREADY_STOPPED] == 99 - len(doubts)


async def test_a_call_that_was_cut_off_is_handed_back_in_doubt(url: str) -> None:
    await put(url, *tasks(1))
    async with Emulator(quota_per_second=None, faults=Faults({"hang": tasks(1)})) as emulator:
        async with (
            stopper_at(emulator) as stopper,
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


async def test_what_a_dead_worker_had_is_taken_over_in_doubt(url: str, there: Any) -> None:
    await put(url, *tasks(3))
    there.xgroup_create("tasks", "stopcast", id="0")
    there.xreadgroup("stopcast", "dead", {"tasks": ">"}, count=2)
    async with Emulator(running=[], quota_per_second=None) as emulator:
        outcomes = await drained(url, emulator)
    told = {outcome.task: outcome.status for outcome in outcomes}
    assert told == {
        tasks(3)[0]: Status.PRESUMED_STOPPED,
        tasks(3)[1]: Status.PRESUMED_STOPPED,
        tasks(3)[2]: Status.ALREADY_STOPPED,
    }


async def test_what_was_settled_before_a_crash_is_acknowledged_and_not_sent_again(url: str, there: Any) -> None:
    from stopcast.tasks.identities import identity

    await put(url, *tasks(2))
    there.xgroup_create("tasks", "stopcast", id="0")
    there.xreadgroup("stopcast", "dead", {"tasks": ">"})
    async with (
        RedisConsumer(url, until_empty=True, claim_after_seconds=SOON) as consumer,
        aclosing(consumer.take(settled={identity(tasks(2)[0])})) as batches,
    ):
        batch = await anext(batches)
    assert [row[:3] for row in batch.rows] == [tasks(2)[1]]
    assert there.xlen("tasks") == 1


async def test_a_live_worker_s_long_task_stays_its_own(url: str, there: Any) -> None:
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


async def test_a_worker_that_comes_back_leaves_to_the_other_what_it_took_over(url: str, there: Any) -> None:
    await put(url, *tasks(1))
    async with RedisConsumer(url, claim_after_seconds=60, results=True) as asleep, aclosing(asleep.take()) as batches:
        batch = await anext(batches)
        (entry,) = there.xpending_range("tasks", "stopcast", "-", "+", 1)
        there.xclaim("tasks", "stopcast", "other", 0, [entry["message_id"]])
        # A sign of life of the first does not take it back, and its outcome is no second result.
        await asleep._member.keep([entry["message_id"].encode()])
        (entry,) = there.xpending_range("tasks", "stopcast", "-", "+", 1)
        assert entry["consumer"] == "other"
        async with Emulator(quota_per_second=None) as emulator:
            there.xpending_range("tasks", "stopcast", "-", "+", 1)
            (outcome,) = await drained(url, emulator, results=True)
        asleep.ack([Outcome(outcome.task, Status.STOPPED, line=batch.rows[0].line)])
    assert there.xlen("{tasks}:results") == 1
    assert there.xlen("tasks") == 0


async def test_a_task_that_kills_its_workers_ends_among_the_dead_letters_and_is_told(url: str, there: Any) -> None:
    await put(url, *tasks(2))
    there.xgroup_create("tasks", "stopcast", id="0")
    there.xreadgroup("stopcast", "dead", {"tasks": ">"}, count=1)
    (entry,) = there.xpending_range("tasks", "stopcast", "-", "+", 1)
    for _ in range(2):
        there.xclaim("tasks", "stopcast", "dead", 0, [entry["message_id"]])
    events: list[Event] = []
    async with Emulator(quota_per_second=None) as emulator:
        outcomes = await drained(url, emulator, max_deliveries=3, observers=[events.append])
    assert [outcome.task for outcome in outcomes] == [tasks(2)[1]]
    assert events == [DeadLettered(tasks(1)[0], 3)]
    (letter,) = there.xrange("{tasks}:dead")
    assert letter[1] == {"task": "app,room-0,task-0", "earlier": "3"}
    async with RedisQueue(url) as queue:
        assert (await queue.status()).dead == 1


async def test_a_drain_is_not_counted_as_a_death(url: str, there: Any) -> None:
    await put(url, *tasks(1))
    for _ in range(4):
        async with RedisConsumer(url) as consumer, aclosing(consumer.take()) as batches:
            assert (await anext(batches)).in_doubt == [False]
    assert [fields for _, fields in there.xrange("tasks")] == [{"task": "app,room-0,task-0"}]


async def test_each_outcome_is_in_the_results_once_and_in_the_report_s_words(url: str, there: Any) -> None:
    from stopcast.report.line import read_line, task_of

    await put(url, *tasks(30))
    async with Emulator(quota_per_second=None) as emulator:
        await drained(url, emulator, results=True)
    lines = [read_line(fields["line"].encode()) for _, fields in there.xrange("{tasks}:results")]
    assert {task_of(line) for line in lines if line} == set(tasks(30))
    assert [line["status"] for line in lines if line] == [Status.STOPPED] * 30


# How it stands


async def test_the_status_tells_length_pending_oldest_and_workers(url: str) -> None:
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
            assert [(it.name, it.pending) for it in status.workers] == [(consumer.name, 64)]
        status = await queue.status()
        assert (status.length, status.pending, status.workers) == (70, 0, ())


# Redis away


async def test_redis_killed_while_tasks_are_worked_on_loses_and_doubles_nothing(redis_server: RedisServer) -> None:
    redis_server.kill()
    redis_server._options = ("--appendonly", "yes")
    redis_server.start()
    url = f"{redis_server.url}/tasks"
    events: list[Event] = []
    await put(url, *tasks(1500))
    outcomes: list[Outcome] = []
    async with (
        Emulator(quota_per_second=None) as emulator,
        stopper_at(emulator) as stopper,
        RedisConsumer(url, until_empty=True, observers=[events.append]) as consumer,
    ):
        async for outcome in stopper.stop_all(consumer):
            outcomes.append(outcome)
            consumer.ack([outcome])
            if len(outcomes) in {300, 900}:
                redis_server.kill()
                asyncio.get_running_loop().call_later(0.3, redis_server.start)
    assert {outcome.task for outcome in outcomes} == set(tasks(1500))
    assert emulator.calls == len(outcomes) == 1500
    assert {type(event) for event in events} == {QueueLost, QueueFound}
    with closing(redis.Redis.from_url(redis_server.url)) as there:
        assert there.xlen("tasks") == 0


async def test_a_redis_that_forgot_everything_takes_new_tasks(redis_server: RedisServer) -> None:
    url = f"{redis_server.url}/tasks"
    await put(url, *tasks(1))
    async with RedisConsumer(url) as consumer, aclosing(consumer.take()) as batches:
        await anext(batches)
        redis_server.kill()
        redis_server.start()
        coming = asyncio.create_task(anext(batches))
        await put(url, *tasks(1, first=5))
        assert [row.task_id for row in (await coming).rows] == ["task-5"]


async def test_flushed_scripts_and_cut_connections_are_not_noticed(url: str, there: Any) -> None:
    await put(url, *tasks(1000))
    outcomes: list[Outcome] = []
    async with (
        Emulator(quota_per_second=None) as emulator,
        stopper_at(emulator) as stopper,
        RedisConsumer(url, until_empty=True) as consumer,
    ):
        async for outcome in stopper.stop_all(consumer):
            outcomes.append(outcome)
            consumer.ack([outcome])
            if len(outcomes) % 200 == 0:
                there.script_flush()
                there.client_kill_filter(_type="normal", skipme=True)
    assert {outcome.task for outcome in outcomes} == set(tasks(1000))
    assert len(outcomes) == emulator.calls
    assert there.xlen("tasks") == 0
