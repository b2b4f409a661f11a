"""Measure whether the cap holds, and how much of it is used, counted as the requests reach the server.

Each contestant calls for some seconds as fast as its limiter allows. The results are its worst sliding second, which
must hold at most 150 requests, and the rate from the first request to the last. In the scenario ``competitor`` another
program uses the account's quota too. Only stopcast takes part in it, since none of the others slows down.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from cap_contestants import (
    BODY,
    CAP,
    COMPETITOR,
    CONTESTANTS,
    SCENARIOS,
    Place,
    Scenario,
    stop_for_ever,
)
from measuring import NotedLimiter, own_process, print_table, print_versions, received, worst_second
from server import Setting, running_server
from stopcast.events import Event, Throttled
from stopcast.ports import Request
from stopcast.sandbox import SANDBOX_CREDENTIALS

if TYPE_CHECKING:
    import aiohttp

COMPETITOR_PER_SECOND: Final = 75
RECOVERY_SECONDS: Final = 35.0


def call_for(theirs: Connection, name: str, place: Place) -> None:
    """Run a contestant for the scenario's time."""

    async def run() -> None:
        blocking = asyncio.create_task(_block_regularly(place.scenario.blocked_seconds))
        try:
            async with asyncio.timeout(place.seconds):
                await CONTESTANTS[name](place)
        except TimeoutError:
            pass
        finally:
            blocking.cancel()

    asyncio.run(run())
    theirs.send(None)


async def _block_regularly(seconds: float) -> None:
    while True:
        await asyncio.sleep(5)
        time.sleep(seconds)


def contest(scenario: Scenario, name: str, seconds: float) -> list[float]:
    """Return the times at which one contestant's requests reached the server."""
    with running_server(scenario.setting) as server:
        place = Place(url=server.url, seconds=seconds, scenario=scenario)
        process, ours = own_process(call_for, name, place)
        if scenario.stopped_seconds:
            time.sleep(seconds / 2)
            assert process.pid is not None
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(scenario.stopped_seconds)
            os.kill(process.pid, signal.SIGCONT)
        received(ours)
        process.join()
        return server.arrivals()


# A quota that another program uses too.


def yield_to_competitor(theirs: Connection, place: Place) -> None:
    """Call with stopcast; send the times of all calls and of the throttled ones."""
    from stopcast.limiters import TokenBucket

    throttled: list[float] = []

    def observe(event: Event) -> None:
        if isinstance(event, Throttled):
            throttled.append(time.monotonic())

    async def run() -> list[float]:
        limiter = NotedLimiter(TokenBucket(CAP))
        try:
            async with asyncio.timeout(place.seconds):
                await stop_for_ever(place, limiter, observers=[observe])
        except TimeoutError:
            pass
        return limiter.times

    theirs.send((asyncio.run(run()), throttled))


def compete(theirs: Connection, place: Place) -> None:
    """Call at an even pace, whatever the answers; send the times of all calls and of the throttled ones."""
    import aiohttp

    from stopcast.api.endpoint import Endpoint
    from stopcast.api.signing import Signer

    endpoint = Endpoint.parse(place.url)
    signer = Signer(SANDBOX_CREDENTIALS, host=endpoint.host, region=endpoint.region, query=endpoint.query)
    request = Request(BODY, endpoint.query)
    times: list[float] = []
    throttled: list[float] = []

    async def call(session: aiohttp.ClientSession) -> None:
        times.append(now := time.monotonic())
        async with session.post(endpoint.url, data=BODY, headers=signer.sign(request, time.time())) as response:
            await response.read()
            if response.status == 429:
                throttled.append(now)

    async def run() -> None:
        began = time.monotonic()
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as calls:
            for number in range(int(place.seconds * COMPETITOR_PER_SECOND)):
                await asyncio.sleep(began + number / COMPETITOR_PER_SECOND - time.monotonic())
                calls.create_task(call(session))

    asyncio.run(run())
    theirs.send((times, throttled))


