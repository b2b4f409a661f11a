"""A cancellation ends what asks Redis, also where redis-py takes it for its own time-out, as it does at times."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio.connection import AbstractConnection

from stopcast import RedisConsumer, RedisQueue, SharedQuota, Task
from stopcast.fleet.quota.quota_status import quota_status, quota_statuses
from stopcast.redis_metrics import RedisMetrics
from support.queues import put

TASK = Task("app", "room", "task")


class Swallowing:
    """Connections of redis-py that go on after a number of cancellations."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self._times = times
        self._word: bytes | None = None
        self._asked = asyncio.Event()
        send = AbstractConnection.send_packed_command

        async def send_late(connection: Any, command: Any, *settings: Any, **named: Any) -> None:
            words = command if isinstance(command, bytes) else b"".join(command)
            if self._word is not None and self._word in words:
                self._asked.set()
                await self._wait()
            await send(connection, command, *settings, **named)

        monkeypatch.setattr(AbstractConnection, "send_packed_command", send_late)

    async def _wait(self) -> None:
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            if not self._times:
                raise
            self._times -= 1

    async def cancel(self, act: Awaitable[object], *, at: bytes = b"") -> bool:
        """Cancel what acts when it sends a command with this word in it, and return whether that has ended it."""
        self._word = at
        acting = asyncio.ensure_future(act)
        await self._asked.wait()
        acting.cancel()
        await asyncio.wait([acting], timeout=10)
        return acting.cancelled()


@pytest.fixture(params=[1, 3])
async def swallowing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Swallowing:
    return Swallowing(monkeypatch, request.param)


async def in_block(context: Any) -> None:
    async with context:
        pass


@pytest.mark.parametrize(
    "act",
    [
        lambda queue: queue.put([TASK]),
        lambda queue: queue.configure(max_deliveries=3),
        RedisQueue.put_dead_letters_back,
        RedisQueue.status,
    ],
    ids=["put", "configure", "put dead letters back", "status"],
)
async def test_a_cancellation_ends_what_asks_a_queue(
    act: Callable[[RedisQueue], Awaitable[object]], url: str, swallowing: Swallowing
) -> None:
    async with RedisQueue(url) as queue:
        assert await swallowing.cancel(act(queue))


@pytest.mark.parametrize(
    "act",
    [
        lambda url: in_block(RedisConsumer(f"{url}/tasks")),
        lambda url: in_block(SharedQuota(url, account="main")),
        lambda url: in_block(RedisMetrics(queues=[f"{url}/tasks"], quotas=[(url, "main")])),
        lambda url: quota_status(url, "main"),
        quota_statuses,
    ],
    ids=["consumer", "quota", "metrics", "status of a quota", "status of all quotas"],
)
async def test_a_cancellation_ends_what_opens_a_connection(
    act: Callable[[str], Awaitable[object]], redis_url: str, swallowing: Swallowing
) -> None:
    assert await swallowing.cancel(act(redis_url))


async def test_a_cancellation_ends_the_taking_of_tasks(url: str, swallowing: Swallowing) -> None:
    await put(url, TASK)
    async with RedisConsumer(url, until_empty=True) as consumer:
        batches = aiter(consumer)
        await anext(batches)
        # Only the question whether the queue is empty is asked by the caller itself.
        assert await swallowing.cancel(anext(batches), at=b"XLEN")


async def test_a_cancellation_ends_the_change_of_a_quotas_settings(redis_url: str, swallowing: Swallowing) -> None:
    async with SharedQuota(redis_url, account="main") as quota:
        assert await swallowing.cancel(quota.change_settings(max_per_second=50))
