"""The cap: a token bucket with hardly any burst, a hard bound behind it, and a rate that yields to throttling.

Why the numbers. A bucket of capacity b that fills at r a second lets at most b + r T calls through in T seconds. Seen
from the server, where a call may arrive up to J seconds later than another, a second holds at most b + r (1 + J), and
that has to stay below cap + 1. The capacity must exceed 1 all the same: with exactly 1 every late timer loses its
lateness for good. With c seconds of lateness to make good, b = 1 + r c, and so r < cap / (1 + J + c): about 149 calls a
second for a cap of 150 with J = c = 3.3 ms.
"""

from __future__ import annotations

import asyncio
import math
from typing import Final

from stopcast.errors import ConfigurationError
from stopcast.limiters.rolling_window import RollingWindow
from stopcast.ports import Limiter

#: Seconds by which one call's way to the server may be longer than another's. Measured on loopback with TLS.
ARRIVAL_JITTER: Final = 0.0033
_LATE_TIMERS: Final = 0.0033
#: Keeps b + r (1 + J) below cap + 1, and not at it.
_MARGIN: Final = 0.02
#: A throttled answer a second means one call a second too many, whoever made it.
_STEP_DOWN: Final = 1.0
FULL_RATE_AFTER: Final = 25.0
_LEAST_SHARE: Final = 1 / 30
LONGEST_HOLD: Final = 60.0
#: A call that goes later than it could have by this follows a silence, or the process stood still.
STANDSTILL: Final = 0.010
SLOTS_AFTER_STANDSTILL: Final = 2


def bounds(max_per_second: float, late_seconds: float) -> tuple[int, float]:
    """Return the most calls in any second, and the calls a second that keep to it though each may be so late.

    Raises:
        ConfigurationError: a cap that is no number above 0.
    """
    if not 0 < max_per_second < math.inf:
        raise ConfigurationError(f"max per second must be a number above 0, not {max_per_second}")
    # A second holds whole calls: 2.5 a second are 2 in any one, as 5 in two could be 3 in one.
    most = max(1, int(max_per_second))
    return most, min(max_per_second, most) * (1 - _MARGIN / most) / (1 + late_seconds)


def full_rate(max_per_second: float, arrival_jitter: float = ARRIVAL_JITTER) -> float:
    """Return the calls a second that a ``TokenBucket`` lets through while nothing is throttled.

    Raises:
        ConfigurationError: a cap that is no number above 0.
    """
    return bounds(max_per_second, arrival_jitter + _LATE_TIMERS)[1]


class TokenBucket(Limiter):
    """At most ``max_per_second`` calls in any sliding second, and within 1 % of it while calls wait.

    Every throttled answer takes one call a second off the rate at once; it climbs back within 25 s of the last one.
    Waiting is first come, first served. One instance serves one event loop.

    Args:
        max_per_second: the cap; a fraction below 1 is fine, above 1 it is cut off.
        arrival_jitter: seconds by which the way to the server may vary. What is allowed for it comes off the rate:
            5 ms leave 148.8 of 150, 20 ms 146.6, 50 ms 142.4.

    Attributes:
        max_per_second: the cap.
        limited_to: the cap, or what ``limit_to`` said last.
        full_rate: calls a second while nothing is throttled and nothing limited.

    Raises:
        ConfigurationError: a cap that is no number above 0.
    """

    full_rate: float
    adjustable = True

    def __init__(self, max_per_second: float = 150.0, *, arrival_jitter: float = ARRIVAL_JITTER) -> None:
        from aiolimiter import AsyncLimiter  # noqa: PLC0415 - plans need only the rate, and this takes 8 ms

        self._most, self.full_rate = bounds(max_per_second, arrival_jitter + _LATE_TIMERS)
        self.max_per_second = self.limited_to = max_per_second
        capacity = 1 + self.full_rate * _LATE_TIMERS
        self._bucket = AsyncLimiter(capacity, capacity / self.full_rate)
        # One call waits at the bucket, the others in their order behind it.
        self._turn = asyncio.Lock()
        self._slowed_to = self.full_rate
        self._slowed_at = 0.0
        self._held_until = 0.0
        self._next = 0.0
        self._arrival_jitter = arrival_jitter
        self._window = RollingWindow(1 + arrival_jitter)

    @property
    def rate(self) -> float:
        """Calls a second that go out now while calls wait."""
        return self._rate(asyncio.get_running_loop().time())

    def _rate(self, now: float) -> float:
        climbed = self.full_rate / FULL_RATE_AFTER * (now - self._slowed_at)
        limit = self.full_rate * (self.limited_to / self.max_per_second)
        return min(limit, self._slowed_to + climbed)

    def limit_to(self, calls_per_second: float) -> None:
        """Let about so many calls a second go from now on, at most the cap.

        Raises:
            ConfigurationError: more than the cap, or less than 1 (and than a tenth of the cap).
        """
        most, least = self.max_per_second, min(1.0, self.max_per_second / 10)
        if not least <= calls_per_second <= most:
            raise ConfigurationError(f"a rate is a number from {least:g} to {most:g}, not {calls_per_second:g}")
        self.limited_to = calls_per_second

    def hold(self, seconds: float = 0.0) -> None:
        """Take note of one throttled answer: no call for ``seconds`` (60 at most), and a lower rate after that."""
        now = asyncio.get_running_loop().time()
        self._slowed_to = max(self._rate(now) - _STEP_DOWN, self.full_rate * _LEAST_SHARE)
        self._slowed_at = now
        self._held_until = max(self._held_until, now + min(max(seconds, 0.0), LONGEST_HOLD))

    async def acquire(self) -> None:
        """Return when one call may go out now. Cancelling costs at most that one permit."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            if not self._next:
                # Another limiter may have served this account until a moment ago.
                self._held_until = max(self._held_until, loop.time() + SLOTS_AFTER_STANDSTILL / self.full_rate)
            while True:
                while (wait := self._wait(loop.time())) > 0:  # noqa: ASYNC110 - time is what it waits for
                    await asyncio.sleep(wait)
                slot = 1 / self._rate(loop.time())
                await self._take(slot * self.full_rate)
                now = loop.time()
                # A hold may have begun meanwhile; then the tokens are forfeit, or they would add to a full bucket.
                if self._wait(now) <= 0:
                    break
            # A slow rate's call takes more tokens than a full bucket holds, and waits for those even after a hold.
            filling = max(0.0, slot - self._bucket.time_period)
            if now - max(self._next, self._held_until + filling) > STANDSTILL:
                # A call admitted before a standstill may reach the wire only now: leave it and this one their slots.
                self._held_until = now + SLOTS_AFTER_STANDSTILL * slot
            self._next = now + slot
            self._window.add(now)
            # The request is written within two turns of the event loop.
            loop.call_soon(loop.call_soon, self._left, now)

    def _left(self, granted_at: float) -> None:
        """Count a call when it left, where the event loop was blocked between its permit and that."""
        now = asyncio.get_running_loop().time()
        if now - granted_at > self._arrival_jitter:
            self._window.postpone(granted_at, now)

    def _wait(self, now: float) -> float:
        return max(self._held_until - now, self._window.wait(now, self._most))

    async def _take(self, tokens: float) -> None:
        """Take tokens for one call: one at the full rate, the more the slower."""
        while tokens > 0:
            part = min(tokens, 1.0)
            await self._bucket.acquire(part)
            tokens -= part
