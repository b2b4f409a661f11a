"""A Redis that goes on without its last writes, as a replica does that became the master: no status is false."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, closing, suppress
from typing import Any

import pytest
import redis

from stopcast import Outcome, RedisConsumer, Status
from stopcast.events import Event, QueueFound, QueueLost
from stopcast.fleet.queue.member import Member
from stopcast.fleet.queue.stream import Settings, connected_stream
from stopcast.sandbox import Emulator
from stopcast.tasks.task import Batch
from support.processes import tasks
from support.queues import SOON, Clock, drained, leave_pending, put, task_of
from support.streams import eventually, stopper_at

SETTINGS = Settings(claim_after_seconds=60, max_deliveries=10)


@pytest.fixture
def kept(redis_url: str) -> Iterator[Callable[[], Callable[[], None]]]:
    """Returns how to go back to what Redis holds now."""
    raw: Any
    with closing(redis.Redis.from_url(redis_url)) as raw:

        def keep() -> Callable[[], None]:
            held = {key: raw.dump(key) for key in raw.scan_iter()}

            def go_back() -> None:
                raw.flushall()
                for key, value in held.items():
                    raw.restore(key, 0, value)
                raw.script_flush()
                raw.client_kill_filter(_type="normal", skipme=True)

            return go_back

        yield keep


async def finish_one(consumer: RedisConsumer, outcomes: AsyncIterator[Outcome]) -> None:
    """Acknowledge the next outcome, and return when Redis knows of it."""
    consumer.ack([await anext(outcomes)])
    await eventually(lambda: not consumer._deliveries.acked)


async def assert_in_doubt_when_put_in_again(url: str, emulator: Emulator) -> None:
    """Put two tasks in: the first one was stopped before, and so was the other one, of which Redis has lost all."""
    assert await put(url, *tasks(2)) == (1, 1)
    (outcome,) = await drained(url, emulator)
    assert (outcome.task, outcome.status) == (tasks(2)[1], Status.PRESUMED_STOPPED)


async def test_a_task_whose_delivery_and_outcome_redis_has_lost_is_delivered_again_in_doubt(
    url: str, kept: Callable[[], Callable[[], None]]
) -> None:
    await put(url, *tasks(3))
    events: list[Event] = []
    async with Emulator(quota_per_second=None) as emulator, stopper_at(emulator) as stopper:
        async with RedisConsumer(url, observers=[events.append]) as consumer:
            go_back = kept()
            async with aclosing(stopper.stop_all(consumer)) as outcomes:
                for _ in range(3):
                    await finish_one(consumer, outcomes)
            go_back()
            await eventually(lambda: QueueFound() in events)
        again = await drained(url, emulator)
    assert QueueLost("Redis has lost its last writes") in events
    assert {(outcome.task, outcome.status) for outcome in again} == {
        (task, Status.PRESUMED_STOPPED) for task in tasks(3)
    }


async def finish_all(consumer: RedisConsumer, batches: AsyncIterator[Batch]) -> None:
    """Acknowledge the tasks of the next batch, and return when Redis knows of it."""
    rows = (await anext(batches)).rows
    consumer.ack(Outcome(task_of(row), Status.STOPPED, line=row.line) for row in rows)
    await eventually(lambda: not consumer._deliveries.acked)


async def test_a_worker_that_asked_for_nothing_during_a_failover_finds_out_before_it_reads(
    url: str, kept: Callable[[], Callable[[], None]]
) -> None:
    await put(url, *tasks(3))
    async with RedisConsumer(url) as consumer, aclosing(consumer.take()) as batches:
        go_back = kept()
        await finish_all(consumer, batches)
        go_back()
        assert (await anext(batches)).in_doubt == [True] * 3


@pytest.mark.parametrize("reading", [1, 2])
async def test_a_worker_that_reads_after_a_failover_knows_of_the_doubts_of_another_one(
    url: str, there: Any, kept: Callable[[], Callable[[], None]], reading: int
) -> None:
    await put(url, *tasks(3))
    async with RedisConsumer(url) as first, RedisConsumer(url) as second:
        go_back = kept()
        async with aclosing(first.take()) as of_first, aclosing(second.take()) as of_second:
            await finish_all(first, of_first)
            reads = [asyncio.ensure_future(anext(each)) for each in (of_first, of_second)[:reading]]
            await eventually(lambda: there.info("clients")["blocked_clients"] == reading)
            go_back()
            if reading == 1:
                # This one has asked for nothing during the failover.
                reads.append(asyncio.ensure_future(anext(of_second)))
            done, waiting = await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
            for each in waiting:
                each.cancel()
            await asyncio.wait(reads)
    assert [each.result().in_doubt for each in done] == [[True] * 3]


async def test_a_task_whose_entry_redis_has_lost_as_well_is_in_doubt_when_it_is_put_in_again(
    url: str, kept: Callable[[], Callable[[], None]]
) -> None:
    await put(url, *tasks(1))
    async with Emulator(quota_per_second=None) as emulator, stopper_at(emulator) as stopper:
        async with RedisConsumer(url) as consumer, aclosing(stopper.stop_all(consumer)) as outcomes:
            await finish_one(consumer, outcomes)
            go_back = kept()
            await put(url, *tasks(1, first=1))
            await finish_one(consumer, outcomes)
            go_back()
        await assert_in_doubt_when_put_in_again(url, emulator)


async def test_a_doubt_that_a_second_failover_loses_is_remembered_again(
    url: str, there: Any, kept: Callable[[], Callable[[], None]]
) -> None:
    await put(url, *tasks(1))
    async with Emulator(quota_per_second=None) as emulator, stopper_at(emulator) as stopper:
        async with (
            RedisConsumer(url, claim_after_seconds=0.2) as consumer,
            aclosing(stopper.stop_all(consumer)) as outcomes,
        ):
            await finish_one(consumer, outcomes)
            go_back = kept()
            await put(url, *tasks(1, first=1))
            await finish_one(consumer, outcomes)
            for _ in range(2):
                go_back()
                await eventually(lambda: there.keys("{tasks}:doubts:*"))
        await assert_in_doubt_when_put_in_again(url, emulator)


async def test_a_task_that_was_only_taken_over_is_in_doubt_when_redis_has_lost_it_and_it_is_put_in_again(
    url: str, there: Any, kept: Callable[[], Callable[[], None]]
) -> None:
    await put(url, *tasks(1))
    async with Emulator(quota_per_second=None) as emulator, stopper_at(emulator) as stopper:
        await drained(url, emulator)
        go_back = kept()
        await put(url, *tasks(1, first=1))
        leave_pending(there, worker="dead", count=1)
        async with (
            RedisConsumer(url, claim_after_seconds=SOON) as consumer,
            aclosing(stopper.stop_all(consumer)) as outcomes,
        ):
            await finish_one(consumer, outcomes)
            go_back()
            await eventually(lambda: there.keys("{tasks}:doubts:*"))
        await assert_in_doubt_when_put_in_again(url, emulator)


async def test_a_task_is_in_doubt_where_redis_may_have_lost_that_another_worker_had_it(
    url: str, there: Any, clock: Clock, kept: Callable[[], Callable[[], None]]
) -> None:
    await put(url, *tasks(1))
    async with RedisConsumer(url, clock=clock) as consumer, aclosing(consumer.take()) as batches:
        await anext(batches)
        go_back = kept()
        clock.now += 60
        (pending,) = there.xpending_range("tasks", "stopcast", "-", "+", 1)
        there.xclaim("tasks", "stopcast", "other", 0, [pending["message_id"]])
        go_back()
        consumer.give_back(tasks(1))
        assert (await anext(batches)).in_doubt == [True]
        assert consumer.still_ours(*tasks(1))


async def test_a_task_that_is_taken_over_between_two_failovers_does_not_end_the_doubts_of_the_first(
    url: str, there: Any, kept: Callable[[], Callable[[], None]]
) -> None:
    await put(url, *tasks(1))
    leave_pending(there, worker="dead", count=1)
    async with connected_stream(url) as stream:
        await stream.join(SETTINGS, appends_to=[])
        member = Member(stream, "member")
        go_back = kept()
        await put(url, *tasks(1, first=1))
        await member.with_doubts(await member.read(wait_seconds=1))
        for _ in range(2):
            go_back()
            await insisted(lambda: member.keep([], SETTINGS))
            assert there.keys("{tasks}:doubts:*")
            await member.claim(0)
            await member.keep([], SETTINGS)


async def test_a_task_that_was_read_just_before_a_failover_is_in_doubt_for_the_one_who_reads_it_again(
    url: str, kept: Callable[[], Callable[[], None]]
) -> None:
    await put(url, *tasks(1))
    async with connected_stream(url) as first, connected_stream(url) as second:
        for stream in (first, second):
            await stream.join(SETTINGS, appends_to=[])
        go_back = kept()
        member, other = Member(first, "member"), Member(second, "other")
        entries = await member.read(wait_seconds=1)
        go_back()
        await insisted(lambda: member.with_doubts(entries))
        (again,) = await other.with_doubts(await other.read(wait_seconds=1))
    assert again.in_doubt


async def insisted(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask Redis until it answers."""
    while True:
        with suppress(redis.RedisError):
            await ask()
            return


async def test_a_worker_stays_in_a_queue_whose_redis_forgot_that_it_joined(
    url: str, there: Any, kept: Callable[[], Callable[[], None]]
) -> None:
    await put(url, *tasks(2))
    go_back = kept()
    events: list[Event] = []
    async with (
        Emulator(quota_per_second=None) as emulator,
        stopper_at(emulator) as stopper,
        RedisConsumer(url, observers=[events.append]) as consumer,
        aclosing(stopper.stop_all(consumer)) as outcomes,
    ):
        for _ in range(2):
            await finish_one(consumer, outcomes)
        go_back()
        again = [await anext(outcomes) for _ in range(2)]
        consumer.ack(again)
        await eventually(lambda: not there.xlen("tasks"))
    assert {outcome.status for outcome in again} == {Status.PRESUMED_STOPPED}
