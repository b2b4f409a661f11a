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
import ssl
import tempfile
import time
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from measuring import NotedLimiter, own_process, print_table, print_versions, received, worst_second
from server import Setting, running_server
from stopcast.events import Event, Throttled
from stopcast.ports import Limiter, Request
from stopcast.sandbox import SANDBOX_CREDENTIALS
from stopcast.tasks.task import Task

if TYPE_CHECKING:
    import aiohttp

CAP: Final = 150
BODY: Final = b'{"AppId":"64a1b2c3d4e5f60123456789","RoomId":"room-0001","TaskId":"webcast-0000000001"}'
COMPETITOR_PER_SECOND: Final = 75
RECOVERY_SECONDS: Final = 35.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The conditions that a contestant meets.

    Attributes:
        about: a description.
        setting: the server and the link to it.
        tls: whether the server uses TLS.
        waiting: the number of workers, nearly all of which wait for a permit.
        blocked_seconds: how long the client's event loop is blocked, every five seconds.
        stopped_seconds: how long the client is stopped by SIGSTOP, once.
        arrival_jitter: stopcast's setting for the link; None for its default.
        least: the share of the cap that has to be reached; None for no demand.
    """

    about: str
    setting: Setting = field(default_factory=Setting)
    tls: bool = False
    waiting: int = 64
    blocked_seconds: float = 0.0
    stopped_seconds: float = 0.0
    arrival_jitter: float | None = None
    least: float | None = 0.993


COMPETITOR: Final = "competitor"
SCENARIOS: Final = {
    "plain": Scenario(about="plain HTTP, 64 waiting"),
    "tls": Scenario(about="TLS, 64 waiting", tls=True),
    "tls-50ms": Scenario(about="TLS, 50 ms each way", tls=True, setting=Setting(delay_seconds=0.05)),
    "waiting-512": Scenario(about="plain HTTP, 512 waiting", waiting=512),
    "blocked": Scenario(about="the loop blocked for 300 ms every 5 s", blocked_seconds=0.3, least=None),
    "stopped": Scenario(about="the process stopped for 2 s", stopped_seconds=2.0, least=None),
    "throttled": Scenario(about="30 % throttling answers", setting=Setting(throttled_share=0.3), least=None),
    "jitter-20ms": Scenario(
        about="20 ms of jitter on the way",
        setting=Setting(delay_seconds=0.02, jitter_seconds=0.02),
        arrival_jitter=0.02,
        least=0.975,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The server a contestant calls, and the time it has."""

    url: str
    seconds: float
    scenario: Scenario


# Contestants. Each calls until it is cancelled.


async def stopcast(place: Place) -> None:
    from stopcast.limiters import TokenBucket
    from stopcast.limiters.pacer import ARRIVAL_JITTER

    jitter = place.scenario.arrival_jitter
    await _stop_for_ever(place, TokenBucket(CAP, arrival_jitter=ARRIVAL_JITTER if jitter is None else jitter))


async def _stop_for_ever(place: Place, limiter: Limiter, *, observers: Sequence[Callable[[Event], None]] = ()) -> None:
    from stopcast.stopper import Stopper

    tasks = (Task("64a1b2c3d4e5f60123456789", "room-0001", f"webcast-{number:010d}") for number in count())
    async with Stopper(
        SANDBOX_CREDENTIALS,
        endpoint=place.url,
        limiter=limiter,
        max_at_once=place.scenario.waiting,
        observers=observers,
    ) as stopper:
        async for _ in stopper.stop_all(tasks):
            pass


async def _in_workers(place: Place, call: Callable[[], Awaitable[object]]) -> None:
    async def work() -> None:
        while True:
            await call()

    await asyncio.gather(*(work() for _ in range(place.scenario.waiting)))


def _session(place: Place) -> aiohttp.ClientSession:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=place.scenario.waiting, ssl=ssl.create_default_context())
    return aiohttp.ClientSession(connector=connector)


async def _post(session: aiohttp.ClientSession, place: Place) -> None:
    async with session.post(f"{place.url}/?Action=StopWebcast&Version=2020-12-01", data=BODY) as response:
        await response.read()


async def aiolimiter(place: Place, *, max_rate: float, seconds: float) -> None:
    from aiolimiter import AsyncLimiter

    limiter = AsyncLimiter(max_rate, seconds)

    async with _session(place) as session:

        async def call() -> None:
            async with limiter:
                await _post(session, place)

        await _in_workers(place, call)


async def aiometer(place: Place) -> None:
    from aiometer import run_on_each

    async with _session(place) as session:

        async def call(_: int) -> None:
            await _post(session, place)

        # It needs a sequence; the run never reaches the end of this one.
        await run_on_each(call, range(10**9), max_at_once=place.scenario.waiting, max_per_second=CAP)


async def pyrate_limiter(place: Place) -> None:
    from pyrate_limiter import Duration, Limiter, Rate

    limiter = Limiter(Rate(CAP, Duration.SECOND))

    async with _session(place) as session:

        async def call() -> None:
            await limiter.try_acquire_async("StopWebcast")
            await _post(session, place)

        await _in_workers(place, call)


CONTESTANTS: Final[dict[str, Callable[[Place], Awaitable[None]]]] = {
    "stopcast": stopcast,
    "AsyncLimiter(150, 1)": partial(aiolimiter, max_rate=CAP, seconds=1),
    "AsyncLimiter(1, 1/150)": partial(aiolimiter, max_rate=1, seconds=1 / CAP),
    "aiometer": aiometer,
    "pyrate-limiter": pyrate_limiter,
}


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
                await _stop_for_ever(place, limiter, observers=[observe])
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
