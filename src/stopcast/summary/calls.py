"""The calls of one kind, stop or verify: their number, their durations and their course over time."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from stopcast.summary.latency import Durations
from stopcast.summary.timeline import Timeline
from stopcast.tasks.outcome import ASKED, Status

#: A task with more attempts is counted with this many.
MOST_ATTEMPTS: Final = 100
_YEAR_SECONDS: Final = 366 * 86400


class Kind(StrEnum):
    """What a call asks of the API: to stop a task, or whether it has ended. Each kind has a quota of its own."""

    STOP = "stop"
    VERIFY = "verify"

    @classmethod
    def of(cls, status: Status) -> Kind:
        """Return the kind of the calls that end with a status."""
        return cls.VERIFY if status in ASKED else cls.STOP


class CallFigures:
    """Counts the calls of the lines that it is given.

    Attributes:
        calls: the number of attempts.
        attempts: the number of lines whose task was sent, by their number of attempts.
        one_call: the durations of those that took one call.
        more_calls: the durations of those that took more, from the first call to the end, waits included.
        timeline: calls and ended tasks over time.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.attempts: Counter[int] = Counter()
        self.one_call = Durations()
        self.more_calls = Durations()
        self.timeline = Timeline()
        self._second = ""
        self._second_ms: int | None = None

    @property
    def sent(self) -> int:
        """The number of lines whose task was sent."""
        return self.attempts.total()

    @property
    def retries(self) -> int:
        """The number of attempts after the first."""
        return self.calls - self.sent

    def add(self, values: dict[str, Any], attempts: int) -> None:
        """Count a line whose task was sent."""
        self.calls += attempts
        self.attempts[min(attempts, MOST_ATTEMPTS)] += 1
        took = values.get("seconds")
        ended_ms = self._moment_ms(values.get("finished_at"))
        if ended_ms is None or not isinstance(took, int | float) or not 0 <= took < _YEAR_SECONDS:
            return
        took_ms = round(took * 1000)
        (self.one_call if attempts == 1 else self.more_calls).add(took_ms)
        self.timeline.add(ended_ms, took_ms, values["status"], attempts)

    def _moment_ms(self, text: object) -> int | None:
        """Return Unix time in milliseconds; None for anything but a time as a report has it."""
        if not isinstance(text, str):
            return None
        second = text[:19]
        if second != self._second:
            # Most lines have the same second as the line before.
            self._second = second
            try:
                self._second_ms = int(datetime.fromisoformat(f"{second}+00:00").timestamp()) * 1000
            except ValueError:
                self._second_ms = None
        rest = text[20:23]
        if self._second_ms is None or not (rest.isascii() and rest.isdigit()):
            return None
        return self._second_ms + int(rest)
