"""When the calls were made, and when tasks ended how: a bounded number of bins, and the busiest second."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, NamedTuple

from stopcast.limiters.rolling_window import RollingWindow
from stopcast.tasks.outcome import Status

#: Bins with anything in them. When there are more, each is made twice as wide.
_MOST_BINS: Final = 240
_MINUTE_MS: Final = 60_000
#: More attempts of one task than this are drawn as this many.
_MOST_DRAWN: Final = 100
#: The longest wait between attempts is so many times the first (``retry.RetryPolicy``).
_MOST_DOUBLED: Final = 60


def _usual_shares(attempts: int) -> list[float]:
    """Return which share of a task's time has usually passed at each attempt after the first."""
    passed = list(accumulate(min(2**wait, _MOST_DOUBLED) for wait in range(attempts - 1)))
    return [share / passed[-1] for share in passed]


_USUAL_SHARES: Final = [_usual_shares(attempts) for attempts in range(_MOST_DRAWN + 1)]


@dataclass(slots=True)
class Bin:
    """What happened between two moments.

    Attributes:
        first_calls: tasks whose first call was made.
        further_calls: attempts after the first, where they usually are between their task's first call and its end:
            a report does not tell it, but each wait is about twice the one before.
        ended: tasks by the status they ended with.
    """

    first_calls: int = 0
    further_calls: int = 0
    ended: Counter[Status] = field(default_factory=Counter)

    def add(self, other: Bin) -> None:
        """Count what another bin holds."""
        self.first_calls += other.first_calls
        self.further_calls += other.further_calls
        self.ended += other.ended


class WorstSecond(NamedTuple):
    """The most first calls in any half-open second, and the Unix time, in seconds, of the last one of them."""

    calls: int
    ended_at: float


class Timeline:
    """Takes tasks in any order.

    A report tells when a task's first call was admitted, to about 2 ms (the end less the time it took), but not when
    the further ones were. The first ones are kept exactly, in 2 bytes each.

    Attributes:
        bins: by their number: their Unix time divided by ``bin_seconds``. Bins with nothing in them are not there.
    """

    def __init__(self) -> None:
        self.bins: dict[int, Bin] = {}
        self._bin_ms = 1000
        self._ended_ms = 0
        self._minutes: dict[int, array[int]] = {}

    def add(self, ended_ms: int, took_ms: int, status: Status, attempts: int) -> None:
        """Count a task that was sent; its end is Unix time."""
        began_ms = ended_ms - took_ms
        minute = began_ms // _MINUTE_MS
        if minute not in self._minutes:
            self._minutes[minute] = array("H")
        self._minutes[minute].append(began_ms - minute * _MINUTE_MS)
        self._bin(began_ms).first_calls += 1
        self._bin(ended_ms).ended[status] += 1
        self._ended_ms = max(self._ended_ms, ended_ms)
        if attempts > 1:
            for share in _USUAL_SHARES[min(attempts, _MOST_DRAWN)]:
                self._bin(began_ms + int(took_ms * share)).further_calls += 1

    @property
    def began_at(self) -> float:
        """Unix time of the first call, in seconds; 0 where nothing was sent."""
        if not self._minutes:
            return 0.0
        minute = min(self._minutes)
        return (minute * _MINUTE_MS + min(self._minutes[minute])) / 1000

    @property
    def ended_at(self) -> float:
        """Unix time of the last end, in seconds; 0 where nothing was sent."""
        return self._ended_ms / 1000

    def _bin(self, moment_ms: int) -> Bin:
        try:
            return self.bins[moment_ms // self._bin_ms]
        except KeyError:
            self.bins[moment_ms // self._bin_ms] = Bin()
        while len(self.bins) > _MOST_BINS:
            self._widen()
        return self.bins[moment_ms // self._bin_ms]

    @property
    def bin_seconds(self) -> int:
        """How much time a bin covers."""
        return self._bin_ms // 1000

    def _widen(self) -> None:
        narrow = self.bins
        self._bin_ms *= 2
        self.bins = {}
        for number, one in narrow.items():
            self.bins.setdefault(number // 2, Bin()).add(one)

    def worst_second(self) -> WorstSecond:
        """Return the second with the most first calls."""
        window = RollingWindow(1000)
        ended_ms = 0
        for minute in sorted(self._minutes):
            for offset in sorted(self._minutes[minute]):
                before = window.worst_second
                window.add(minute * _MINUTE_MS + offset)
                if window.worst_second > before:
                    ended_ms = minute * _MINUTE_MS + offset
        return WorstSecond(window.worst_second, ended_ms / 1000)
