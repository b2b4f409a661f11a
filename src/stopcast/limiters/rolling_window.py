"""The calls of the last second: they measure the promise, and they bound it."""

from __future__ import annotations

from collections import deque


class RollingWindow:
    """Counts calls in the half-open second that ends with the latest call, and keeps the greatest count.

    Times are seconds of one monotonic clock, and never go back.

    Args:
        seconds: the length of the window, where it is not one second.

    Attributes:
        calls: all calls that were counted.
        worst_second: the most calls in any window.
        first: when the first call was made.
        last: when the last call was made.
    """

    __slots__ = ("_seconds", "_times", "calls", "first", "last", "worst_second")

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._times: deque[float] = deque()
        self.calls = 0
        self.worst_second = 0
        self.first = 0.0
        self.last = 0.0

    def add(self, now: float) -> None:
        """Count a call."""
        times = self._times
        times.append(now)
        while now - times[0] >= self._seconds:
            times.popleft()
        self.worst_second = max(self.worst_second, len(times))
        if not self.calls:
            self.first = now
        self.calls += 1
        self.last = now

    def postpone(self, since: float, until: float) -> None:
        """Count the calls that were made from ``since`` on as made at ``until``."""
        late = 0
        while self._times and self._times[-1] >= since:
            self._times.pop()
            late += 1
        self._times.extend([until] * late)

    def wait(self, now: float, most: int) -> float:
        """Return the seconds until a further call makes at most ``most`` in its window; 0 or less means now."""
        times = self._times
        return self._seconds - (now - times[-most]) if len(times) >= most else 0.0

    @property
    def mean_per_second(self) -> float:
        """Calls a second from the first call to the last, 0 for fewer than two; never more than the worst second."""
        mean = (self.calls - 1) / (self.last - self.first) if self.last > self.first else 0.0
        # A few calls within a moment would make a rate far above the cap.
        return min(mean, float(self.worst_second))
