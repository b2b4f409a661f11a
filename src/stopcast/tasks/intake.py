"""What becomes of a row before anything is sent: checked, told apart from earlier ones, held against an earlier report.

Batches flow in; tasks to stop, and rows that have their outcome already, flow out. Pure: the time is an argument. Where
the batches were cut makes no difference, so a second pass over the same lists comes to the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, compress, repeat
from operator import not_
from typing import Any, Final, NamedTuple

from stopcast.tasks.checks import good_keys, shown_task, why_bad
from stopcast.tasks.identities import Identities, identities_of, told_identity
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import OTHERS, Batch, RowColumns, Task

_APPS_COUNTED: Final = 1000
_DOUBLE: Final = "the same task as an earlier row"
_NO_TASK: Final = Task("", "", "")


class Accepted(NamedTuple):
    """A task to stop, its identity and its row, and whether a call that a crash cut off may have stopped it already."""

    task: Task
    identity: bytes
    source: str | None
    line: int | None
    in_doubt: bool


class Taken(NamedTuple):
    """What a batch came to: tasks to stop, and rows that have their outcome."""

    accepted: list[Accepted]
    outcomes: list[Outcome]


# Task._make and Accepted._make without their Python frames, which are half the cost of each.
_task: Final[Callable[[Iterable[Any]], Task]] = partial(tuple.__new__, Task)
_accepted: Final[Callable[[Iterable[Any]], Accepted]] = partial(tuple.__new__, Accepted)


@dataclass(slots=True)
class Earlier:
    """What a report tells already when a run goes on with it; an Intake only reads it.

    Attributes:
        settled: tasks that are not sent again.
        told: how many lines it has for each invalid row and each double, by ``told_identity``.
        in_doubt: tasks whose call may have been in flight when the earlier run ended.
    """

    settled: Identities = field(default_factory=Identities)
    told: Counter[bytes] = field(default_factory=Counter)
    in_doubt: Identities = field(default_factory=Identities)

    def __bool__(self) -> bool:
        return bool(self.settled or self.told or self.in_doubt)


class Intake:
    """Takes the rows of a run's lists, in their order.

    Args:
        limit: take only the first so many tasks, those counted that ``earlier`` settles. None takes all.
        earlier: what the report tells that the run goes on with.

    Attributes:
        tasks: to be sent.
        settled: tasks that the report settles.
        told_earlier: invalid rows and doubles that the report tells already.
        invalid: further rows that name no task.
        duplicates: further rows that name the task of an earlier row.
        left_out: rows that a list which is itself a report says need nothing.
        too_old: rows that such a list says were finished too long ago.
        per_app: tasks to be sent by AppId, for the first thousand of them and ``OTHERS``.
    """

    def __init__(self, *, limit: int | None = None, earlier: Earlier | None = None) -> None:
        self.tasks = self.settled = self.told_earlier = self.invalid = self.duplicates = self.left_out = (
            self.too_old
        ) = 0
        self.per_app: Counter[str] = Counter()
        self._limit = limit
        self._earlier = Earlier() if earlier is None else earlier
        self._told_again: Counter[bytes] = Counter()
        self._seen = Identities()

    @property
    def rows(self) -> int:
        """The rows that were looked at, each as one of five things; those left out or too old are not among them."""
        return self.tasks + self.settled + self.told_earlier + self.invalid + self.duplicates

    @property
    def full(self) -> bool:
        """Whether the limit is reached: what follows is not looked at, and has no line."""
        return self._limit is not None and self.tasks + self.settled >= self._limit

    def as_json(self) -> dict[str, Any]:
        """Return the counts as a program is shown them."""
        return {
            "rows": self.rows,
            "tasks": self.tasks,
            "settled": self.settled,
            "told_earlier": self.told_earlier,
            "invalid": self.invalid,
            "duplicates": self.duplicates,
            "left_out": self.left_out,
            "per_app": dict(self.per_app.most_common()),
        }

    def take(self, batch: Batch, now: float) -> Taken:
        """Decide about the rows of a batch; ``now`` is the Unix time in seconds."""
        if self.full:
            return Taken([], [])
        self.left_out += batch.left_out
        self.too_old += batch.too_old
        rows, broken = RowColumns.of(batch.rows), batch.broken
        digests, new = self._tell_apart(good_keys(rows), apart=batch.told_apart)
        if self._limit is not None and new.count(True) >= (left := self._limit - self.tasks - self.settled):
            end = list(accumulate(map(int, new))).index(left) + 1
            broken = [row for row in broken if row.line < rows.lines[end - 1]]
            rows, digests, new = rows[:end], digests[:end], new[:end]
        accepted = self._accept(rows, digests, new, batch)
        ended = partial(Outcome, source=batch.source, finished_at=now)
        outcomes = []
        for place in compress(range(len(new)), map(not_, new)):
            row = rows[place]
            if digests[place]:
                outcomes.append(ended(_task(row[:3]), Status.DUPLICATE, message=_DOUBLE, line=row.line))
            else:
                outcomes.append(ended(shown_task(row), Status.INVALID, message=why_bad(row), line=row.line))
        outcomes += [ended(_NO_TASK, Status.INVALID, message=row.reason, line=row.line) for row in broken]
        return Taken(accepted, [outcome for outcome in outcomes if not self._is_told(outcome)])

    def _tell_apart(self, keys: Sequence[bytes], *, apart: bool) -> tuple[list[bytes], list[bool]]:
        """Return each row's identity, b"" for one that is not good, and whether it is the first of its task.

        Rows that are ``apart`` already are not remembered: a queue has no end.
        """
        digests = identities_of(filter(None, keys))
        new = [True] * len(digests) if apart else self._seen.add_all(digests)
        if len(digests) < len(keys):
            for place in [place for place, key in enumerate(keys) if not key]:
                digests.insert(place, b"")
                new.insert(place, False)
        return digests, new

    def _accept(self, rows: RowColumns, digests: list[bytes], new: list[bool], batch: Batch) -> list[Accepted]:
        """Count and return the new tasks that the report does not settle. By columns, because that is done in C."""
        earlier, wanted = self._earlier, new
        # repeat() has no end, and so nothing here is as long as anything else.
        doubts: Iterable[bool] = repeat(False) if batch.in_doubt is None else batch.in_doubt
        if earlier:
            wanted = [is_new and digest not in earlier.settled for digest, is_new in zip(digests, new, strict=True)]
            doubts = [
                doubt or (is_new and digest in earlier.in_doubt)
                for digest, is_new, doubt in zip(digests, new, doubts, strict=False)
            ]
        tasks = map(_task, zip(*rows.ids, strict=True))
        accepted = map(_accepted, zip(tasks, digests, repeat(batch.source), rows.lines, doubts, strict=False))
        number = wanted.count(True)
        self.tasks += number
        self.settled += new.count(True) - number
        self._count_apps(compress(rows.ids[0], wanted))
        return list(compress(accepted, wanted))

    def _is_told(self, outcome: Outcome) -> bool:
        told = self._earlier.told
        if told:
            digest = told_identity(outcome.status, outcome.task, outcome.message)
            if self._told_again[digest] < told[digest]:
                self._told_again[digest] += 1
                self.told_earlier += 1
                return True
        if outcome.status is Status.INVALID:
            self.invalid += 1
        else:
            self.duplicates += 1
        return False

    def _count_apps(self, app_ids: Iterable[Any]) -> None:
        for app_id, number in Counter(app_ids).items():
            known = app_id in self.per_app or len(self.per_app) < _APPS_COUNTED
            self.per_app[app_id if known else OTHERS] += number
