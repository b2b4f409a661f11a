"""What reached the emulator, for tests to look at."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import KeysView
from typing import Any

from stopcast.tasks.task import Task


class Records:
    """What came, and what became of it."""

    def __init__(self) -> None:
        #: Monotonic time of every call, whatever became of it: those of StopWebcast, and those that only ask.
        self.arrivals, self.queries = array("d"), array("d")
        #: The API's answers: "ok", or the error's code. By name, the faults that struck. Calls refused for the quota.
        self.by_code, self.by_fault, self.throttled = Counter[str](), Counter[str](), 0
        #: When each was stopped, Unix time in seconds.
        self._stopped: dict[Task, float] = {}

    @property
    def calls(self) -> int:
        """Calls of StopWebcast that have arrived."""
        return len(self.arrivals)

    @property
    def stopped(self) -> KeysView[Task]:
        """The tasks that were stopped, in that order; compares with sets."""
        return self._stopped.keys()

    def worst_second(self) -> int:
        """Return the most calls that arrived in any second, its end not included."""
        worst = first = 0
        for last, arrived in enumerate(self.arrivals):
            while arrived - self.arrivals[first] >= 1:
                first += 1
            worst = max(worst, last - first + 1)
        return worst

    def rate(self) -> float:
        """Return the calls a second, from the first arrival to the last."""
        span = self.arrivals[-1] - self.arrivals[0] if self.arrivals else 0.0
        return (len(self.arrivals) - 1) / span if span else 0.0

    def stats(self) -> dict[str, Any]:
        """Return what ``GET /stats`` answers."""
        return {
            "calls": self.calls,
            "stopped": len(self.stopped),
            "worst_second": self.worst_second(),
            "rate": self.rate(),
            "throttled": self.throttled,
            "queries": len(self.queries),
            "by_code": self.by_code,
            "by_fault": self.by_fault,
        }
