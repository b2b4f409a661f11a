"""Times in little memory: each is kept to a millisecond, or from a second on to three digits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

#: From here on a time is kept to three digits.
_EXACT_BELOW = 1000


class Times:
    """Durations, counted by their length. Percentiles are exact below a second, and within 0.5 % above.

    Some ten thousand different lengths at most are kept, whatever is added.
    """

    def __init__(self) -> None:
        self.by_length: Counter[int] = Counter()
        self._most = 0

    def add(self, milliseconds: int) -> None:
        """Count a duration."""
        self._most = max(self._most, milliseconds)
        self.by_length[milliseconds if milliseconds < _EXACT_BELOW else _to_three_digits(milliseconds)] += 1

    def __add__(self, other: Times) -> Times:
        """Return the durations of both."""
        both = Times()
        both.by_length = self.by_length + other.by_length
        both._most = max(self._most, other._most)
        return both

    def percentiles(self, shares: Sequence[float]) -> list[float]:
        """Return for each share, in percent and rising, the seconds that so many durations do not exceed."""
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
        """Return how many there are and, in seconds, their percentiles and the longest."""
        names = ("p50", "p90", "p95", "p99")
        values = self.percentiles([float(name[1:]) for name in names])
        return {"tasks": self.by_length.total(), **dict(zip(names, values, strict=True)), "max": self._most / 1000}


def _to_three_digits(milliseconds: int) -> int:
    step = 10
    while milliseconds >= _EXACT_BELOW * step:
        step *= 10
    return (milliseconds + step // 2) // step * step
