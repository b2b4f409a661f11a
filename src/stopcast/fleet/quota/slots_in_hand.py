"""The slots that one process has leased, as a function of plain numbers. No clock is read here, and nothing waits.

Each slot is used at its moment or not at all. A process that stood still has lost its slots, so what it does late is
never more than what it may do then.
"""

from __future__ import annotations

from collections import deque

from stopcast.fleet.quota.settings import LATE_SLOTS, QuotaSettings
from stopcast.limiters.pacer import SLOTS_AFTER_STANDSTILL, STANDSTILL
from stopcast.limiters.rolling_window import RollingWindow


class SlotsInHand:
    """Slots in their order. Moments are seconds of one local monotonic clock.

    Attributes:
        last: the moment of the last slot in hand; 0 when there never was one.
    """

    __slots__ = ("_held_until", "_left_out", "_most", "_slots", "_window", "last")

    def __init__(self, settings: QuotaSettings) -> None:
        self._slots: deque[float] = deque()
        self._held_until = 0.0
        self._left_out = 0
        self.last = 0.0
        self.lay_out_anew(settings)

    def __len__(self) -> int:
        return len(self._slots)

    def lay_out_anew(self, settings: QuotaSettings) -> None:
        """Drop all slots: from now on they are leased by other settings."""
        self._slots.clear()
        self._most = settings.most
        self._window = RollingWindow(1 + settings.arrival_jitter)

    def add(self, first_at: float, slot_seconds: float, number: int) -> None:
        """Take slots in hand."""
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
        return True
