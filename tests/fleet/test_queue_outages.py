"""A queue while Redis is away, and how a worker's block ends: nothing is lost, and nothing is left behind."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from stopcast import Outcome, RedisConsumer
from stopcast.errors import BackgroundTaskError
from stopcast.events import Event, QueueFound, QueueLost
from stopcast.sandbox import Emulator
from support.processes import tasks
from support.queues import put
from support.redis_server import RedisServer
from support.streams import eventually, stopper_at


async def test_no_task_is_lost_or_sent_twice_when_redis_is_killed_twice(redis_server: RedisServer) -> None:
    redis_server.restart_with_a_log()
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
    assert redis_server.ask("XLEN", "tasks") == 0


async def test_flushed_scripts_and_cut_connections_cost_nothing(url: str, there: Any) -> None:
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


# The end of the block


async def held(url: str, entered: asyncio.Event, left: list[RedisConsumer]) -> None:
    """Take tasks, and stay in the block."""
    async with RedisConsumer(url) as consumer, aclosing(consumer.take()) as batches:
        left.append(consumer)
        await anext(batches)
        entered.set()
        await asyncio.Event().wait()


def connections(there: Any) -> int:
    """Return the connections to Redis, without the one that asks."""
    return len(there.client_list(_type="normal")) - 1


@pytest.mark.parametrize("cancellations", [1, 2, 5, 50])
async def test_any_number_of_cancellations_leaves_no_task_no_connection_and_nothing_pending(
    url: str, there: Any, cancellations: int
) -> None:
    await put(url, *tasks(70))
    left: list[RedisConsumer] = []
    entered = asyncio.Event()
    worker = asyncio.create_task(held(url, entered, left))
    await entered.wait()
    before = asyncio.all_tasks() - {worker}
    for _ in range(cancellations):
        worker.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([worker])
    assert worker.cancelled()
    assert asyncio.all_tasks() <= before
    await eventually(lambda: not connections(there))
    assert (left[0].handed_back, left[0].left) == (64, 0)
    assert there.xpending("tasks", "stopcast")["pending"] == 0


async def test_a_worker_that_is_cancelled_while_redis_hangs_ends_within_seconds(redis_server: RedisServer) -> None:
    url = f"{redis_server.url}/tasks"
    await put(url, *tasks(1))
    left: list[RedisConsumer] = []
    entered = asyncio.Event()
    worker = asyncio.create_task(held(url, entered, left))
    await entered.wait()
    redis_server.freeze()
    before = asyncio.all_tasks() - {worker}
    worker.cancel()
    await asyncio.wait([worker])
    redis_server.thaw()
    assert worker.cancelled()
    assert asyncio.all_tasks() <= before
    assert left[0].left == 1


async def test_a_background_task_that_dies_ends_the_stream_with_its_cause(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RedisConsumer(url) as consumer, aclosing(consumer.take()) as batches:
        coming = asyncio.ensure_future(anext(batches))
        monkeypatch.setattr(consumer._member, "keep", None)
        consumer.give_back([])
        with pytest.raises(BackgroundTaskError, match="signs of life") as caught:
            await coming
        monkeypatch.undo()
    assert isinstance(caught.value.__cause__, TypeError)


async def test_a_stream_that_was_cancelled_loses_no_entry_of_the_answer_on_its_way(url: str, there: Any) -> None:
    async with RedisConsumer(url) as consumer:
        async with aclosing(consumer.take()) as batches:
            coming = asyncio.ensure_future(anext(batches))
            await eventually(lambda: there.info("clients")["blocked_clients"])
            coming.cancel()
            await asyncio.wait([coming])
        await put(url, *tasks(1))
        await eventually(lambda: there.xpending("tasks", "stopcast")["pending"])
        async with aclosing(consumer.take()) as batches:
            assert [row.task_id for row in (await anext(batches)).rows] == ["task-0"]
