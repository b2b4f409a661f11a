"""A limiter of the caller's own that does not inherit from ``Limiter``, with the defaults for what it lacks."""

from __future__ import annotations

import math
from typing import Any

from stopcast.ports import BareLimiter, Limiter


class _AdaptedLimiter(Limiter):
    """A limiter that does not inherit from ``Limiter``, with the defaults for what it lacks."""

    def __init__(self, bare: BareLimiter) -> None:
        self._bare: Any = bare
        self.max_per_second = getattr(bare, "max_per_second", math.inf)
        self.limited_to = getattr(bare, "limited_to", self.max_per_second)
        self.full_rate = getattr(bare, "full_rate", None)
        self.adjustable = hasattr(bare, "limit_to")

    @property
    def permit_seconds(self) -> float:
        return getattr(self._bare, "permit_seconds", super().permit_seconds)

    async def acquire(self) -> None:
        await self._bare.acquire()

    def hold(self, seconds: float = 0.0) -> None:
        self._bare.hold(seconds)

    @property
    def rate(self) -> float | None:
        return getattr(self._bare, "rate", self.full_rate)

    def limit_to(self, calls_per_second: float) -> None:
        if not self.adjustable:
            super().limit_to(calls_per_second)
        self._bare.limit_to(calls_per_second)
        self.limited_to = calls_per_second


def as_limiter(limiter: BareLimiter) -> Limiter:
    """Return ``limiter``, with the defaults of ``Limiter`` for what it lacks."""
    return limiter if isinstance(limiter, Limiter) else _AdaptedLimiter(limiter)
