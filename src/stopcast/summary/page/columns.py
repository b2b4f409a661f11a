"""The time axis: the bins of a timeline side by side, with long empty stretches folded into gaps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from stopcast.summary.timeline import Bin, Timeline

#: A run of empty bins is a gap if it is longer than this, and than an eighth of the bins that are not empty.
_SHOWN_EMPTY: Final = 4
#: The least width of a gap, in bins.
_GAP_COLUMNS: Final = 3
#: The share of the axis that its text needs on a phone, and the most that all gaps take together.
_SHARE_OF_A_GAP: Final = 0.045
_SHARE_OF_GAPS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Column:
    """One bin on the axis, or a gap.

    Attributes:
        at: the distance from the start of the axis, in bins.
        starts_at: Unix time.
        seconds: the time that it covers.
        bin: the counts; those of a gap are 0.
        width: in bins.
        is_gap: whether it stands for several empty bins.
    """

    at: int
    starts_at: int
    seconds: int
    bin: Bin
    width: int = 1
    is_gap: bool = False


def columns_of(timeline: Timeline) -> list[Column]:
    """Return the bins and the gaps in the order of time. The first and the last are bins that are not empty."""
    seconds = timeline.bin_seconds
    columns: list[Column] = []
    numbers = sorted(timeline.bins)
    shown_empty = max(_SHOWN_EMPTY, len(numbers) // 8)
    gap = _gap_width(len(numbers), sum(later - earlier - 1 > shown_empty for earlier, later in pairwise(numbers)))
    at = 0
    previous = numbers[0] - 1
    for number in numbers:
        empty = number - previous - 1
        if empty > shown_empty:
            columns.append(Column(at, (number - empty) * seconds, empty * seconds, Bin(), gap, is_gap=True))
            at += gap
        else:
            for earlier in range(number - empty, number):
                columns.append(Column(at, earlier * seconds, seconds, Bin()))
                at += 1
        columns.append(Column(at, number * seconds, seconds, timeline.bins[number]))
        at += 1
        previous = number
    return columns


def _gap_width(bins: int, gaps: int) -> int:
    """Return the width of each gap: enough for its text, where there are few."""
    share = min(_SHARE_OF_A_GAP, _SHARE_OF_GAPS / max(gaps, 1))
    return max(_GAP_COLUMNS, round(share * bins / (1 - share * gaps)))
