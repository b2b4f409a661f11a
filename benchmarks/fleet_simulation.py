"""Fleets larger than one machine, on virtual time: many accounts, a thousand workers, one Redis.

The workers are the real ``SharedQuota``, and the script is the real one, run by an interpreter of Lua. Simulated are
the time, the network between them and how long Redis takes for a call. Redis does one thing after the other, so its
share of busy time tells how far one is from being too little.
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
#: What the script takes of a Redis, of version 7 or Valkey 9 on the machine of the figures.
SERVICE_SECONDS: Final = 0.000040
#: A new account's first slots are a second away.
_WARM_UP_SECONDS: Final = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Who asks, and from where.

    Attributes:
        accounts: with ``workers`` each.
        demand: calls a second that each account's workers want together, None for as many as they get. By its place.
        way_seconds: least and most of one way to Redis.
    """

    about: str
    accounts: int
    workers: int
    demand: Callable[[int], float | None] = lambda _: None
    way_seconds: tuple[float, float] = (0.0002, 0.001)
    seconds: float = 5.0


def _skewed(place: int) -> float | None:
    """Want as Zipf has it: the first few far more than there is, the many of the rest little."""
    return 3000 / (place + 1)


FLEETS: Final = (
    Fleet(about="every account has more to do than it may", accounts=200, workers=5),
    Fleet(about="few have much to do, most little (Zipf)", accounts=200, workers=5, demand=_skewed),
    Fleet(about="the same, Redis 10 to 20 ms away", accounts=200, workers=5, demand=_skewed, way_seconds=(0.01, 0.02)),
    Fleet(about="a thousand workers of ten accounts", accounts=10, workers=100),
    Fleet(about="a thousand workers of one account", accounts=1, workers=1000),
    Fleet(about="ten times the accounts, few have much", accounts=2000, workers=5, demand=_skewed, seconds=3.0),
    Fleet(about="ten times the accounts, all with too much", accounts=2000, workers=5, seconds=1.5),
)


@dataclass(slots=True)
class Worker:
    """One process: what its account wants a second, when it had its permits, and how long each was waited for."""

    wants: float
    permits: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    async def work(self, quota: SharedQuota, per_second: float | None, chance: random.Random) -> None:
        """Want permits until cancelled: as many as there are, or so many a second."""
        async with quota, asyncio.TaskGroup() as group:
            if per_second is None:
                for _ in range(WAITING):
                    group.create_task(self._ask_for_ever(quota))
                return
            while True:
                await asyncio.sleep(chance.expovariate(per_second))
                # Beyond this its tasks wait elsewhere: in a queue, or in a list.
                if len(group._tasks) < WAITING:  # noqa: SLF001 - it counts them already
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
    """Let a fleet work for its time, and return its row."""
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
    """Return how far a worker's part is from an even one: the middle nine tenths."""
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
    parser.add_argument("--only", metavar="TEXT", default="", help="fleets whose description holds this")
    arguments = parser.parse_args()
    rows = []
    for fleet in FLEETS:
        if arguments.only in fleet.about:
            with asyncio.Runner(loop_factory=VirtualClock) as runner:
                rows.append(runner.run(simulate(fleet)))
    print_table(
        f"simulated, {SERVICE_SECONDS * 1e6:.0f} us of Redis a call",
        (
            "fleet",
            "accounts x workers",
            "worst second",
            "used of the cap",
            "shares",
            "p99 ms of who wants little",
            "permits / s",
            "Redis calls / s",
            "/ permit",
            "Redis busy",
        ),
        rows,
    )


if __name__ == "__main__":
    main()
