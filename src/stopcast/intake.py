"""What becomes of a row before anything is sent: checked, told apart from earlier ones, held against an earlier report.

Batches flow in; tasks to stop and outcomes that are settled already flow out. Pure: the time is an argument.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from stopcast.identities import Identities, identity, told_identity
from stopcast.outcome import Outcome, Status
from stopcast.task import ID_PATTERN, Batch, Task

#: Under which name ``Intake.per_app`` counts the tasks of all further AppIds. No AppId has parentheses.
OTHERS: Final = "(others)"
_APPS_COUNTED: Final = 1000
#: No id holds a comma, so one match tells that all three are well formed.
_THREE_IDS: Final = re.compile(",".join([ID_PATTERN.pattern] * 3))


class Accepted(NamedTuple):
    """A task to stop, the row it came from, and whether a call that a crash cut off may have stopped it already."""

    task: Task
    source: str | None
    line: int | None
    in_doubt: bool


class Taken(NamedTuple):
    """What a batch came to: tasks to stop, and rows that have their outcome already."""

    accepted: list[Accepted]
    outcomes: list[Outcome]


@dataclass(slots=True)
class Earlier:
    """What a resumed report tells already.

    Attributes:
        settled: tasks that need nothing more.
        told: lines for invalid rows and doubles, by ``told_identity``, and how many of each.
        in_doubt: tasks whose call a crash may have cut off.
    """

    settled: Identities = field(default_factory=Identities)
    told: Counter[bytes] = field(default_factory=Counter)
    in_doubt: Identities = field(default_factory=Identities)


class Intake:
    """Checks rows and tells doubles apart, for one pass over the lists.

    Args:
        limit: take only the first so many tasks, those included that an earlier run settled.
        earlier: what a resumed report tells.

    Attributes:
        rows: rows seen, the broken ones among them.
        tasks: tasks accepted.
        invalid: rows that are no task.
        duplicates: rows whose task stood in an earlier row.
        settled: rows whose task the report settles.
        told_earlier: invalid rows and doubles that have their line in the report.
        left_out: rows that their own list says need nothing.
        per_app: tasks accepted by AppId, the first 1000 AppIds by name.
    """

    def __init__(self, *, limit: int | None = None, earlier: Earlier | None = None) -> None:
        self._limit = limit
        self._earlier = earlier or Earlier()
        self._told = Counter(self._earlier.told)
        self._seen = Identities()
        self.rows = 0
        self.tasks = 0
        self.invalid = 0
        self.duplicates = 0
        self.settled = 0
        self.told_earlier = 0
        self.left_out = 0
        self.per_app: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        """Whether the limit is reached: no further row is looked at."""
        return self._limit is not None and len(self._seen) >= self._limit

    def take(self, batch: Batch, now: float) -> Taken:
        """Take rows in; ``now`` is the Unix time that settled outcomes carry."""
        self.left_out += batch.left_out
        accepted: list[Accepted] = []
        outcomes: list[Outcome] = []
        outcome = partial(Outcome, source=batch.source, finished_at=now)
        for row in batch.rows:
            if self.full:
                return Taken(accepted, outcomes)
            self.rows += 1
            values = row[:3]
            try:
                key = ",".join(values)  # type: ignore[arg-type]  # what is no string is caught
            except TypeError:
                key = ""
            if _THREE_IDS.fullmatch(key) is None:
                self._refuse(outcome(_shown(values), Status.INVALID, message=_reason(values), line=row.line), outcomes)
                continue
            digest = identity(key)
            task = Task(*values)  # type: ignore[arg-type]  # three strings, as they have been joined
            if not self._seen.add(digest):
                if self._told_already(digest):
                    continue
                self.duplicates += 1
                outcomes.append(outcome(task, Status.DUPLICATE, message=_DOUBLE, line=row.line))
            elif digest in self._earlier.settled:
                self.settled += 1
            else:
                self.tasks += 1
                known = task.app_id in self.per_app or len(self.per_app) < _APPS_COUNTED
                self.per_app[task.app_id if known else OTHERS] += 1
                accepted.append(Accepted(task, batch.source, row.line, digest in self._earlier.in_doubt))
        for broken in batch.broken:
            self.rows += 1
            self._refuse(outcome(_NO_TASK, Status.INVALID, message=broken.reason, line=broken.line), outcomes)
        return Taken(accepted, outcomes)

    def _refuse(self, outcome: Outcome, outcomes: list[Outcome]) -> None:
        if not self._told_already(told_identity(outcome.status, outcome.task, outcome.message)):
            self.invalid += 1
            outcomes.append(outcome)

    def _told_already(self, digest: bytes) -> bool:
        if not self._told[digest]:
            return False
        self._told[digest] -= 1
        self.told_earlier += 1
        return True

    def as_json(self) -> dict[str, Any]:
        """Return the counts as the object that ``--dry-run --json`` prints."""
        return {
            "rows": self.rows,
            "tasks": self.tasks,
            "duplicates": self.duplicates,
            "invalid": self.invalid,
            "settled_earlier": self.settled,
            "left_out": self.left_out,
            "per_app": dict(self.per_app),
        }


_DOUBLE: Final = "the same task as an earlier row"
_NO_TASK: Final = Task("", "", "")
_NAMES: Final = ("AppId", "RoomId", "TaskId")
_LONGEST_ID: Final = 128
_SHOWN_LENGTH: Final = 256
_EXCERPT_LENGTH: Final = 40


def _shown(values: Sequence[object]) -> Task:
    """Return the values as far as they are strings, and no longer than a report should have to hold."""
    texts = (value if isinstance(value, str) else "" for value in values)
    return Task(*(text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "\u2026" for text in texts))


def _reason(values: Sequence[object]) -> str:
    """Return what is wrong with the first value that is no id."""
    for name, value in zip(_NAMES, values, strict=True):
        if value is None or value == "":
            return f"{name} is missing"
        if not isinstance(value, str):
            return f"{name} is no string: {_excerpt(repr(value))}"
        if len(value) > _LONGEST_ID:
            return f"{name} has {len(value)} characters, more than {_LONGEST_ID}: {_excerpt(repr(value))}"
        if ID_PATTERN.fullmatch(value) is None:
            return f"{name} has a character that no id may have: {_excerpt(repr(value))}"
    return "no task"


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT_LENGTH else text[:_EXCERPT_LENGTH] + "\u2026"
