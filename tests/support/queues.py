"""What the tests of the queue share: putting tasks in, working them off, and looking into Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

import redis

from stopcast import Outcome, RedisConsumer, RedisQueue, RetryPolicy, Task
from stopcast.sandbox import Emulator
from stopcast.tasks.task import Batch, RawRow
from support.streams import QUICK, stopper_at

#: Seconds of silence after which these tests take a worker for dead.
SOON: Final = 0.2


@contextmanager
def client_of(url: str) -> Iterator[Any]:
    """Yield a client for looking at what is in Redis, and for changing it."""
    with closing(redis.Redis.from_url(url, decode_responses=True)) as client:
        yield client


async def put(url: str, *given: Task, **settings: Any) -> tuple[int, int]:
    """Put tasks into the queue."""
    async with RedisQueue(url) as queue:
        return await queue.put(given, **settings)


async def drained(url: str, emulator: Emulator, *, retry: RetryPolicy = QUICK, **settings: Any) -> list[Outcome]:
    """Work the queue off, and return the outcomes."""
    outcomes: list[Outcome] = []
    settings = {"claim_after_seconds": SOON, "until_empty": True, **settings}
    async with stopper_at(emulator, retry=retry) as stopper, RedisConsumer(url, **settings) as consumer:
        async for outcome in stopper.stop_all(consumer):
            outcomes.append(outcome)
            consumer.ack([outcome])
    return outcomes


def leave_pending(client: Any, *, worker: str, count: int, queue: str = "tasks") -> list[str]:
    """Let a worker that never existed take tasks, as one that died has; return the entries."""
    with_group = client.exists(queue) and client.xinfo_groups(queue)
    if not with_group:
        client.xgroup_create(queue, "stopcast", id="0", mkstream=True)
    ((_, entries),) = client.xreadgroup("stopcast", worker, {queue: ">"}, count=count)
    return [entry_id for entry_id, _ in entries]


async def worked_off(
    url: str, emulator: Emulator, outcomes: list[Outcome], *, at_first: Callable[[], object], **settings: Any
) -> None:
    """Work the queue off until it is empty or an error ends it, keep the outcomes, and act before the first one."""
    async with stopper_at(emulator) as stopper, RedisConsumer(url, **settings) as consumer:
        async for outcome in stopper.stop_all(consumer):
            if not outcomes:
                at_first()
            outcomes.append(outcome)
            consumer.ack([outcome])


async def joined(url: str, act: Callable[[RedisConsumer], Any] = lambda _: asyncio.sleep(0), **settings: Any) -> None:
    """Join the queue, act, and leave it."""
    async with RedisConsumer(url, **settings) as consumer:
        await act(consumer)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def rows(batch: Batch) -> Sequence[tuple[int, Task, bool]]:
    """Return line, task and doubt of each row."""
    assert batch.in_doubt is not None
    return [(row.line, task_of(row), doubt) for row, doubt in zip(batch.rows, batch.in_doubt, strict=True)]


def task_of(row: RawRow) -> Task:
    return Task(str(row.app_id), str(row.room_id), str(row.task_id))
