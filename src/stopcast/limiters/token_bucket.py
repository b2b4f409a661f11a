"""The cap of one process: callers wait in their order for what the pacer allows. And the limiter without a cap."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from stopcast.errors import ConfigurationError
from stopcast.limiters.clock import Sleeper, monotonic
from stopcast.limiters.pacer import ARRIVAL_JITTER, LATE_TIMERS, Pacer
from stopcast.ports import Limiter

#: The loop's clock, by which the bucket goes, may be this much behind (uvloop's has whole milliseconds).
_LOOP_TIME_BEHIND: Final = 0.002
#: A clock that has run for long has no shorter step, so that a wait below this would never end.
_SHORTEST_WAIT: Final = 1e-9


class TokenBucket(Limiter):
    """At most ``max_per_second`` calls in any sliding second, and within 1 % of it while calls wait.

    Every throttled answer takes one call a second off the rate at once; the full rate is back within 25 s of the last
    one. Waiting is first come, first served. One instance serves one event loop; once that is closed, it serves the
    next one, within the same cap.

    Two bounds apply, one after the other. ``Pacer`` knows all rules (the rate, the sliding second, holds, standstills)
    and is the hard bound. aiolimiter's bucket, to which one token a call is due, bounds the burst and the mean a second
    time, by code that shares nothing with the pacer; it has a little more room, so that it makes a call wait only where
    the pacer erred.

    Args:
        max_per_second: the cap. It may be below 1; above 1 its fraction is cut off.
        arrival_jitter: seconds by which the way to the server may vary. What is allowed for it comes off the rate:
            5 ms leave 148.8 of 150, 20 ms 146.6, 50 ms 142.4.
        clock: returns the seconds of a monotonic clock; see ``stopcast.limiters.clock.monotonic``.

    Attributes:
        max_per_second: the cap.
        full_rate: calls a second while nothing is throttled and nothing limited.

    Raises:
        ConfigurationError: the cap is not a number above 0.
    """

    full_rate: float
    adjustable = True

    def __init__(
        self,
        max_per_second: float = 150.0,
        *,
        arrival_jitter: float = ARRIVAL_JITTER,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        from aiolimiter import AsyncLimiter  # noqa: PLC0415 - plans need only the rate, and this takes 8 ms

        self._pacer = Pacer(max_per_second, arrival_jitter=arrival_jitter)
        self.max_per_second = max_per_second
        self.full_rate = self._pacer.full_rate
        capacity = 1 + self.full_rate * (LATE_TIMERS + _LOOP_TIME_BEHIND)
        self._make_bucket = partial(AsyncLimiter, capacity, capacity / self.full_rate)
        self._clock = clock
        self._sleeper = Sleeper(clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Moments of permits whose requests may not be written yet.
        self._on_the_way: deque[float] = deque()

    @property
    def rate(self) -> float:
        """Calls a second that go out now while calls wait."""
        return self._pacer.rate(self._clock())

    @property
    def limited_to(self) -> float:  # type: ignore[override]
        """Calls a second that ``limit_to`` allows now."""
        return self._pacer.limited_to

    def limit_to(self, calls_per_second: float) -> None:
        """Let at most about this number of calls a second go from now on, at most the cap.

        Raises:
            ConfigurationError: more than the cap, or less than 1 (and than a tenth of the cap).
        """
        self._pacer.limit_to(calls_per_second)

    def hold(self, seconds: float = 0.0) -> None:
        """Record one throttled answer: no call for ``seconds`` (60 at most), and a lower rate after that."""
        self._pacer.throttled(self._clock(), seconds)

    async def acquire(self) -> None:
        """Return when one call may go out now. A caller that is cancelled while it waits takes no permit."""
        pacer, clock = self._pacer, self._clock
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._serve(loop)
        async with self._turn:
            while True:
                while (wait := self._wait(clock())) > 0:
                    await self._sleeper.sleep(wait)
                await self._bucket.acquire()
                # Nothing is awaited from here on, so that a permit is taken and handed over in one step.
                now = clock()
                if self._wait(now) <= 0:
                    break
            pacer.admit(now)
            # The request is written within two turns of the event loop.
            self._on_the_way.append(now)
            loop.call_soon(loop.call_soon, self._sent)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve the callers of this event loop from now on.

        Raises:
            ConfigurationError: another one that is not closed has its callers here.
        """
        if self._loop is not None and not self._loop.is_closed():
            raise ConfigurationError(
                "this limiter serves another event loop, which is still open. Make a limiter for each loop; a shared "
                "quota keeps all of them within one cap"
            )
        self._loop = loop
        # One call waits for its moment, the others in their order behind it.
        self._turn = asyncio.Lock()
        self._bucket = self._make_bucket()
        now = self._clock()
        while self._on_the_way:
            self._pacer.sent(self._on_the_way.popleft(), now)
        self._pacer.start(now)

    def _wait(self, now: float) -> float:
        # The loop may have been blocked since the permit, and the request be written only now.
        if self._on_the_way and self._pacer.sent(self._on_the_way[0], now):
            self._on_the_way = deque([now] * len(self._on_the_way))
        wait = self._pacer.wait(now)
        return wait if wait > _SHORTEST_WAIT else 0.0

    def _sent(self) -> None:
        self._pacer.sent(self._on_the_way.popleft(), self._clock())


class Unlimited(Limiter):
    """Lets every call go at once: for a loopback server, and for measuring."""

    async def acquire(self) -> None:
        """Return at once."""

    def hold(self, seconds: float = 0.0) -> None:
        """Do nothing: there is no account behind it whose quota could be short."""
