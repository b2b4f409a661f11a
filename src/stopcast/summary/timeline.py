"""The course of a run over time: calls and ended tasks in a bounded number of bins, and the busiest second."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, NamedTuple

from stopcast.limiters.rolling_window import RollingWindow
from stopcast.tasks.outcome import Status

#: The most bins that are not empty. When there are more, each bin is made twice as wide.
_MOST_BINS: Final = 240
_MINUTE_MS: Final = 60_000
#: A task with more attempts is drawn with this many.
_MOST_DRAWN: Final = 100
#: The longest wait between attempts, as a multiple of the first wait (``engine.retry.RetryPolicy``).
_LONGEST_WAIT: Final = 60


def _usual_shares(attempts: int) -> list[float]:
    """Return for each attempt the share of the task's time that has usually passed."""
    passed = list(accumulate((min(2**wait, _LONGEST_WAIT) for wait in range(attempts - 1)), initial=0))
    return [share / max(passed[-1], 1) for share in passed]


_USUAL_SHARES: Final = [_usual_shares(attempts) for attempts in range(_MOST_DRAWN + 1)]


@dataclass(slots=True)
class Bin:
    """What happened in one interval of time.

    Attributes:
        first_calls: tasks whose first call was made.
        retries: calls whose times a report does not record (``CallFigures.retries``). They are placed where they
            usually are between the first attempt and the end: each wait is about twice the wait before.
        ended: tasks that ended, by status.
    """

    first_calls: int = 0
    retries: int = 0
    ended: Counter[Status] = field(default_factory=Counter)

    def add(self, other: Bin) -> None:
        """Add the counts of another bin."""
        self.first_calls += other.first_calls
        self.retries += other.retries
        self.ended += other.ended


class WorstSecond(NamedTuple):
    """The most first calls in any half-open second, and the Unix time of the last of them, in seconds."""

    calls: int
    ended_at: float


class Timeline:
    """Counts tasks over time; they are added in any order.

    A report records when a task ended and how long it took, hence when its first call was admitted, to about 2 ms,
    unless an attempt had no connection. It does not record the times of the retries. The times of the first calls are
    kept exactly, in 2 bytes each.

    Attributes:
        bins: by number, which is Unix time divided by ``bin_seconds``; empty bins are left out.
    """

    def __init__(self) -> None:
        self.bins: dict[int, Bin] = {}
        self._bin_ms = 1000
        self._began_ms = 0
        self._ended_ms = 0
        self._minutes: dict[int, array[int]] = {}

    def add(self, ended_ms: int, took_ms: int, status: Status, *, attempts: int, calls: int) -> None:
        """Count a task that was tried; ``ended_ms`` is Unix time in milliseconds."""
        began_ms = ended_ms - took_ms
        self._began_ms = min(self._began_ms or began_ms, began_ms)
        self._ended_ms = max(self._ended_ms, ended_ms)
        self._bin(ended_ms).ended[status] += 1
        shares = _USUAL_SHARES[min(attempts, _MOST_DRAWN)]
        if attempts == calls:
            self._add_first_call(began_ms)
            shares = shares[1:]
        elif calls:
            # It is not known which attempts had no connection. Most often those were the first ones.
            shares = shares[-calls:]
        else:
            return
        for share in shares:
            self._bin(began_ms + int(took_ms * share)).retries += 1

    def _add_first_call(self, began_ms: int) -> None:
        minute = began_ms // _MINUTE_MS
        if minute not in self._minutes:
            self._minutes[minute] = array("H")
        self._minutes[minute].append(began_ms - minute * _MINUTE_MS)
        self._bin(began_ms).first_calls += 1

    @property
    def began_at(self) -> float:
        """The Unix time of the first attempt, in seconds; 0 if there was none."""
        return self._began_ms / 1000

    @property
    def ended_at(self) -> float:
        """The Unix time at which the last task ended, in seconds; 0 if none was tried."""
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
        """The width of a bin."""
        return self._bin_ms // 1000

    def _widen(self) -> None:
        narrow = self.bins
        self._bin_ms *= 2
        self.bins = {}
        for number, each in narrow.items():
            self.bins.setdefault(number // 2, Bin()).add(each)

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
