"""Measure whether many accounts in one process keep their caps, counted as the requests reach the server.

One process calls for all accounts, each with its own cap of 150 calls a second. One server records the account and the
time of each request. The results for each account are its worst sliding second, which must hold at most 150 requests,
and the rate from its first request to its last. The CPU time is reported too, since it limits the number of accounts.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from statistics import median
from typing import Final

from measuring import cpu_seconds, in_own_process, own_process, print_table, print_versions, received, worst_second
from server import OK, answering, serve_parent
from stopcast import Credentials, Router, Stopper, Task, TokenBucket

CAP: Final = 150
#: The first second is spent on connecting.
WARM_UP_SECONDS: Final = 2.0
_KEY: Final = re.compile(rb"Credential=AK(\d+)/")


def _serve(theirs: Connection) -> None:
    asyncio.run(_serve_to_the_end(theirs))


async def _serve_to_the_end(theirs: Connection) -> None:
    arrivals: dict[int, list[float]] = defaultdict(list)

    def answer(request: bytes, arrived_at: float) -> bytes:
        key = _KEY.search(request)
        if key is None:
            raise ValueError("a request that is not signed by an account")
        arrivals[int(key[1])].append(arrived_at)
        return OK

    async with answering(answer) as port:
        await serve_parent(theirs, f"http://127.0.0.1:{port}", lambda: dict(arrivals))


def _call(url: str, accounts: int, seconds: float) -> float:
    """Call for this number of accounts at once, and return the share of a core that was used."""
    return asyncio.run(_call_for(url, accounts, seconds))


async def _call_for(url: str, accounts: int, seconds: float) -> float:
    names = [f"account-{number}" for number in range(accounts)]
    stoppers = {
        name: Stopper(Credentials(f"AK{number}", "secret"), endpoint=url, limiter=TokenBucket(CAP), drain_seconds=0)
        for number, name in enumerate(names)
    }

    def tasks() -> Iterator[Task]:
        for number in count():
            for name in names:
                yield Task(name, "room", f"task-{number}")

    began_at, cpu_before = time.monotonic(), cpu_seconds()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), Router(stoppers, {name: name for name in names}) as router:
            async for _ in router.stop_all(tasks()):
                pass
    return (cpu_seconds() - cpu_before) / (time.monotonic() - began_at)


def _rate(arrivals: list[float]) -> float:
    steady = [moment for moment in arrivals if moment - arrivals[0] >= WARM_UP_SECONDS]
    return (len(steady) - 1) / (steady[-1] - steady[0])


def measure(accounts: int, seconds: float) -> list[str]:
    """Measure this number of accounts, and return a row of the table."""
    process, ours = own_process(_serve)
    try:
        url = received(ours)
        cpu = in_own_process(_call, url, accounts, seconds)
        ours.send("arrivals")
        arrivals: dict[int, list[float]] = received(ours)
    finally:
        process.terminate()
        process.join()
    rates = [_rate(sorted(moments)) for moments in arrivals.values()]
    worst = max(worst_second(sorted(moments)) for moments in arrivals.values())
    shares = [f"{100 * share / CAP:.1f} %" for share in (min(rates), median(rates), max(rates))]
    return [str(accounts), f"{sum(rates):.0f}", *shares, str(worst), f"{100 * cpu:.0f} %"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    if arguments.seconds <= 2 * WARM_UP_SECONDS:
        parser.error(f"the first {WARM_UP_SECONDS:g} seconds are ignored: give --seconds more than twice that")
    rows = [measure(accounts, arguments.seconds) for accounts in arguments.accounts]
    header = ["accounts", "calls/s", "slowest", "median", "fastest", "worst second", "CPU of one core"]
    print_table(f"Each account's rate, in percent of its cap of {CAP}, counted at the server", header, rows)
    print_versions("aiohttp")


if __name__ == "__main__":
    main()
