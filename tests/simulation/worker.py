"""The program of a process that works a queue off: a Stopper over a RedisConsumer, left in some ways."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from simulation.api import Api
from simulation.command import ENDPOINT
from simulation.fleet import Fleet
from simulation.process import Process
from simulation.world import World
from stopcast import (
    Credentials,
    Outcome,
    QueueError,
    RedisConsumer,
    RedisQueue,
    RetryPolicy,
    StopcastError,
    Stopper,
    Task,
)
from stopcast.events import Event

URL: Final = "redis://queue:6379/0/tasks"
#: Tries to put tasks in, while Redis is away.
_TRIES: Final = 30


@dataclass(slots=True, eq=False)
class Work:
    """What became of one worker.

    Attributes:
        consumer: its name in Redis.
        joined_at: virtual time at which it had joined the queue.
        leaving_at: virtual time at which it began to leave, of itself or by an error.
        left_at: virtual time at which it had ended.
        stops_early: whether it was asked to take no more.
        failed: what ended it.
    """

    consumer: bytes = b""
    joined_at: float | None = None
    leaving_at: float | None = None
    left_at: float | None = None
    stops_early: bool = False
    cancelled: bool = False
    failed: BaseException | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


class Worker:
    """Works the queue off until it is empty."""

    def __init__(self, world: World, api: Api, fleet: Fleet, *, calm: bool) -> None:
        self._world = world
        self._api = api
        self._fleet = fleet
        self._calm = calm
        self.work = Work()

    async def __call__(self, process: Process) -> None:
        """Work, and set the process's status."""
        loop, work = asyncio.get_running_loop(), self.work
        process.work = work
        try:
            await self._work(process.group.name)
        except StopcastError as error:
            work.failed = error
        except asyncio.CancelledError:
            work.cancelled = True
        work.left_at = loop.time()
        process.status = 0 if work.failed is None else 3

    async def _work(self, name: str) -> None:
        world, loop, work = self._world, asyncio.get_running_loop(), self.work
        quota = self._fleet.quota(name)
        consumer = RedisConsumer(
            URL,
            claim_after_seconds=world.claim_after_seconds,
            max_deliveries=world.pick((2, 10), "max_deliveries"),
            results=True,
            until_empty=True,
            observers=[self._observe],
            clock=loop.time,
        )
        work.consumer = consumer.name.encode()
        stopper = Stopper(
            Credentials(self._api.key, self._api.secret),
            endpoint=ENDPOINT,
            limiter=quota,
            retry=RetryPolicy(max_attempts=world.max_attempts),
            timeout_seconds=world.timeout_seconds,
            max_at_once=world.max_at_once,
            drain_seconds=world.grace_seconds,
        )
        async with quota, consumer, stopper:
            work.joined_at = loop.time()
            timer = self._leave_early(name, consumer)
            try:
                async with aclosing(stopper.stop_all(consumer)) as outcomes:
                    async for outcome in outcomes:
                        work.outcomes.append(outcome)
                        consumer.ack([outcome])
            finally:
                work.leaving_at = loop.time()
                if timer is not None:
                    timer.cancel()

    def _leave_early(self, name: str, consumer: RedisConsumer) -> asyncio.TimerHandle | None:
        if self._calm or not self._world.happens("leaves_early", name):
            return None
        self.work.stops_early = True
        seconds = 10 ** self._world.between(-2.0, 1.5, "leaves", name)
        return asyncio.get_running_loop().call_later(seconds, consumer.stop)

    def _observe(self, event: Event) -> None:
        self.work.events.append(type(event).__name__)


async def put(tasks: Sequence[Task]) -> bool:
    """Put tasks in, again after each error, and return whether that succeeded."""
    for _ in range(_TRIES):
        try:
            async with RedisQueue(URL) as queue:
                await queue.put(tasks)
        except QueueError:
            await asyncio.sleep(1.0)
        else:
            return True
    return False
