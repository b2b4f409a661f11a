"""What counts the calls of several accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stopcast.limiters.rolling_window import RollingWindow


@dataclass(frozen=True, slots=True)
class Meters:
    """What counts the calls of several accounts.

    Attributes:
        by_account: each account's.
    """

    by_account: Mapping[str, RollingWindow]

    @property
    def calls(self) -> int:
        """Calls of all accounts."""
        return sum(meter.calls for meter in self.by_account.values())

    @property
    def worst_second(self) -> int:
        """The most calls that one account made in any second: each has its own cap."""
        return max(meter.worst_second for meter in self.by_account.values())

    @property
    def mean_per_second(self) -> float:
        """Calls a second of all accounts, from the first call to the last."""
        used = [meter for meter in self.by_account.values() if meter.calls]
        seconds = max((meter.last for meter in used), default=0.0) - min((meter.first for meter in used), default=0.0)
        return (self.calls - 1) / seconds if seconds > 0 else 0.0
