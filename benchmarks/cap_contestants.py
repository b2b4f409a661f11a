"""The contestants of ``cap.py``, each of which calls until it is cancelled, and the conditions that they meet."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

from server import Setting
from stopcast.events import Event
from stopcast.ports import Limiter
from stopcast.sandbox import SANDBOX_CREDENTIALS
from stopcast.tasks.task import Task

if TYPE_CHECKING:
    import aiohttp

CAP: Final = 150
BODY: Final = b'{"AppId":"64a1b2c3d4e5f60123456789","RoomId":"room-0001","TaskId":"webcast-0000000001"}'


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


async def stopcast(place: Place) -> None:
    from stopcast.limiters import TokenBucket
    from stopcast.limiters.pacer import ARRIVAL_JITTER

    jitter = place.scenario.arrival_jitter
    await stop_for_ever(place, TokenBucket(CAP, arrival_jitter=ARRIVAL_JITTER if jitter is None else jitter))


async def stop_for_ever(place: Place, limiter: Limiter, *, observers: Sequence[Callable[[Event], None]] = ()) -> None:
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
