"""When bad ends of tasks stop the calls: too many of them, or one among the first that are sent alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from stopcast.checks import check_number, check_whole_number
from stopcast.errors import CanaryError, ConfigurationError, TooManyFailuresError
from stopcast.marking import N_
from stopcast.tasks.outcome import Outcome, Status

_BAD: Final = frozenset({Status.FAILED, Status.GAVE_UP})
#: For one task, and for several.
_CANARY_FAILED: Final = {
    Status.FAILED: (
        N_("canary failed: {task} was refused ({reason}). Nothing beyond the first task was sent"),
        N_("canary failed: {task} was refused ({reason}). Nothing beyond the first {tasks:,} tasks was sent"),
    ),
    Status.SET_ASIDE: (
        N_("canary failed: {task} was set aside ({reason}). Nothing beyond the first task was sent"),
        N_("canary failed: {task} was set aside ({reason}). Nothing beyond the first {tasks:,} tasks was sent"),
    ),
    Status.GAVE_UP: (
        N_("canary failed: {task} was given up ({reason}). Nothing beyond the first task was sent"),
        N_("canary failed: {task} was given up ({reason}). Nothing beyond the first {tasks:,} tasks was sent"),
    ),
}
_CANARY_NOT_GOOD: Final = (
    N_("canary failed: {task} is {status} ({reason}). Nothing beyond the first task was sent"),
    N_("canary failed: {task} is {status} ({reason}). Nothing beyond the first {tasks:,} tasks was sent"),
)
_MOST_TASKS: Final = 1_000_000_000
_FORM: Final = re.compile(r"(?a:(?P<tasks>\d{1,40})|(?P<percent>\d{1,3}(\.\d+)?)\s*%)")


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltAfter:
    """How many tasks may end badly, as ``failed`` or ``gave_up``, before no further one is sent.

    Attributes:
        tasks: this number of bad ends stops the calls; None for no such number.
        share: this share of the tasks that have ended, from 0 to 1, stops the calls; None for no such share.
        sample: how many tasks must have ended before the share counts.

    Raises:
        ConfigurationError: a number below 1, or a share outside 0 to 1.
    """

    tasks: int | None = None
    share: float | None = None
    sample: int = 100

    def __post_init__(self) -> None:
        if self.tasks is not None:
            check_whole_number("tasks", self.tasks, least=1)
        if self.share is not None:
            check_number("share", self.share)
        check_whole_number("sample", self.sample, least=1)
        if self.share is not None and not 0 < self.share <= 1:
            raise ConfigurationError("halting after a share takes more than 0 and at most 100 %")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "50" (tasks) or "2.5%" (of them).

        Raises:
            ConfigurationError: the text is neither.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ConfigurationError(f"{text!r} is neither a number of tasks nor a percentage such as 5%")
        if match["tasks"]:
            if int(match["tasks"]) > _MOST_TASKS:
                raise ConfigurationError(f"{text} is too large: name at most {_MOST_TASKS:,} tasks")
            return cls(tasks=int(match["tasks"]))
        return cls(share=float(match["percent"]) / 100)


class Failures:
    """Counts the tasks that ended badly, among those that were sent."""

    def __init__(self, halt_after: HaltAfter) -> None:
        self._halt_after = halt_after
        self._ended = 0
        self._bad = 0
        self._reasons: Counter[str] = Counter()

    def counting(
        self, deliver: Callable[[Outcome], None], on_too_many: Callable[[TooManyFailuresError], None]
    ) -> Callable[[Outcome], None]:
        """Return ``deliver``, followed by counting the outcome."""

        def deliver_and_count(outcome: Outcome) -> None:
            deliver(outcome)
            if (error := self.count(outcome)) is not None:
                on_too_many(error)

        return deliver_and_count

    def count(self, outcome: Outcome) -> TooManyFailuresError | None:
        """Count an outcome, and return the error if it was one too many.

        Rows that were not sent do not count. "No such running task" is a good end.
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
        if self._ended == 1:
            return TooManyFailuresError(f"the first task ended badly, too many to go on: {reason}")
        if number == 1:
            return TooManyFailuresError(
                f"{self._bad:,} of {self._ended:,} tasks ended badly, too many to go on. For example: {reason}"
            )
        return TooManyFailuresError(
            f"{self._bad:,} of {self._ended:,} tasks ended badly, too many to go on. "
            f"Most often, {number:,} times: {reason}"
        )


class Canary:
    """The first tasks of a run, which are sent alone. The others follow only if each of these ends well.

    Args:
        tasks: how many they are.

    Attributes:
        left: how many of them have no outcome yet.
    """

    def __init__(self, tasks: int) -> None:
        self._tasks = self.left = tasks
        self._on_passed: Callable[[int], object] = lambda _tasks: None

    def when_passed(self, act: Callable[[int], object]) -> None:
        """Call ``act`` with the number of tasks when all of them have ended well."""
        self._on_passed = act

    def count(self, outcome: Outcome) -> CanaryError | None:
        """Count an outcome, and return the error if it is not good."""
        if not self.left or outcome.status in {Status.INVALID, Status.DUPLICATE, Status.EXCLUDED}:
            return None
        self.left -= 1
        if outcome.good:
            if not self.left:
                self._on_passed(self._tasks)
            return None
        for_one, for_several = _CANARY_FAILED.get(outcome.status, _CANARY_NOT_GOOD)
        template = for_one if self._tasks == 1 else for_several
        return CanaryError(
            template.format(
                task="/".join(outcome.task),
                status=outcome.status,
                reason=outcome.code or outcome.message,
                tasks=self._tasks,
            )
        )
