"""When so many tasks end badly that the next ones had better wait for somebody to look."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final, Self

from stopcast.errors import ConfigurationError, TooManyFailuresError
from stopcast.tasks.outcome import Outcome, Status

_BAD: Final = frozenset({Status.FAILED, Status.GAVE_UP})
_FORM: Final = re.compile(r"(?a:(?P<tasks>\d{1,18})|(?P<percent>\d{1,3}(\.\d+)?)\s*%)")


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltAfter:
    """How many tasks may end badly, as ``failed`` or ``gave_up``, before no further one is sent.

    Attributes:
        tasks: so many of them are too many; None for any number.
        share: this share of the tasks that have ended, 0 to 1, is too large; None for any share.
        sample: ended tasks without which a share says nothing.

    Raises:
        ConfigurationError: a number that would halt before the first task, or a share that is none.
    """

    tasks: int | None = None
    share: float | None = None
    sample: int = 100

    def __post_init__(self) -> None:
        if self.tasks is not None and self.tasks < 1:
            raise ConfigurationError("halting after 0 tasks would send none")
        if (self.share is not None and not 0 < self.share <= 1) or self.sample < 1:
            raise ConfigurationError("halting after a share takes more than 0 and at most 100 %, of 1 task or more")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read it as people write it: "50" tasks, "2.5%" of them.

        Raises:
            ConfigurationError: it is neither.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ConfigurationError(f"{text!r} is neither a number of tasks nor a percentage such as 5%")
        if match["tasks"]:
            return cls(tasks=int(match["tasks"]))
        return cls(share=float(match["percent"]) / 100)


class Failures:
    """Counts the tasks that ended badly, among those that were sent."""

    def __init__(self, halt_after: HaltAfter) -> None:
        self._halt_after = halt_after
        self._ended = 0
        self._bad = 0
        self._reasons: Counter[str] = Counter()

    def count(self, outcome: Outcome) -> TooManyFailuresError | None:
        """Take note of an outcome, and return the error if that was one too many.

        Rows that were not sent say nothing of how the calls fare; "no such running task" is a good end.
        """
        if not outcome.attempts:
            return None
        self._ended += 1
        if outcome.status not in _BAD:
            return None
        self._bad += 1
        self._reasons[outcome.code or outcome.message or "no reason given"] += 1
        return self._error() if self._too_many() else None

    def _too_many(self) -> bool:
        limit = self._halt_after
        if limit.tasks is not None and self._bad >= limit.tasks:
            return True
        return limit.share is not None and self._ended >= limit.sample and self._bad >= limit.share * self._ended

    def _error(self) -> TooManyFailuresError:
        ((reason, number),) = self._reasons.most_common(1)
        return TooManyFailuresError(
            f"{self._bad:,} of {self._ended:,} tasks ended badly, too many to go on. "
            f"Most often, {number:,} times: {reason}"
        )