def share(seconds: float) -> None:
    """Let a competitor use half of the quota for a while, and print both rates."""
    alone = 5.0
    scenario = Scenario(about="competitor")
    with running_server(Setting(quota=True)) as server:
        ours, our_end = own_process(
            yield_to_competitor, Place(url=server.url, seconds=alone + seconds + RECOVERY_SECONDS, scenario=scenario)
        )
        time.sleep(alone)
        theirs, their_end = own_process(compete, Place(url=server.url, seconds=seconds, scenario=scenario))
        their_calls, their_throttled = received(their_end)
        our_calls, our_throttled = received(our_end)
        for process in (ours, theirs):
            process.join()
    first, last = their_calls[0], their_calls[-1]
    middle, end = (first + last) / 2, our_calls[-1]
    rows = [
        (
            phase,
            *(
                f"{between(times, start, stop) / (stop - start):.1f}" if times else "-"
                for times in (our_calls, our_throttled, their_calls, their_throttled)
            ),
        )
        for phase, start, stop in (
            ("alone, at first", first - 3, first),
            ("the first second with the competitor", first, first + 1),
            ("the first half with it", first, middle),
            ("the second half with it", middle, last),
            ("alone again, the first 5 s", last, last + 5),
            ("alone again, the last 5 s", end - 5, end),
        )
    ]
    print_table(
        f"a competitor that takes {COMPETITOR_PER_SECOND} a second of the account's {CAP} for {seconds:.0f} s, "
        "calls a second",
        ("phase", "stopcast", "of them throttled", "competitor", "of them throttled"),
        rows,
    )
    back = next((s for s in range(int(end - last)) if rate_after(our_calls, last + s) >= CAP * 0.98), None)
    print(
        f"Time until stopcast is at 98 % of the cap again: {'never' if back is None else f'{back + 1} s'}. "
        f"Throttled after the end: {len(our_throttled) - bisect_right(our_throttled, last + 1)} calls"
    )


def between(times: Sequence[float], start: float, stop: float) -> int:
    """Return the number of times between ``start`` and ``stop``."""
    return bisect_right(times, stop) - bisect_right(times, start)


def rate_after(times: Sequence[float], start: float) -> int:
    """Return the number of calls in the second after ``start``."""
    return between(times, start, start + 1)


@contextmanager
def certificate() -> Iterator[str]:
    """Yield a file with a certificate and its key, trusted by this process and the processes it starts."""
    import trustme

    with tempfile.TemporaryDirectory() as folder:
        authority = trustme.CA()
        both = Path(folder, "server.pem")
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(both))
        authority.cert_pem.write_to_path(str(Path(folder, "authority.pem")))
        os.environ["SSL_CERT_FILE"] = str(Path(folder, "authority.pem"))
        yield str(both)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*SCENARIOS, COMPETITOR]
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds for each contestant (%(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="rounds of each scenario (%(default)s)")
    parser.add_argument("--scenario", action="append", choices=names, help="only this one; repeat it for more")
    parser.add_argument("--only", metavar="TEXT", default="", help="only contestants whose names contain this")
    parser.add_argument(
        "--side-by-side", action="store_true", help="run all contestants at once: faster, with more noise"
    )
    arguments = parser.parse_args()
    chosen = arguments.scenario or names
    contestants = [name for name in CONTESTANTS if arguments.only in name]
    print_versions("stopcast", "aiohttp", "aiolimiter", "aiometer", "pyrate-limiter")
    with certificate() as file, ThreadPoolExecutor(len(contestants) if arguments.side_by_side else 1) as pool:
        for scenario in (SCENARIOS[name] for name in chosen if name != COMPETITOR):
            setting = replace(scenario.setting, certificate=file if scenario.tls else None)
            one = partial(contest, replace(scenario, setting=setting), seconds=arguments.seconds)
            results: dict[str, list[list[float]]] = {name: [] for name in contestants}
            for _ in range(arguments.rounds):
                for name, arrivals in zip(contestants, pool.map(one, contestants), strict=True):
                    results[name].append(arrivals)
            asked = "" if scenario.least is None else f", and at least {scenario.least:.1%} of that sustained"
            print_table(
                f"{scenario.about}: at most {CAP} in any second{asked}",
                ("limiter", "worst second", "/ cap", "sustained a second", "/ cap", "requests"),
                [_row(name, found) for name, found in results.items()],
            )
    if COMPETITOR in chosen:
        share(arguments.seconds)


def _row(name: str, rounds: Sequence[Sequence[float]]) -> tuple[str, ...]:
    worst = max(worst_second(arrivals) for arrivals in rounds)
    sustained = median((len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) for arrivals in rounds)
    requests = sum(len(arrivals) for arrivals in rounds)
    return name, f"{worst}", f"{worst / CAP:.2f}", f"{sustained:.1f}", f"{sustained / CAP:.1%}", f"{requests:,}"


if __name__ == "__main__":
    main()
