"""How fast the limiter goes, told when it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stopcast.events import Event, RateChanged
from stopcast.ports import Limiter

#: Of the full rate: it climbs all the time, and a change of this size is worth a word.
_STEP: Final = 1 / 20


class Pace:
    """Tells the limiter's rate in steps, if the limiter tells it at all.

    Attributes:
        slowed: whether the rate was told last as below the full one, so that its way back is to be told.
    """

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._told = 0.0
        self.slowed = False

    def tell(self, observe: Callable[[Event], None]) -> None:
        """Tell the rate, if it is a step away from what was told last or at its full height again."""
        rate, full = self._limiter.rate, self._limiter.full_rate
        if rate is None or full is None:
            return
        if abs(rate - self._told) >= full * _STEP or (rate < full) != self.slowed:
            self._told, self.slowed = rate, rate < full
            observe(RateChanged(rate, full))
