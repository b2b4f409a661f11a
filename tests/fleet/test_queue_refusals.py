"""A queue and a Redis that refuses: keys of another type, no memory, few rights, a cluster."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from stopcast import ConfigurationError, Outcome, QueueError, RedisConsumer, RedisQueue, SharedQuota
from stopcast.events import DeadLettered, Event, QueueFound, QueueLost, QueueSettingsAdopted
from stopcast.fleet.quota.quota_status import quota_status
from stopcast.sandbox import Emulator
from support.documents import page
from support.processes import tasks
from support.processes import until as until_in_threads
from support.queues import SOON, drained, joined, leave_pending, put, worked_off
from support.redis_server import RedisServer, free_port
from support.streams import eventually, stopper_at
from support.waiting import event_of


@pytest.mark.parametrize("key", ["{tasks}:results", "{tasks}:dead"])
async def test_a_worker_does_not_start_where_outcomes_cannot_be_appended(url: str, there: Any, key: str) -> None:
    there.set(key, "something else")
    with pytest.raises(QueueError, match=rf"the key {key} is not a stream.*tasks stay in the queue"):
        await joined(url, results=True)


async def test_no_outcome_is_lost_when_the_results_key_is_replaced_during_the_work(url: str, there: Any) -> None:
    await put(url, *tasks(20))
    outcomes: list[Outcome] = []
    async with Emulator(quota_per_second=None) as emulator:
        with pytest.raises(QueueError, match="is not a stream"):
            await worked_off(url, emulator, outcomes, at_first=lambda: there.set("{tasks}:results", "x"), results=True)
        assert len(outcomes) == there.xlen("tasks") == 20
        there.delete("{tasks}:results")
        assert len(await drained(url, emulator, results=True)) == 20
    assert there.xlen("{tasks}:results") == 20


async def test_a_dead_letter_stays_in_the_queue_until_it_can_be_written(url: str, there: Any) -> None:
    await put(url, *tasks(1))
    leave_pending(there, worker="dead", count=1)
    events: list[Event] = []
    settings: dict[str, Any] = {"max_deliveries": 1, "observers": [events.append]}

    async def take_one(consumer: RedisConsumer) -> None:
        there.set("{tasks}:dead", "something else")
        async with aclosing(consumer.take()) as batches:
            await anext(batches)

    async with Emulator(quota_per_second=None) as emulator:
        with pytest.raises(QueueError, match="is not a stream"):
            await joined(url, take_one, claim_after_seconds=SOON, **settings)
        assert events == []
        there.delete("{tasks}:dead")
        await drained(url, emulator, **settings)
    assert [type(event) for event in events if not isinstance(event, QueueSettingsAdopted)] == [DeadLettered]
    assert there.xlen("{tasks}:dead") == 1
    assert there.xlen("tasks") == 0


async def test_no_outcome_is_lost_while_redis_has_no_memory_left(redis_server: RedisServer) -> None:
    url = f"{redis_server.url}/tasks"
    await put(url, *tasks(20))
    events: list[Event] = []
    outcomes: list[Outcome] = []
    async with (
        Emulator(quota_per_second=None) as emulator,
        stopper_at(emulator) as stopper,
        RedisConsumer(url, results=True, until_empty=True, observers=[events.append]) as consumer,
    ):
        redis_server.ask("CONFIG", "SET", "maxmemory", 1)
        async for outcome in stopper.stop_all(consumer):
            outcomes.append(outcome)
            consumer.ack([outcome])
            if len(outcomes) == 20:
                await eventually(lambda: events)
                assert redis_server.ask("XLEN", "{tasks}:results") == 0
                redis_server.ask("CONFIG", "SET", "maxmemory", 0)
    # Reading went on all the time: the queue was away once, and is back once.
    assert [type(event) for event in events] == [QueueLost, QueueFound]
    assert redis_server.ask("XLEN", "{tasks}:results") == 20


async def test_a_key_of_another_type_in_place_of_the_queue_is_an_error_in_words(url: str, there: Any) -> None:
    there.set("tasks", "something else")
    with pytest.raises(QueueError, match=r"exists already and holds something else.*stopcast help queue"):
        await joined(url)
    with pytest.raises(QueueError, match=r"exists already and holds something else.*stopcast help queue"):
        await put(url, *tasks(1))


@pytest.mark.parametrize("key", ["tasks", "{tasks}:state", "{tasks}:dead", "{tasks}:results"])
async def test_the_status_of_a_queue_with_a_key_of_another_type_is_an_error_in_words(
    url: str, there: Any, key: str
) -> None:
    there.set(key, "something else")
    async with RedisQueue(url) as queue:
        with pytest.raises(QueueError, match=r"^one of the keys of the queue tasks exists already"):
            await queue.status()


async def test_a_right_that_a_script_lacks_is_a_refused_access(redis_server: RedisServer) -> None:
    redis_server.ask("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@all", "-xadd")
    with pytest.raises(ConfigurationError, match=r"^Redis refuses access to the queue tasks: .*command"):
        await put(f"{redis_server.url}/tasks".replace("//", "//reader:secret@", 1), *tasks(1))


async def test_a_right_that_is_revoked_during_the_work_is_reported_as_refused_and_the_work_goes_on_with_it(
    redis_server: RedisServer,
) -> None:
    redis_server.ask("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all")
    url = f"{redis_server.url}/tasks".replace("//", "//worker:secret@", 1)
    events: list[Event] = []
    await put(url, *tasks(1))
    async with RedisConsumer(url, observers=[events.append]) as consumer, aclosing(consumer.take()) as batches:
        assert (await anext(batches)).rows
        redis_server.ask("ACL", "SETUSER", "worker", "-@all")
        waiting = asyncio.create_task(anext(batches))
        lost = await event_of(events, QueueLost)
        assert lost.reason.startswith("Redis refuses access: ")
        redis_server.ask("ACL", "SETUSER", "worker", "+@all")
        await put(url, *tasks(2))
        assert (await waiting).rows
    assert QueueFound() in events


async def test_the_rights_that_the_manual_names_are_enough(redis_server: RedisServer) -> None:
    named = re.search(r"^    (~NAME .*)$", page("queue"), re.MULTILINE)
    assert named is not None
    rights = named[1].replace("NAME", "tasks").split()
    redis_server.ask("ACL", "SETUSER", "least", "on", ">secret", *rights)
    url = f"{redis_server.url}/tasks".replace("//", "//least:secret@", 1)
    await put(url, *tasks(4))
    redis_server.ask("XGROUP", "CREATE", "tasks", "stopcast", "0")
    for _ in range(2):
        redis_server.ask("XREADGROUP", "GROUP", "stopcast", "dead", "COUNT", 1, "STREAMS", "tasks", ">")
    async with RedisQueue(url) as queue, Emulator(quota_per_second=None) as emulator:
        await queue.configure(max_deliveries=1)
        outcomes = await drained(url, emulator, results=True)
        status = await queue.status()
        assert await queue.put_dead_letters_back() == 2
    assert (len(outcomes), status.dead, status.results, status.length) == (2, 2, 2, 0)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The URL of a node of a Redis Cluster; another node has the data."""
    nodes, buses = [], [free_port(), free_port()]
    for number, bus in enumerate(buses):
        (tmp_path / f"node-{number}").mkdir()
        nodes.append(RedisServer(tmp_path / f"node-{number}", "--cluster-enabled", "yes", "--cluster-port", str(bus)))
    try:
        for node in nodes:
            node.start()
        nodes[1].ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", nodes[1].port, buses[1])
        until_in_threads(lambda: "cluster_state:ok" in nodes[0].ask("CLUSTER", "INFO"))
        yield nodes[0].url
    finally:
        for node in nodes:
            node.kill()


@pytest.mark.redis
async def test_a_redis_cluster_is_refused_with_what_to_use_instead(cluster: str) -> None:
    async def enter_quota() -> None:
        # Its key is in a slot of the other node.
        async with SharedQuota(cluster, account="a"):
            pass

    uses = [put(f"{cluster}/tasks", *tasks(1)), joined(f"{cluster}/tasks"), quota_status(cluster, "a"), enter_quota()]
    for use in uses:
        with pytest.raises(ConfigurationError, match=r"Redis Cluster.*Sentinel: redis\+sentinel://"):
            await use
