"""The calls of one kind, stop or verify: their number, their durations and their course over time.

An attempt without a connection is no call: nothing was sent in it, and it does not count towards the cap.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from stopcast.report.line import ASKED_ABOUT
from stopcast.summary.latency import Durations
from stopcast.summary.samples import unsent_of
from stopcast.summary.timeline import Timeline
from stopcast.tasks.outcome import ASKED

#: A task with more attempts is counted with this many.
_MOST_ATTEMPTS: Final = 100
_YEAR_SECONDS: Final = 366 * 86400


class Kind(StrEnum):
    """What a call asks of the API: to stop a task, or whether it has ended. Each kind has a quota of its own."""

    STOP = "stop"
    VERIFY = "verify"

    @classmethod
    def of(cls, values: dict[str, Any]) -> Kind:
        """Return the kind of the calls that a line is about."""
        return cls.VERIFY if values.get(ASKED_ABOUT) is True or values["status"] in ASKED else cls.STOP


class CallFigures:
    """Counts the calls of the lines that it is given.

    Attributes:
        calls: the number of attempts in which the API may have been called.
        unsent: the number of attempts without a connection.
        attempts: the number of lines whose task was tried, by their number of attempts.
        calls_for_task: the number of lines whose task was sent, by their number of calls.
        retries: the number of calls whose time a report does not record: those after a task's first, and all calls of
            a task with an attempt that had no connection.
        one_call: the durations of tasks that took one call, and no other attempt.
        more_calls: the durations of the other tasks that were sent, from the first attempt to the end, waits included.
        timeline: calls and ended tasks over time.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.unsent = 0
        self.attempts: Counter[int] = Counter()
        self.calls_for_task: Counter[int] = Counter()
        self.retries = 0
        self.one_call = Durations()
        self.more_calls = Durations()
        self.timeline = Timeline()
        self._second = ""
        self._second_ms: int | None = None

    @property
    def tried(self) -> int:
        """The number of lines whose task was tried."""
        return self.attempts.total()

    @property
    def sent(self) -> int:
        """The number of lines whose task was sent."""
        return self.calls_for_task.total()

    def add(self, values: dict[str, Any], attempts: int) -> None:
        """Count a line whose task was tried."""
        unsent = unsent_of(values, attempts)
        calls = attempts - unsent
        self.calls += calls
        self.unsent += unsent
        self.retries += calls if unsent else calls - 1
        self.attempts[min(attempts, _MOST_ATTEMPTS)] += 1
        if calls:
            self.calls_for_task[min(calls, _MOST_ATTEMPTS)] += 1
        took = values.get("seconds")
        ended_ms = self._moment_ms(values.get("finished_at"))
        if ended_ms is None or not isinstance(took, int | float) or not 0 <= took < _YEAR_SECONDS:
            return
        took_ms = round(took * 1000)
        if calls:
            (self.one_call if attempts == 1 else self.more_calls).add(took_ms)
        self.timeline.add(ended_ms, took_ms, values["status"], attempts=attempts, calls=calls)

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
