"""When the next call may go out, and how throttled answers slow the rate, as functions of plain numbers.

No clock is read here, and nothing waits.

Why the numbers. Calls that go at r a second, each up to c seconds late without a loss, put at most 1 + r c + r T calls
into T seconds. Seen from the server, where a call may arrive up to J seconds later than another, a second holds at most
1 + r c + r (1 + J), and that has to stay below cap + 1. So r < cap / (1 + J + c): about 149 calls a second for a cap of
150 with J = c = 3.3 ms. Without c, each late timer would lose its lateness for good.
"""

from __future__ import annotations

import math
from typing import Final

from stopcast.checks import check_number, is_number
from stopcast.errors import ConfigurationError
from stopcast.limiters.rolling_window import RollingWindow

#: Seconds by which one call's way to the server may be longer than another's. Measured on loopback with TLS.
ARRIVAL_JITTER: Final = 0.0033
#: Far more than any way to a server varies by.
_MOST_JITTER: Final = 60.0
#: Seconds by which a timer may be late without a loss.
LATE_TIMERS: Final = 0.0033
#: Keeps the most calls in a second below cap + 1, and not at it.
_MARGIN: Final = 0.02
LONGEST_HOLD: Final = 60.0
#: The full rate is back this long after the last throttled answer, at the latest.
FULL_RATE_AFTER_SECONDS: Final = 25.0
#: A throttled answer a second means that the account makes one call a second too many.
_STEP_DOWN: Final = 1.0
_LEAST_SHARE: Final = 1 / 30
#: The shared quota leases slots at most a second ahead, so it needs a slot or two in each second.
_LEAST_PER_SECOND: Final = 2.0
#: A call that goes later than it could have by this follows a silence, or the process stood still.
STANDSTILL: Final = 0.010
SLOTS_AFTER_STANDSTILL: Final = 2


def check_jitter(arrival_jitter: float) -> None:
    """Refuse a jitter that is not from 0 to a minute: a negative one would raise the rate above the cap.

    Raises:
        ConfigurationError: it is refused.
    """
    check_number("arrival_jitter", arrival_jitter, least=0, most=_MOST_JITTER)


def bounds(max_per_second: float, late_seconds: float) -> tuple[int, float]:
    """Return the most calls in any second, and the calls a second that keep to it when each may be this late.

    Raises:
        ConfigurationError: the cap is not a number above 0.
    """
    check_number("max_per_second", max_per_second, above=0)
    # A second holds whole calls: 2.5 a second are 2 in any one, as 5 in two could be 3 in one.
    most = max(1, int(max_per_second))
    return most, min(max_per_second, most) * (1 - _MARGIN / most) / (1 + late_seconds)


def full_rate(max_per_second: float, arrival_jitter: float = ARRIVAL_JITTER) -> float:
    """Return the calls a second that a ``TokenBucket`` lets through while nothing is throttled.

    Raises:
        ConfigurationError: the cap is not a number above 0.
    """
    check_jitter(arrival_jitter)
    return bounds(max_per_second, arrival_jitter + LATE_TIMERS)[1]


def least_rate(full_rate: float) -> float:
    """Return the calls a second that still go out, however much is throttled."""
    return min(full_rate, max(full_rate * _LEAST_SHARE, _LEAST_PER_SECOND))


def slowed_rate(rate: float, *, full_rate: float, answers: int = 1) -> float:
    """Return the calls a second after this number of throttled answers.

    ``fleet/quota/reserve.lua`` states this law and that of ``recovered_rate`` once more. A test holds the two together.
    """
    return max(least_rate(full_rate), rate - answers * _STEP_DOWN)


def recovered_rate(rate: float, *, full_rate: float, seconds: float) -> float:
    """Return the calls a second when nothing was throttled for ``seconds``."""
    return min(full_rate, rate + full_rate / FULL_RATE_AFTER_SECONDS * seconds)


