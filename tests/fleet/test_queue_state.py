"""What a queue keeps in Redis: its id, by which lost data is noticed, its version, and the settings of its workers."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import Any

import pytest

from stopcast import ConfigurationError, Outcome, QueueError, RedisConsumer, RedisQueue, Status
from stopcast.errors import QueueDataLostError
from stopcast.events import Event, QueueOldWorker, QueueSettingsAdopted
from stopcast.fleet.queue import QueueStatus
from stopcast.logs import log_event
from stopcast.sandbox import Emulator
from support.processes import tasks
from support.queues import SOON, drained, joined, leave_pending, put, worked_off
from support.redis_server import RedisServer
from support.streams import eventually

#: As version 0.1 named its workers.
OLD_WORKER = "host-a-14038-37a10d"


# Lost data


@pytest.mark.parametrize("command", [("FLUSHALL",), ("DEL", "tasks")])
@pytest.mark.parametrize("newcomers", [0, 1])
async def test_every_worker_of_a_queue_that_lost_its_tasks_ends_with_an_error(
    url: str, there: Any, command: tuple[str, ...], newcomers: int
) -> None:
    await put(url, *tasks(1))
    async with (
        RedisConsumer(url) as busy,
        RedisConsumer(url, until_empty=True) as idle,
        aclosing(busy.take()) as of_busy,
        aclosing(idle.take()) as of_idle,
    ):
        await anext(of_busy)
        waiting = asyncio.ensure_future(anext(of_idle))
        there.execute_command(*command)
        for _ in range(newcomers):
            # The worker that joins makes the group anew, which must not hide the loss from the others.
            await joined(url)
        for coming in (waiting, asyncio.ensure_future(anext(of_busy))):
            with pytest.raises(QueueDataLostError, match=r"the queue tasks has lost its tasks.* Put the list in again"):
                await coming
    assert busy.left == 0


def _remove_consumers(there: Any) -> None:
    for consumer in there.xinfo_consumers("tasks", "stopcast"):
        there.xgroup_delconsumer("tasks", "stopcast", consumer["name"])


def _acknowledge(there: Any) -> None:
    pending = there.xpending_range("tasks", "stopcast", "-", "+", 1000)
    there.xack("tasks", "stopcast", *(entry["message_id"] for entry in pending))


def _skip(there: Any) -> None:
    there.xgroup_setid("tasks", "stopcast", "$")


@pytest.mark.parametrize("tamper", [_remove_consumers, _acknowledge, _skip])
async def test_tasks_that_something_else_took_from_their_worker_or_skipped_are_delivered_again_in_doubt(
    url: str, there: Any, tamper: Any
) -> None:
    await put(url, *tasks(10))
    await joined(url, claim_after_seconds=SOON)  # the first worker decides
    leave_pending(there, worker="dead", count=4)
    tamper(there)
    async with Emulator(running=tasks(10)[4:], quota_per_second=None) as emulator:
        outcomes = {outcome.task: outcome.status for outcome in await drained(url, emulator)}
    assert outcomes.keys() == set(tasks(10))
    if tamper is not _skip:
        assert {outcomes[task] for task in tasks(4)} == {Status.PRESUMED_STOPPED}
    assert not there.xlen("tasks")


async def test_the_tasks_at_hand_are_stopped_and_handed_out_when_a_queue_loses_its_data(url: str, there: Any) -> None:
    await put(url, *tasks(40))
    outcomes: list[Outcome] = []
    async with Emulator(quota_per_second=None) as emulator:
        with pytest.raises(QueueDataLostError):
            await worked_off(url, emulator, outcomes, at_first=there.flushall)
    assert {outcome.task for outcome in outcomes} == set(tasks(40)) == emulator.stopped


async def test_a_loss_that_no_stream_reports_is_raised_when_the_block_is_left(url: str, there: Any) -> None:
    async def lose_the_data(consumer: RedisConsumer) -> None:
        there.flushall()
        await eventually(lambda: consumer._error)

    with pytest.raises(QueueDataLostError):
        await joined(url, lose_the_data, claim_after_seconds=SOON)


async def test_putting_tasks_in_reports_a_loss_once_and_works_again_after_that(url: str, there: Any) -> None:
    async with RedisQueue(url) as queue:
        assert await queue.put(tasks(2)) == (2, 0)
        there.flushall()
        with pytest.raises(QueueDataLostError, match="in again"):
            await queue.put(tasks(2, first=2))
        assert there.xlen("tasks") == 0
        assert await queue.put(tasks(4)) == (4, 0)


async def test_a_restart_with_the_data_is_no_loss(redis_server: RedisServer) -> None:
    redis_server.restart_with_a_log()
    url = f"{redis_server.url}/tasks"
    await put(url, *tasks(1))
    async with RedisConsumer(url) as consumer, aclosing(consumer.take()) as batches:
        await anext(batches)
        redis_server.kill()
        redis_server.start()
        await put(url, *tasks(1, first=1))
        assert [row.task_id for row in (await anext(batches)).rows] == ["task-1"]


# Settings that must agree


async def test_a_worker_with_other_settings_adopts_those_of_the_queue_and_warns(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Event] = []
    other: dict[str, Any] = {"claim_after_seconds": 0.5, "max_deliveries": 3}
    async with (
        RedisConsumer(url, claim_after_seconds=60, max_deliveries=10) as first,
        RedisConsumer(url, **other, observers=[events.append, log_event]) as second,
    ):
        assert second._tending.settings == first._tending.settings == (60, 10)
    assert events == [
        QueueSettingsAdopted("claim_after_seconds", 0.5, 60),
        QueueSettingsAdopted("max_deliveries", 3, 10),
    ]
    first_record = caplog.records[0]
    assert first_record.levelno == logging.WARNING
    assert (
        first_record.getMessage() == "claim_after_seconds is 60, as the queue keeps it for all its workers, and not 0.5"
    )


async def test_workers_adopt_settings_that_are_changed_on_purpose(url: str) -> None:
    events: list[Event] = []
    async with (
        RedisConsumer(url, claim_after_seconds=SOON, observers=[events.append]) as worker,
        RedisQueue(url) as queue,
    ):
        await queue.configure(claim_after_seconds=60, max_deliveries=4)
        await eventually(lambda: len(events) == 2)
        assert worker._tending.settings == (60, 4)
    assert events == [
        QueueSettingsAdopted("claim_after_seconds", SOON, 60),
        QueueSettingsAdopted("max_deliveries", 10, 4),
    ]


async def test_a_shorter_time_counts_only_when_every_worker_has_had_the_time_to_learn_it(url: str) -> None:
    await put(url, *tasks(1))
    async with RedisConsumer(url, claim_after_seconds=60) as asleep, aclosing(asleep.take()) as of_asleep:
        await anext(of_asleep)
        async with RedisQueue(url) as queue:
            await queue.configure(claim_after_seconds=SOON)
        async with RedisConsumer(url, claim_after_seconds=SOON) as other:
            assert other._tending.settings.claim_after_seconds == SOON
            assert not other._tending.may_claim
            assert other._tending._claim_at > asyncio.get_running_loop().time() + 50


@pytest.mark.parametrize("settings", [{"claim_after_seconds": 0}, {"max_deliveries": 0}])
async def test_settings_that_cannot_be_used_are_refused(url: str, settings: dict[str, Any]) -> None:
    async with RedisQueue(url) as queue:
        with pytest.raises(ConfigurationError):
            await queue.configure(**settings)
    with pytest.raises(ConfigurationError):
        RedisConsumer(url, **settings)


# Versions


async def test_a_queue_of_another_version_is_refused_in_words(url: str, there: Any) -> None:
    await put(url, *tasks(1))
    there.hset("{tasks}:state", "version", "3")
    for use in (put(url, *tasks(1)), joined(url), status_of(url)):
        with pytest.raises(QueueError, match=r"version 3, and this\s+stopcast knows 2. Use the same version"):
            await use


async def status_of(url: str) -> QueueStatus:
    async with RedisQueue(url) as queue:
        return await queue.status()


async def test_a_queue_that_version_01_left_is_worked_off(url: str, there: Any) -> None:
    there.xadd("tasks", {"task": "app,room-0,task-0", "earlier": "1"})
    there.xadd("tasks", {"task": "app,room-1,task-1", "in_doubt": "1"})
    there.xadd("tasks", {"task": "app,room-2,task-2"})
    leave_pending(there, worker=OLD_WORKER, count=1)
    await asyncio.sleep(2 * SOON)  # the old worker is dead
    async with Emulator(running=[], quota_per_second=None) as emulator:
        outcomes = await drained(url, emulator)
    assert {outcome.task: outcome.status for outcome in outcomes} == {
        tasks(3)[0]: Status.PRESUMED_STOPPED,
        tasks(3)[1]: Status.PRESUMED_STOPPED,
        tasks(3)[2]: Status.ALREADY_STOPPED,
    }
    assert there.hget("{tasks}:state", "version") == "2"


async def test_a_worker_does_not_start_beside_a_living_worker_of_version_01(url: str, there: Any) -> None:
    await put(url, *tasks(1))
    leave_pending(there, worker=OLD_WORKER, count=1)
    with pytest.raises(QueueError, match=f"the worker {OLD_WORKER} .* is stopcast 0.1.*End all workers of version 0.1"):
        await joined(url)
    assert not there.hexists("{tasks}:state", "claim_after_ms")


async def test_a_worker_of_version_01_that_joins_later_is_reported_once(url: str, there: Any) -> None:
    events: list[Event] = []
    async with RedisConsumer(url, claim_after_seconds=SOON, observers=[events.append]) as worker:
        await put(url, *tasks(1))
        leave_pending(there, worker=OLD_WORKER, count=1)
        async with aclosing(worker.take()) as batches:
            coming = asyncio.ensure_future(anext(batches))
            await eventually(lambda: events)
            await coming
    assert events == [QueueOldWorker(OLD_WORKER)]
