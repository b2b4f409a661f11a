"""The time axis: the bins of a timeline side by side, with long empty stretches folded into gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stopcast.summary import Bin, Timeline

#: A run of empty bins is a gap if it is longer than this, and than an eighth of the bins that are not empty.
_SHOWN_EMPTY: Final = 4
#: The width of a gap, in bins.
GAP_COLUMNS: Final = 3


@dataclass(frozen=True, slots=True)
class Column:
    """One bin or gap on the axis.

    Attributes:
        at: the distance from the start of the axis, in bins.
        starts_at: Unix time.
        seconds: the time that it covers.
        bin: the counts; None for a gap.
    """

    at: int
    starts_at: int
    seconds: int
    bin: Bin | None

    @property
    def columns(self) -> int:
        """The width, in bins."""
        return 1 if self.bin else GAP_COLUMNS


def columns_of(timeline: Timeline) -> list[Column]:
    """Return the bins and the gaps in the order of time."""
    wide = timeline.bin_seconds
    placed: list[Column] = []
    shown_empty = max(_SHOWN_EMPTY, len(timeline.bins) // 8)
    at = 0
    previous: int | None = None
    for number in sorted(timeline.bins):
        empty = 0 if previous is None else number - previous - 1
        if empty > shown_empty:
            placed.append(Column(at, (number - empty) * wide, empty * wide, None))
            at += GAP_COLUMNS
        else:
            for earlier in range(number - empty, number):
                placed.append(Column(at, earlier * wide, wide, Bin()))
                at += 1
        placed.append(Column(at, number * wide, wide, timeline.bins[number]))
        at += 1
        previous = number
    return placed
