"""What the emulator records about its calls, for tests and for its command."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import KeysView
from typing import Any

from stopcast.tasks.task import Task


class Records:
    """The calls that arrived, and their results.

    Attributes:
        arrivals: monotonic time of every call of StopWebcast, whatever its answer.
        queries: the same for GetWebCastTask.
        by_code: counts the API's answers by error code, or "ok".
        by_fault: counts the faults that were simulated, by name.
        throttled: calls that were refused because of the quota.
    """

    def __init__(self) -> None:
        self.arrivals, self.queries = array("d"), array("d")
        self.by_code, self.by_fault, self.throttled = Counter[str](), Counter[str](), 0
        #: The stopped tasks with the time of their stop, Unix time in seconds.
        self._stopped: dict[Task, float] = {}

    @property
    def calls(self) -> int:
        """The number of calls of StopWebcast."""
        return len(self.arrivals)

    @property
    def stopped(self) -> KeysView[Task]:
        """The stopped tasks in the order of their stops. Can be compared with a set."""
        return self._stopped.keys()

    def worst_second(self) -> int:
        """Return the most calls that arrived in any second (its end excluded)."""
        worst = first = 0
        for last, arrived in enumerate(self.arrivals):
            while arrived - self.arrivals[first] >= 1:
                first += 1
            worst = max(worst, last - first + 1)
        return worst

    def rate(self) -> float:
        """Return the mean number of calls a second, from the first arrival to the last: at most the worst second's."""
        span = self.arrivals[-1] - self.arrivals[0] if self.arrivals else 0.0
        return min((len(self.arrivals) - 1) / span, self.worst_second()) if span else 0.0

    def stats(self) -> dict[str, Any]:
        """Return the figures for ``GET /stats``."""
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
