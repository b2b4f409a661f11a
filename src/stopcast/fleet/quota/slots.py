"""The slots of an account's calls: the settings that lay them out, and those that this process has leased.

All processes of an account have to agree on the settings, so Redis keeps them. No clock is read, and nothing waits.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Self

from stopcast.limiters.pacer import ARRIVAL_JITTER, SLOTS_AFTER_STANDSTILL, STANDSTILL, bounds, check_jitter
from stopcast.limiters.rolling_window import RollingWindow

#: A slot may be used this much later than its moment: 3.3 ms for a timer, 3.3 ms for what is not known of Redis' clock.
LATE_SLOTS: Final = 0.0066
_MICROSECONDS: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSettings:
    """The settings from which the slots of an account follow.

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
        """Return the settings for a process that has these, while Redis keeps others.

        The cap is the one in Redis. The greater jitter counts, because calls that arrive late break the cap of all.

        Args:
            kept: the settings in Redis.
            forgotten: all had agreed on these settings, and Redis has lost its data since. Then the lower cap counts.
        """
        cap = min(self.max_per_second, kept.max_per_second) if forgotten else kept.max_per_second
        return type(self)(max_per_second=cap, arrival_jitter=max(self.arrival_jitter, kept.arrival_jitter))


class SlotsInHand:
    """The slots that one process has leased, in their order. Moments are seconds of one local monotonic clock.

    Each slot is used at its moment or not at all. A process that stood still has lost its slots, so what it does late
    is never more than what it may do then.

    Attributes:
        last: the moment of the last slot in hand; 0 when there never was one.
        usable_until: the end of the slot that was used last.
    """

    __slots__ = ("_held_until", "_left_out", "_most", "_slots", "_window", "last", "usable_until")

    def __init__(self, settings: QuotaSettings) -> None:
        self._slots: deque[float] = deque()
        self._held_until = 0.0
        self._left_out = 0
        self.last = self.usable_until = 0.0
        self.lay_out_anew(settings)

    def __len__(self) -> int:
        return len(self._slots)

    def lay_out_anew(self, settings: QuotaSettings) -> None:
        """Drop all slots, because the settings have changed."""
        self._slots.clear()
        self._most = settings.most
        self._window = RollingWindow(1 + settings.arrival_jitter)

    def add(self, first_at: float, slot_seconds: float, number: int) -> None:
        """Add slots."""
        self._slots.extend(first_at + place * slot_seconds for place in range(number))
        self.last = self._slots[-1]

    def clear(self) -> None:
        """Drop all slots."""
        self._slots.clear()

    def drop_expired(self, now: float) -> None:
        """Drop the slots whose moment has passed by too much."""
        while self._slots and self._slots[0] < now - LATE_SLOTS:
            self._slots.popleft()

    def hold(self, until: float) -> None:
        """Use no slot before this moment."""
        self._held_until = max(self._held_until, until)

    def wait(self, now: float) -> float | None:
        """Return the seconds until the first slot, 0 or less if it is now; None if there is no slot."""
        return self._slots[0] - now if self._slots else None

    def use(self, now: float) -> bool:
        """Take the first slot out of hand, and return whether a call may go in it now."""
        slot = self._slots.popleft()
        late = now - slot
        if late > STANDSTILL:
            self._slots.clear()
            self._left_out = SLOTS_AFTER_STANDSTILL
        if self._left_out:
            self._left_out -= late <= STANDSTILL
            return False
        if late > LATE_SLOTS or slot < self._held_until or self._window.wait(now, self._most) > 0:
            return False
        self._window.add(now)
        self.usable_until = slot + LATE_SLOTS
        return True
