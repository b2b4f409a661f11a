"""The calls of the last second: the measure of what was promised, and its last guard."""

from __future__ import annotations

from collections import deque


class RollingWindow:
    """Counts calls in the half-open second that ends with the latest one, and keeps the greatest count.

    Times are those of one monotonic clock, in seconds, and never go back.
    """

    __slots__ = ("_times", "calls", "first", "last", "worst_second")

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self.calls = 0
        self.worst_second = 0
        self.first = 0.0
        self.last = 0.0

    def add(self, now: float) -> None:
        """Count a call."""
        times = self._times
        times.append(now)
        while now - times[0] >= 1.0:
            times.popleft()
        self.worst_second = max(self.worst_second, len(times))
        if not self.calls:
            self.first = now
        self.calls += 1
        self.last = now

    def wait(self, now: float, most: int) -> float:
        """Return the seconds until one more call makes at most ``most`` in its second; 0 or less: it may go."""
        times = self._times
        return 1.0 - (now - times[-most]) if len(times) >= most else 0.0

    @property
    def mean_per_second(self) -> float:
        """Calls a second from the first call to the last, 0 for fewer than two."""
        return (self.calls - 1) / (self.last - self.first) if self.last > self.first else 0.0
