"""Calls of several limiters of one account, and asking the ledger of a shared quota for permits."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right

from stopcast.fleet.quota.redis_ledger import Lease, LedgerRequest, RedisLedger
from stopcast.fleet.quota.slots import QuotaSettings
from stopcast.ports import Limiter

SETTINGS = QuotaSettings()
FULL = SETTINGS.full_rate


class Calls:
    """Waiting callers of some quotas, and when each was let go."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, limiter: Limiter, waiting: int = 20) -> list[float]:
        """Ask over and over; return what is the limiter's own share of the times."""
        own: list[float] = []

        async def ask() -> None:
            while True:
                await limiter.acquire()
                own.append(time.monotonic())
                self.times.append(own[-1])

        self._tasks += [asyncio.create_task(ask()) for _ in range(waiting)]
        return own

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def reach(self, number: int) -> None:
        """Return when there were this many more."""
        until = len(self.times) + number
        async with asyncio.timeout(30):
            while len(self.times) < until:
                await asyncio.sleep(0.005)

    @property
    def worst_second(self) -> int:
        return max(last + 1 - bisect_right(self.times, moment - 1) for last, moment in enumerate(self.times))


async def verified(ledger: RedisLedger) -> None:
    while ledger.unverified:
        await ledger.ask(LedgerRequest(settings=SETTINGS, verify=True))


async def asked(ledger: RedisLedger, permits: int = 0, throttled: int = 0, hold_seconds: float = 0.0) -> Lease:
    request = LedgerRequest(settings=SETTINGS, permits=permits, throttled=throttled, hold_seconds=hold_seconds)
    lease = await ledger.ask(request)
    assert lease is not None
    return lease


async def granted(ledger: RedisLedger, permits: int, times: int = 4) -> list[Lease]:
    """Lease this number of times; verify the server first."""
    await verified(ledger)
    leases: list[Lease] = []
    while len(leases) < times:
        lease = await ledger.ask(LedgerRequest(settings=SETTINGS, permits=permits))
        if lease is None:
            await verified(ledger)
        elif lease.permits:
            leases.append(lease)
        else:
            await asyncio.sleep(lease.wait_seconds)
    return leases
