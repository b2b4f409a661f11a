"""The time axis: a timeline's bins side by side, with long stretches of nothing folded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stopcast.summary import Bin, Timeline

#: More empty bins next to each other than this, and than an eighth of the others, are one gap.
_SHOWN_EMPTY: Final = 4
#: As wide as so many bins is a gap drawn.
GAP_COLUMNS: Final = 3


@dataclass(frozen=True, slots=True)
class Column:
    """One place on the axis.

    Attributes:
        at: how many bins wide what stands before it is.
        starts_at: Unix time.
        seconds: it stands for.
        bin: what happened; None for a gap.
    """

    at: int
    starts_at: int
    seconds: int
    bin: Bin | None

    @property
    def columns(self) -> int:
        """How many bins wide it is."""
        return 1 if self.bin else GAP_COLUMNS


def columns_of(timeline: Timeline) -> list[Column]:
    """Return the places in the order of time."""
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
