"""Measure one cap for several processes: the requests at the server, each process's share, and the cost.

Every process calls one server as fast as its limiter allows, and all of them use one Redis. The results are the worst
sliding second at the server, which must hold at most 150 requests of all processes together, and the rate while all
of them call. The peers' limiters take the place of stopcast's. A limiter that cannot wait is asked again after 10 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple

from measuring import NotedLimiter, cpu_seconds, own_process, print_table, print_versions, received, worst_second
from server import Setting, running_server
from stopcast.ports import Limiter

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from support.redis_server import RedisServer

CAP: Final = 150
ACCOUNT: Final = "account"
WAITING: Final = 64
#: Ignored at both ends, where not all processes call.
_MARGIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """The server and the Redis of a process, and the time it has."""

    url: str
    redis_url: str
    processes: int
    seconds: float


class Measured(NamedTuple):
    """What a process measured: the times of its permits, and its CPU time since the first call."""

    permits: list[float]
    cpu_seconds: float


async def local(_: Place, __: AsyncExitStack) -> Limiter:
    from stopcast.limiters import TokenBucket

    return TokenBucket(CAP)


async def shared(place: Place, stack: AsyncExitStack) -> Limiter:
    from stopcast.fleet.quota.shared_quota import SharedQuota

    return await stack.enter_async_context(SharedQuota(place.redis_url, account=ACCOUNT))


class _Asking(Limiter):
    """A limiter of another library, as a limiter for a Stopper."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask

    async def acquire(self) -> None:
        while not await self._ask():
            await asyncio.sleep(0.010)

    def hold(self, seconds: float = 0.0) -> None:
        pass


async def limits(place: Place, _: AsyncExitStack) -> Limiter:
    from limits import RateLimitItemPerSecond
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import MovingWindowRateLimiter

    limiter = MovingWindowRateLimiter(RedisStorage(f"async+{place.redis_url}", implementation="redispy"))
    item = RateLimitItemPerSecond(CAP)
    return _Asking(lambda: limiter.hit(item, ACCOUNT))


async def pyrate_limiter(place: Place, _: AsyncExitStack) -> Limiter:
    from pyrate_limiter import Duration, Limiter, Rate, RedisBucket
    from redis.asyncio import Redis

    bucket = await RedisBucket.init([Rate(CAP, Duration.SECOND)], Redis.from_url(place.redis_url), ACCOUNT)
    limiter = Limiter(bucket)
    return _Asking(lambda: limiter.try_acquire_async(ACCOUNT))


async def throttled_py(place: Place, _: AsyncExitStack) -> Limiter:
    from throttled.asyncio import RateLimiterType, RedisStore, Throttled, per_sec

    throttle = Throttled(
        key=ACCOUNT,
        using=RateLimiterType.GCRA.value,
        quota=per_sec(CAP, burst=1),
        store=RedisStore(server=place.redis_url),
        timeout=60,
    )

    async def ask() -> bool:
        return not (await throttle.limit()).limited

    return _Asking(ask)


class Entry(NamedTuple):
    """A row of the table: a limiter and a number of processes."""

    name: str
    make: Callable[[Place, AsyncExitStack], Any]
    processes: int


ENTRIES: Final = (
    Entry("stopcast, its local cap", local, 1),
    *(Entry("stopcast, --quota", shared, processes) for processes in (1, 4, 8)),
    Entry("limits, moving window", limits, 4),
    Entry("pyrate-limiter, Redis bucket", pyrate_limiter, 4),
    Entry("throttled-py, GCRA", throttled_py, 4),
)


def call(theirs: Connection, place: Place, make: Callable[[Place, AsyncExitStack], Any]) -> None:
    """Call until the time is over, and send the result."""
    from stopcast.sandbox import SANDBOX_CREDENTIALS
    from stopcast.stopper import Stopper
    from stopcast.tasks.task import Task

    async def run() -> Measured:
        tasks = (Task("64a1b2c3d4e5f60123456789", "room-0001", f"webcast-{number:010d}") for number in count())
        began = 0.0
        async with AsyncExitStack() as stack:
            limiter = NotedLimiter(await make(place, stack))
            try:
                async with (
                    asyncio.timeout(place.seconds),
                    Stopper(SANDBOX_CREDENTIALS, endpoint=place.url, limiter=limiter, max_at_once=WAITING) as stopper,
                ):
                    async for _ in stopper.stop_all(tasks):
                        began = began or cpu_seconds()
            except TimeoutError:
                pass
        return Measured(limiter.times, cpu_seconds() - began)

    theirs.send(asyncio.run(run()))


def measure(entry: Entry, seconds: float) -> tuple[str, ...]:
    """Run the processes of one row against one server and one Redis, and return the row."""
    with tempfile.TemporaryDirectory() as folder, running_server(Setting()) as server:
        redis_server = RedisServer(Path(folder))
        redis_server.start()
        try:
            place = Place(server.url, redis_server.url, entry.processes, seconds)
            workers = [own_process(call, place, entry.make) for _ in range(entry.processes)]
            # Half-way through, all connections are open.
            time.sleep(seconds / 2)
            asked = _reads(redis_server)
            half_way = time.monotonic()
            time.sleep(seconds / 4)
            asked = _reads(redis_server) - asked
            then = time.monotonic()
            results = [Measured(*received(ours)) for _, ours in workers]
            for process, _ in workers:
                process.join()
        finally:
            redis_server.kill()
        arrivals = server.arrivals()
    since = max(each.permits[0] for each in results) + _MARGIN_SECONDS
    until = min(each.permits[-1] for each in results) - _MARGIN_SECONDS
    shares = [bisect_right(each.permits, until) - bisect_right(each.permits, since) for each in results]
    rate = (bisect_right(arrivals, until) - bisect_right(arrivals, since)) / (until - since)
    calls = sum(len(each.permits) for each in results)
    even = sum(shares) / len(shares)
    return (
        entry.name,
        str(entry.processes),
        str(worst_second(arrivals)),
        f"{rate:.1f}",
        f"{rate / CAP:.1%}",
        f"{min(shares) / even - 1:+.0%} to {max(shares) / even - 1:+.0%}" if len(shares) > 1 else "-",
        f"{asked / sum(half_way <= moment < then for moment in arrivals):.2f}",
        f"{sum(each.cpu_seconds for each in results) / calls * 1e6:.0f}",
    )


def _reads(redis_server: RedisServer) -> int:
    # The question itself adds a few reads.
    return int(redis_server.ask("INFO", "stats")["total_reads_processed"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="seconds for each row (%(default)s)")
    parser.add_argument("--only", metavar="TEXT", default="", help="only rows whose names contain this")
    arguments = parser.parse_args()
    print_versions("stopcast", "redis", "limits", "pyrate-limiter", "throttled-py")

    print_table(
        f"at most {CAP} requests in any second of all processes together",
        (
            "limiter",
            "processes",
            "worst second",
            "a second",
            "/ cap",
            "shares",
            "Redis calls / call",
            "us CPU / call",
        ),
        [measure(entry, arguments.seconds) for entry in ENTRIES if arguments.only in entry.name],
    )


if __name__ == "__main__":
    main()
