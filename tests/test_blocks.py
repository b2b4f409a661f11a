"""Every object with an ``async with`` block is entered once at a time, and left on its own event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from copy import deepcopy
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from stopcast import ClosedError, Router, SharedQuota, Stopper, Task
from stopcast.fleet.queue import RedisConsumer, RedisQueue
from stopcast.redis_metrics import RedisMetrics
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator

MAKERS: dict[str, Callable[[str], Any]] = {
    "Stopper": lambda _: Stopper(SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1"),
    "Router": lambda url: Router({"main": MAKERS["Stopper"](url)}, {"app": "main"}),
    "SharedQuota": lambda url: SharedQuota(url, account="main"),
    "RedisQueue": lambda url: RedisQueue(f"{url}/tasks"),
    "RedisConsumer": lambda url: RedisConsumer(f"{url}/tasks"),
    "RedisMetrics": lambda url: RedisMetrics(CollectorRegistry(), queues=[f"{url}/tasks"]),
    "Emulator": lambda _: Emulator(),
}
TASK = Task("app", "room", "task")
each_object = pytest.mark.parametrize("kind", MAKERS)


@each_object
async def test_entering_twice_is_refused_in_words(kind: str, redis_url: str) -> None:
    async with MAKERS[kind](redis_url) as entered:
        with pytest.raises(ClosedError, match=f"this {kind} is open already"):
            await entered.__aenter__()


@each_object
async def test_leaving_on_another_loop_is_refused_and_leaving_where_it_was_entered_succeeds(
    kind: str, redis_url: str
) -> None:
    async with MAKERS[kind](redis_url) as entered:
        with pytest.raises(ClosedError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, entered.__aexit__(None, None, None))


@each_object
async def test_leaving_what_is_not_open_is_refused(kind: str, redis_url: str) -> None:
    made = MAKERS[kind](redis_url)
    for _ in range(2):
        with pytest.raises(ClosedError, match=f"use the {kind} inside"):
            await made.__aexit__(None, None, None)
        if kind == "RedisConsumer":
            break
        async with made:
            pass


USES: list[tuple[str, Callable[[Any], Any]]] = [
    ("Stopper", lambda stopper: stopper.stop(TASK)),
    ("Router", lambda router: router.stop(TASK)),
    ("SharedQuota", lambda quota: quota.acquire()),
    ("SharedQuota", lambda quota: quota.change_settings(max_per_second=5)),
    ("RedisQueue", lambda queue: queue.put([])),
    ("RedisQueue", lambda queue: queue.status()),
    ("RedisQueue", lambda queue: queue.configure(max_deliveries=3)),
    ("RedisQueue", lambda queue: queue.put_dead_letters_back()),
    ("RedisConsumer", lambda consumer: anext(consumer.take())),
]


@pytest.mark.parametrize(("kind", "use"), USES)
async def test_what_is_used_outside_its_block_says_so_and_opens_no_connection(
    kind: str, use: Callable[[Any], Any], redis_url: str
) -> None:
    made = MAKERS[kind](redis_url)
    with pytest.raises(ClosedError, match=f"use the {kind} inside"):
        await use(made)
    async with made:
        pass
    with pytest.raises(ClosedError, match=f"use the {kind} inside"):
        await use(made)


@pytest.mark.parametrize(("kind", "use"), USES)
async def test_what_is_used_on_another_loop_says_so(kind: str, use: Callable[[Any], Any], redis_url: str) -> None:
    async def elsewhere() -> None:
        await use(made)

    async with MAKERS[kind](redis_url) as made:
        with pytest.raises(ClosedError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, elsewhere())


async def test_an_entering_that_failed_can_be_repeated(redis_url: str) -> None:
    metrics, queues = CollectorRegistry(), [f"{redis_url}/tasks"]
    second = RedisMetrics(metrics, queues=queues)
    async with RedisMetrics(metrics, queues=queues):
        with pytest.raises(ValueError, match="Duplicated"):
            await second.__aenter__()
    async with second:
        assert metrics.get_sample_value("stopcast_queue_length", {"queue": "tasks"}) == 0


def test_a_quota_of_the_module_serves_one_loop_after_another(redis_url: str) -> None:
    quota = SharedQuota(redis_url, account="main")

    async def main() -> None:
        async with quota:
            await asyncio.gather(*(quota.acquire() for _ in range(10)))

    for _ in range(2):
        asyncio.run(main())


async def test_a_quota_on_another_loop_than_the_stopper_is_refused_when_the_stopper_is_entered(redis_url: str) -> None:
    async def elsewhere(quota: SharedQuota) -> None:
        async with Stopper(SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1", limiter=quota):
            pass

    async with SharedQuota(redis_url, account="main") as quota:
        with pytest.raises(ClosedError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, elsewhere(quota))


async def test_consumers_of_forked_processes_have_names_of_their_own(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = RedisConsumer(f"{redis_url}/tasks")
    # A fork copies what there is.
    forked = [deepcopy(made) for _ in range(2)]
    async with made, AsyncExitStack() as stack:
        for number, consumer in enumerate(forked):
            monkeypatch.setattr(os, "getpid", lambda number=number: number)
            await stack.enter_async_context(consumer)
        assert len({made.name, *(consumer.name for consumer in forked)}) == 3


async def test_a_consumer_that_was_left_says_so_instead_of_taking_no_task(redis_url: str) -> None:
    consumer = RedisConsumer(f"{redis_url}/tasks")
    async with consumer:
        pass
    with pytest.raises(ClosedError, match="this RedisConsumer was left; make a new one"):
        await consumer.__aenter__()
