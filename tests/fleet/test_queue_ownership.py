"""Whose a task is: a worker that was cut off, or stood still, sends nothing that another worker may have taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest

from stopcast import Outcome, RedisConsumer, RetryPolicy, Status
from stopcast.events import AttemptFinished, Event
from stopcast.fleet.queue.deliveries import WorkerDeliveries
from stopcast.fleet.queue.endings import endings_of
from stopcast.fleet.queue.member import Member
from stopcast.fleet.queue.stream import Settings, connected_stream
from stopcast.ports import Flights, Ownership
from stopcast.sandbox import Emulator, Faults
from support.processes import tasks
from support.queues import Clock, put, rows
from support.redis_server import RedisServer
from support.streams import eventually, stopper_at

TASK = tasks(1)[0]


async def test_after_a_standstill_a_worker_gets_back_only_the_tasks_that_are_still_its_own(
    url: str, there: Any, clock: Clock
) -> None:
    await put(url, *tasks(3))
    async with RedisConsumer(url, clock=clock) as consumer, aclosing(consumer.take()) as batches:
        batch = await anext(batches)
        clock.now += 59
        assert not any(map(consumer.still_ours, tasks(3)))
        pending = there.xpending_range("tasks", "stopcast", "-", "+", 2)
        there.xclaim("tasks", "stopcast", "other", 0, [entry["message_id"] for entry in pending])
        consumer.give_back(tasks(3))
        again = await anext(batches)
        assert rows(again) == [(batch.rows[2].line, tasks(3)[2], True)]
        assert [consumer.still_ours(task) for task in tasks(3)] == [False, False, True]
        consumer.ack([Outcome(tasks(3)[2], Status.STOPPED, line=again.rows[0].line)])
        await eventually(lambda: there.xlen("tasks") == 2)
    assert there.xpending("tasks", "stopcast")["pending"] == 2


async def test_a_worker_that_is_cut_off_makes_no_call_until_redis_answers_again(
    redis_server: RedisServer, clock: Clock
) -> None:
    url = f"{redis_server.url}/tasks"
    await put(url, *tasks(2))
    async with RedisConsumer(url, clock=clock) as consumer, aclosing(consumer.take()) as batches:
        await anext(batches)
        redis_server.freeze()
        clock.now += 30
        assert all(map(consumer.still_ours, tasks(2)))
        clock.now += 30
        consumer.give_back(tasks(2))
        assert not any(map(consumer.still_ours, tasks(2)))
        coming = asyncio.ensure_future(anext(batches))
        redis_server.thaw()
        assert [row.task_id for row in (await coming).rows] == ["task-0", "task-1"]
        assert all(map(consumer.still_ours, tasks(2)))


async def test_a_row_that_comes_again_is_not_lost_with_a_question_that_redis_does_not_answer(
    url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(url, TASK)
    answers: Iterator[bool | ConnectionError] = iter([ConnectionError("away"), False])

    async def is_empty() -> bool:
        if isinstance(answer := next(answers, False), Exception):
            raise answer
        return answer

    async with (
        RedisConsumer(url, until_empty=True, clock=clock) as consumer,
        aclosing(consumer.take()) as batches,
    ):
        (first,) = (await anext(batches)).rows
        monkeypatch.setattr(consumer._member, "is_empty", is_empty)
        consumer.give_back([TASK])
        consumer._deliveries.confirm(consumer._deliveries.ids, {*consumer._deliveries.ids}, ours_until=clock.now + 1)
        assert (await anext(batches)).rows[0] == first


async def test_signs_of_life_keep_tasks_ours_for_longer_than_claim_after(url: str) -> None:
    await put(url, *tasks(1))
    async with RedisConsumer(url, claim_after_seconds=1) as consumer, aclosing(consumer.take()) as batches:
        await anext(batches)
        delivery = consumer._deliveries._by_task[TASK]
        first = delivery.ours_until
        await eventually(lambda: delivery.ours_until > first + 1)
        assert consumer.still_ours(TASK)
        assert not consumer.in_doubt(TASK)


async def test_the_consumer_offers_what_the_engine_looks_for(url: str) -> None:
    consumer = RedisConsumer(url)
    assert isinstance(consumer, Flights)
    assert isinstance(consumer, Ownership)


async def test_a_task_that_is_given_up_when_another_worker_may_have_sent_it_is_in_doubt_and_left_to_that_worker(
    url: str, there: Any, clock: Clock
) -> None:
    await put(url, TASK)
    outcomes: list[Outcome] = []

    def stand_still(event: Event) -> None:
        if isinstance(event, AttemptFinished):
            clock.now += 60

    async with (
        Emulator(faults=Faults({"throttled": 1.0}), quota_per_second=None) as emulator,
        stopper_at(emulator, retry=RetryPolicy(max_attempts=1), observers=[stand_still]) as stopper,
        RedisConsumer(url, results=True, clock=clock) as consumer,
    ):
        async for outcome in stopper.stop_all(consumer):
            outcomes.append(outcome)
            (pending,) = there.xpending_range("tasks", "stopcast", "-", "+", 1)
            there.xclaim("tasks", "stopcast", "other", 0, [pending["message_id"]])
            consumer.ack([outcome])
            consumer.stop()
    assert [(outcome.status, outcome.in_doubt) for outcome in outcomes] == [(Status.GAVE_UP, True)]
    assert there.xpending("tasks", "stopcast")["pending"] == there.xlen("tasks") == 1
    assert there.xlen("{tasks}:results") == 0


@pytest.mark.parametrize("gone", [[], [0], [1]])
async def test_a_task_that_came_twice_has_one_result_also_where_another_worker_has_handed_one_of_them_back(
    url: str, there: Any, clock: Clock, gone: list[int]
) -> None:
    await put(url, TASK)
    await put(url, TASK, again=True)
    async with connected_stream(url) as stream:
        await stream.join(Settings(60, 10), appends_to=[])
        member, deliveries = Member(stream, "member"), WorkerDeliveries("tasks", clock)
        deliveries.take(entries := await member.read(wait_seconds=1), ours_until=clock.now + 60)
        for place in gone:
            there.xack("tasks", "stopcast", entries[place].id)
            there.xdel("tasks", entries[place].id)
        deliveries.ack([Outcome(TASK, Status.STOPPED, line=1)])
        await member.settle(endings_of(deliveries.acked, results=True), elsewhere=stream.results)
    assert (there.xlen("tasks"), there.xlen("{tasks}:results")) == (0, 1)


class Gate:
    """A limiter that gives its permits when the test says so."""

    def __init__(self) -> None:
        self.waiting = 0
        self.open = asyncio.Event()

    async def acquire(self) -> None:
        self.waiting += 1
        await self.open.wait()

    def hold(self, seconds: float = 0.0) -> None:
        """Nothing is throttled here."""


async def test_a_worker_that_stood_still_sends_nothing_that_another_worker_has(
    url: str, there: Any, clock: Clock
) -> None:
    await put(url, *tasks(3))
    gate = Gate()
    async with (
        Emulator(quota_per_second=None) as emulator,
        stopper_at(emulator, limiter=gate) as stopper,
        RedisConsumer(url, until_empty=True, clock=clock) as consumer,
    ):
        outcomes = asyncio.ensure_future(_collect(stopper.stop_all(consumer), consumer))
        await eventually(lambda: gate.waiting == 3)
        clock.now += 60
        pending = there.xpending_range("tasks", "stopcast", "-", "+", 2)
        there.xclaim("tasks", "stopcast", "other", 0, taken := [entry["message_id"] for entry in pending])
        gate.open.set()
        await eventually(lambda: emulator.calls)
        there.xack("tasks", "stopcast", *taken)
        there.xdel("tasks", *taken)
        assert [(outcome.task, outcome.status) for outcome in await outcomes] == [(tasks(3)[2], Status.STOPPED)]
        assert emulator.calls == 1


async def _collect(stream: Any, consumer: RedisConsumer) -> list[Outcome]:
    outcomes = []
    async for outcome in stream:
        outcomes.append(outcome)
        consumer.ack([outcome])
    return outcomes