class Pacer:
    """Decides when each call may go, and counts those that did. Moments are seconds of one monotonic clock.

    The strictest of three rules counts: calls go at the present rate, and make up for lateness up to 3.3 ms; no second
    with its jitter holds more calls than the cap; no call goes while the account is held.

    Attributes:
        max_per_second: the cap.
        limited_to: what ``limit_to`` allows, the cap unless it was called.
        full_rate: calls a second while nothing is throttled and nothing limited.

    Raises:
        ConfigurationError: the cap is not a number above 0, or the jitter not one from 0 on.
    """

    __slots__ = (
        "_arrival_jitter",
        "_held_until",
        "_last_slot",
        "_most",
        "_slowed_at",
        "_slowed_to",
        "_window",
        "full_rate",
        "limited_to",
        "max_per_second",
    )

    def __init__(self, max_per_second: float = 150.0, *, arrival_jitter: float = ARRIVAL_JITTER) -> None:
        check_jitter(arrival_jitter)
        self._most, self.full_rate = bounds(max_per_second, arrival_jitter + LATE_TIMERS)
        self.max_per_second = self.limited_to = max_per_second
        self._arrival_jitter = arrival_jitter
        self._window = RollingWindow(1 + arrival_jitter)
        self._slowed_to = self.full_rate
        self._slowed_at = 0.0
        self._held_until = -math.inf
        #: When the last call was due. It may have gone later, which the next calls make good.
        self._last_slot = -math.inf

    def start(self, now: float) -> None:
        """Leave two slots free: another limiter may have served this account until a moment ago."""
        self._hold_until(now + SLOTS_AFTER_STANDSTILL / self.full_rate)

    def rate(self, now: float) -> float:
        """Return the calls a second that go now while calls wait."""
        limit = self.full_rate * (self.limited_to / self.max_per_second)
        return min(
            limit, recovered_rate(self._slowed_to, full_rate=self.full_rate, seconds=max(0.0, now - self._slowed_at))
        )

    def limit_to(self, calls_per_second: float) -> None:
        """Let at most about this number of calls a second go from now on.

        Raises:
            ConfigurationError: more than the cap, or less than 1 (and than a tenth of the cap).
        """
        most, least = self.max_per_second, min(1.0, self.max_per_second / 10)
        number = is_number(calls_per_second)
        if not number or not least <= calls_per_second <= most:
            shown = f"{calls_per_second:g}" if number else type(calls_per_second).__name__
            raise ConfigurationError(f"a rate is a number from {least:g} to {most:g}, not {shown}")
        self.limited_to = calls_per_second

    def throttled(self, now: float, seconds: float = 0.0) -> None:
        """Record one throttled answer: no call for ``seconds`` (60 at most), and a lower rate after that."""
        self._slowed_to = slowed_rate(self.rate(now), full_rate=self.full_rate)
        self._slowed_at = now
        self._hold_until(now + min(max(seconds, 0.0), LONGEST_HOLD))

    def wait(self, now: float) -> float:
        """Return the seconds until the next call may go; 0 or less means now."""
        return max(self._due_at(now) - now, self._window.wait(now, self._most))

    def admit(self, now: float) -> None:
        """Count a call that goes now. ``wait(now)`` has to be 0 or less."""
        slot = 1 / self.rate(now)
        if now - self._due_at(now) > STANDSTILL:
            # A call admitted before a standstill may reach the wire only now: leave it and this one their slots.
            self._hold_until(now + SLOTS_AFTER_STANDSTILL * slot)
        self._last_slot = max(self._last_slot + slot, now)
        self._window.add(now)

    def sent(self, admitted_at: float, now: float) -> bool:
        """Count a call as made when it was sent, where more than the jitter lies between its permit and that.

        Returns:
            Whether it does.
        """
        late = now - admitted_at > self._arrival_jitter
        if late:
            self._window.postpone(admitted_at, now)
        return late

    def _due_at(self, now: float) -> float:
        return max(self._held_until, self._last_slot + 1 / self.rate(now) - LATE_TIMERS)

    def _hold_until(self, moment: float) -> None:
        self._held_until = max(self._held_until, moment)
