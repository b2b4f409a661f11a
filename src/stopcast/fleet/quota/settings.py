"""The settings of a shared quota: all processes of an account have to agree on them, so Redis keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from stopcast.limiters.pacer import ARRIVAL_JITTER, bounds, check_jitter

#: A slot may be used this much later than its moment: 3.3 ms for a timer, 3.3 ms for what is not known of Redis' clock.
LATE_SLOTS: Final = 0.0066
_MICROSECONDS: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSettings:
    """What the slots of an account are laid out by.

    Slots at r a second, each used up to L seconds late, put fewer than 1 + r (1 + L) calls into any second, and that
    has to stay below cap + 1: r is 148.5 for a cap of 150, with 3.3 ms for the way to the API.

    Attributes:
        max_per_second: the cap of the whole account.
        arrival_jitter: seconds by which the way to the server may vary, in whole microseconds.

    Raises:
        ConfigurationError: the cap is not a number above 0, or the jitter not one from 0 on.
    """

    max_per_second: float = 150.0
    arrival_jitter: float = ARRIVAL_JITTER

    def __post_init__(self) -> None:
        check_jitter(self.arrival_jitter)
        bounds(self.max_per_second, self.arrival_jitter)
        object.__setattr__(self, "arrival_jitter", round(self.arrival_jitter * _MICROSECONDS) / _MICROSECONDS)

    @property
    def most(self) -> int:
        """The most calls in any second."""
        return bounds(self.max_per_second, self.arrival_jitter + LATE_SLOTS)[0]

    @property
    def full_rate(self) -> float:
        """Calls a second of the whole account while nothing is throttled."""
        return bounds(self.max_per_second, self.arrival_jitter + LATE_SLOTS)[1]

    def adopted(self, kept: Self, *, forgotten: bool) -> Self:
        """Return what a process with these settings goes by where Redis keeps others.

        The cap is the one in Redis. The greater jitter counts, because calls that arrive late break the cap of all.

        Args:
            kept: the settings in Redis.
            forgotten: all had agreed on these settings, and Redis has lost its data since. Then the lower cap counts.
        """
        cap = min(self.max_per_second, kept.max_per_second) if forgotten else kept.max_per_second
        return type(self)(max_per_second=cap, arrival_jitter=max(self.arrival_jitter, kept.arrival_jitter))
