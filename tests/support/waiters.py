"""Callers of a limiter on virtual time, and how many of their calls a second holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stopcast.ports import Limiter
from stopcast.virtual_clock import VirtualClock


class Waiters:
    """Callers of a limiter, and the times at which each was let go."""

    def __init__(self, clock: VirtualClock, limiter: Limiter) -> None:
        self.clock = clock
        self.limiter = limiter
        self.grants: list[float] = []
        self.order: list[int] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._arrived = 0

    async def _wait(self, number: int) -> None:
        await self.limiter.acquire()
        self.grants.append(self.clock.time())
        self.order.append(number)

    def come(self, count: int) -> None:
        for _ in range(count):
            self._tasks.append(self.clock.create_task(self._wait(self._arrived)))
            self._arrived += 1

    def waiting(self) -> list[asyncio.Task[None]]:
        self._tasks = [task for task in self._tasks if not task.done()]
        return self._tasks

    async def leave(self, chosen: Callable[[int], bool] = lambda _: True) -> None:
        leaving = [task for place, task in enumerate(self.waiting()) if chosen(place)]
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)

    async def all_served(self) -> None:
        await asyncio.gather(*self.waiting())
