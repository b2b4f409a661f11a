"""The time axis: the bins of a timeline side by side, with long empty stretches folded into gaps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from stopcast.summary import Bin, Timeline

#: A run of empty bins is a gap if it is longer than this, and than an eighth of the bins that are not empty.
_SHOWN_EMPTY: Final = 4
#: The least width of a gap, in bins.
_GAP_COLUMNS: Final = 3
#: The share of the axis that its text needs on a phone, and the most that all gaps take together.
_SHARE_OF_A_GAP: Final = 0.045
_SHARE_OF_GAPS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Column:
    """One bin or gap on the axis.

    Attributes:
        at: the distance from the start of the axis, in bins.
        starts_at: Unix time.
        seconds: the time that it covers.
        bin: the counts; None for a gap.
        columns: the width, in bins.
    """

    at: int
    starts_at: int
    seconds: int
    bin: Bin | None
    columns: int = 1


def columns_of(timeline: Timeline) -> list[Column]:
    """Return the bins and the gaps in the order of time."""
    wide = timeline.bin_seconds
    placed: list[Column] = []
    shown_empty = max(_SHOWN_EMPTY, len(timeline.bins) // 8)
    numbers = sorted(timeline.bins)
    gap = _gap_columns(len(numbers), sum(later - earlier - 1 > shown_empty for earlier, later in pairwise(numbers)))
    at = 0
    previous: int | None = None
    for number in numbers:
        empty = 0 if previous is None else number - previous - 1
        if empty > shown_empty:
            placed.append(Column(at, (number - empty) * wide, empty * wide, None, gap))
            at += gap
        else:
            for earlier in range(number - empty, number):
                placed.append(Column(at, earlier * wide, wide, Bin()))
                at += 1
        placed.append(Column(at, number * wide, wide, timeline.bins[number]))
        at += 1
        previous = number
    return placed


def _gap_columns(bins: int, gaps: int) -> int:
    """Return the width of each gap: enough for its text, where there are few."""
    share = min(_SHARE_OF_A_GAP, _SHARE_OF_GAPS / max(gaps, 1))
    return max(_GAP_COLUMNS, round(share * bins / (1 - share * gaps)))
