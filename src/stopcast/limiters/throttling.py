"""The law by which throttled answers slow the rate, and by which it comes back. Pure functions; no clock is read here.

Every limiter goes by this law: the token bucket, the shared quota in each process, and the status of a shared quota.
The script of the shared quota (``fleet/quota/reserve.lua``) states it once more, and a test holds the two together.
"""

from __future__ import annotations

from typing import Final

#: The full rate is back this long after the last throttled answer, at the latest.
FULL_RATE_AFTER_SECONDS: Final = 25.0
#: A throttled answer a second means that the account makes one call a second too many.
_STEP_DOWN: Final = 1.0
_LEAST_SHARE: Final = 1 / 30
#: The shared quota leases slots at most a second ahead, so it needs a slot or two in each second.
_LEAST_PER_SECOND: Final = 2.0


def least_rate(full_rate: float) -> float:
    """Return the calls a second that still go out, however much is throttled."""
    return min(full_rate, max(full_rate * _LEAST_SHARE, _LEAST_PER_SECOND))


def slowed_rate(rate: float, *, full_rate: float, answers: int = 1) -> float:
    """Return the calls a second after this number of throttled answers."""
    return max(least_rate(full_rate), rate - answers * _STEP_DOWN)


def recovered_rate(rate: float, *, full_rate: float, seconds: float) -> float:
    """Return the calls a second when nothing was throttled for ``seconds``."""
    return min(full_rate, rate + full_rate / FULL_RATE_AFTER_SECONDS * seconds)
