"""Durations in bounded memory: to the millisecond below a second, to three digits above."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

#: Milliseconds from which a duration is rounded to three digits.
_EXACT_BELOW: Final = 1000


class Durations:
    """Counts durations by their length. Percentiles are exact below a second, and within 0.5 % above.

    Attributes:
        by_length: the number of durations by milliseconds, rounded to three digits from a second on. There are at most
            about ten thousand different lengths.
    """

    def __init__(self) -> None:
        self.by_length: Counter[int] = Counter()
        self._longest = 0

    def add(self, milliseconds: int) -> None:
        """Count a duration."""
        self._longest = max(self._longest, milliseconds)
        self.by_length[milliseconds if milliseconds < _EXACT_BELOW else _to_three_digits(milliseconds)] += 1

    def __add__(self, other: Durations) -> Durations:
        """Return the durations of both."""
        both = Durations()
        both.by_length = self.by_length + other.by_length
        both._longest = max(self._longest, other._longest)
        return both

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self.by_length)

    def percentiles(self, shares: Sequence[float]) -> list[float]:
        """Return the percentiles in seconds; ``shares`` are percentages in ascending order."""
        total = self.by_length.total()
        lengths = iter(sorted(self.by_length.items()))
        found: list[float] = []
        passed, length = 0, 0
        for share in shares:
            while passed < share / 100 * total:
                length, number = next(lengths)
                passed += number
            found.append(length / 1000)
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the number of durations and, in seconds, their percentiles and the longest."""
        names = ("p50", "p90", "p95", "p99")
        values = self.percentiles([float(name[1:]) for name in names])
        return {"tasks": self.by_length.total(), **dict(zip(names, values, strict=True)), "max": self._longest / 1000}


def _to_three_digits(milliseconds: int) -> int:
    step = 10
    while milliseconds >= _EXACT_BELOW * step:
        step *= 10
    return (milliseconds + step // 2) // step * step
