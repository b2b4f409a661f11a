"""Simulate fleets that are too large for one machine: many accounts, a thousand workers, one Redis, virtual time.

``SharedQuota`` and its script are the real ones; the script runs in an interpreter of Lua. The time, the network and
the duration of a Redis call are simulated. Redis executes one call after the other, so its share of busy time shows how
much room is left.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Final

from measuring import print_table, worst_second
from stopcast.fleet.quota.shared_quota import SharedQuota
from stopcast.virtual_clock import VirtualClock

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.simulated_redis import SimulatedLedger, SimulatedRedis

CAP: Final = 150
WAITING: Final = 20
#: Duration of the script in Redis 7 and Valkey 9, measured on the machine of the figures.
SERVICE_SECONDS: Final = 0.000040
#: The first slots of a new account are one second away.
_WARM_UP_SECONDS: Final = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The accounts, their workers and their demand.

    Attributes:
        accounts: the number of accounts, each with ``workers`` workers.
        demand: the calls a second that an account's workers need together, by the account's place; None for no limit.
        way_seconds: the shortest and the longest one-way delay to Redis.
    """

    about: str
    accounts: int
    workers: int
    demand: Callable[[int], float | None] = lambda _: None
    way_seconds: tuple[float, float] = (0.0002, 0.001)
    seconds: float = 5.0


def _skewed(place: int) -> float | None:
    """Return a demand by Zipf's law: the first few accounts need far more than the cap, all others little."""
    return 3000 / (place + 1)


FLEETS: Final = (
    Fleet(about="every account needs more than its cap", accounts=200, workers=5),
    Fleet(about="few accounts need much, most need little (Zipf)", accounts=200, workers=5, demand=_skewed),
    Fleet(about="the same, Redis 10 to 20 ms away", accounts=200, workers=5, demand=_skewed, way_seconds=(0.01, 0.02)),
    Fleet(about="a thousand workers of ten accounts", accounts=10, workers=100),
    Fleet(about="a thousand workers of one account", accounts=1, workers=1000),
    Fleet(about="ten times the accounts, few need much", accounts=2000, workers=5, demand=_skewed, seconds=3.0),
    Fleet(about="ten times the accounts, all need too much", accounts=2000, workers=5, seconds=1.5),
)


@dataclass(slots=True)
class Worker:
    """A process: its account's demand a second, the times of its permits, and the wait for each."""

    wants: float
    permits: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    async def work(self, quota: SharedQuota, per_second: float | None, chance: random.Random) -> None:
        """Acquire permits until cancelled: without limit, or at ``per_second``."""
        async with quota, asyncio.TaskGroup() as group:
            if per_second is None:
                for _ in range(WAITING):
                    group.create_task(self._ask_for_ever(quota))
                return
            while True:
                await asyncio.sleep(chance.expovariate(per_second))
                # Further tasks would wait elsewhere: in a queue, or in a list.
                if len(group._tasks) < WAITING:  # noqa: SLF001 - it already counts them
                    group.create_task(self._ask(quota))

    async def _ask_for_ever(self, quota: SharedQuota) -> None:
        while True:
            await self._ask(quota)

    async def _ask(self, quota: SharedQuota) -> None:
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        await quota.acquire()
        self.permits.append(loop.time())
        self.waits.append(self.permits[-1] - asked_at)


async def simulate(fleet: Fleet) -> tuple[str, ...]:
    """Run a fleet for its time, and return its row of the table."""
    loop = asyncio.get_running_loop()
    redis = SimulatedRedis(service_seconds=SERVICE_SECONDS, timeout_seconds=1.0)
    chance = random.Random(0)
    way = partial(chance.uniform, *fleet.way_seconds)
    accounts: list[list[Worker]] = []
    running: list[asyncio.Task[None]] = []
    for place in range(fleet.accounts):
        wanted = fleet.demand(place)
        workers = [Worker(wants=float("inf") if wanted is None else wanted) for _ in range(fleet.workers)]
        accounts.append(workers)
        for worker in workers:
            quota = SharedQuota(SimulatedLedger(redis, str(place), way), account=str(place))
            each = None if wanted is None else wanted / fleet.workers
            running.append(loop.create_task(worker.work(quota, each, chance)))
    await asyncio.sleep(_WARM_UP_SECONDS)
    since, calls, busy = loop.time(), redis.calls, redis.busy_seconds
    await asyncio.sleep(fleet.seconds)
    calls, busy = redis.calls - calls, redis.busy_seconds - busy
    for task in running:
        task.cancel()
    for ended in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
    return _row(fleet, accounts, since, calls, busy)


def _row(fleet: Fleet, accounts: list[list[Worker]], since: float, calls: int, busy: float) -> tuple[str, ...]:
    def had(worker: Worker) -> int:
        return len(worker.permits) - bisect_left(worker.permits, since)

    hungry = [workers for workers in accounts if workers[0].wants > CAP]
    permits = sum(had(worker) for workers in accounts for worker in workers)
    used = sum(had(worker) for workers in hungry for worker in workers) / (len(hungry) * CAP * fleet.seconds)
    waits = [
        wait
        for workers in accounts
        if workers[0].wants < CAP / 2
        for worker in workers
        for wait in _late(worker, since)
    ]
    return (
        fleet.about,
        f"{fleet.accounts} x {fleet.workers}",
        str(max(map(_worst_second, accounts))),
        f"{used:.1%}",
        _shares(hungry, had),
        f"{quantiles(waits, n=100)[-1] * 1000:.0f}" if waits else "-",
        f"{permits / fleet.seconds:,.0f}",
        f"{calls / fleet.seconds:,.0f}",
        f"{calls / max(permits, 1):.2f}",
        f"{busy / fleet.seconds:.0%}",
    )


def _late(worker: Worker, since: float) -> Iterator[float]:
    return (wait for moment, wait in zip(worker.permits, worker.waits, strict=True) if moment >= since)


def _shares(hungry: list[list[Worker]], had: Callable[[Worker], int]) -> str:
    """Return how far the workers' shares are from an equal one, for the middle nine tenths of them."""
    parts = [
        had(worker) * len(workers) / total - 1
        for workers in hungry
        if (total := sum(map(had, workers)))
        for worker in workers
    ]
    if not parts:
        return "-"
    cuts = quantiles(parts, n=20)
    return f"{cuts[0]:+.0%} to {cuts[-1]:+.0%}"


def _worst_second(workers: list[Worker]) -> int:
    return worst_second(sorted(moment for worker in workers for moment in worker.permits))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="TEXT", default="", help="only fleets whose description contains this")
    arguments = parser.parse_args()
    rows = []
    for fleet in FLEETS:
        if arguments.only in fleet.about:
            with asyncio.Runner(loop_factory=VirtualClock) as runner:
                rows.append(runner.run(simulate(fleet)))
    print_table(
        f"Simulated, with {SERVICE_SECONDS * 1e6:.0f} us of Redis time for a call",
        (
            "fleet",
            "accounts x workers",
            "worst second",
            "used of the cap",
            "shares",
            "p99 wait of light accounts, ms",
            "permits / s",
            "Redis calls / s",
            "/ permit",
            "Redis busy",
        ),
        rows,
    )


if __name__ == "__main__":
    main()
