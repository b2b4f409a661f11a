"""What is known about a row before anything is sent: whether it names a task, a new one, and one that is not settled.

Pure: the time is an argument. It makes no difference where the batches were cut, so that a second pass over the same
lists gives the same result.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from operator import or_
from typing import Any, Final, NamedTuple

from stopcast.making import all_of
from stopcast.marking import N_
from stopcast.tasks.checks import good_keys, rounded, shown_task, why_bad
from stopcast.tasks.identities import Identities, IdentityNumbers, identities_of, place_fingerprint, row_fingerprint
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.settled import AlreadySettled
from stopcast.tasks.task import NO_TASK, OTHERS, Batch, BrokenRow, RawRow, RowColumns, Task

_APPS_COUNTED: Final = 1000
_DUPLICATE: Final = N_("the same task as an earlier row")
_EXCLUDED: Final = N_("--except names this task")


class Accepted(NamedTuple):
    """A task to stop, its identity and its row, and whether a call that a crash cut off may have stopped it."""

    task: Task
    identity: bytes
    source: str | None
    line: int | None
    in_doubt: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """The rows of a batch: tasks to stop, and rows that have their outcome.

    Attributes:
        outcomes: of the rows that are not sent and have no line yet.
        places: where in ``batch`` the tasks to stop are.
        identities: of all rows of the batch.
        in_doubt: of all rows of the batch.
    """

    batch: Batch
    outcomes: Sequence[Outcome] = ()
    places: Sequence[int] = ()
    identities: Sequence[bytes] = ()
    in_doubt: Sequence[bool] | None = None

    @property
    def accepted(self) -> list[Accepted]:
        """The tasks to stop. They are made here, because a caller that only counts the rows does not need them."""
        rows = RowColumns.of(self.batch.rows)
        doubts = bytes(len(rows)) if self.in_doubt is None else self.in_doubt
        columns: Sequence[Sequence[Any]] = (*rows.ids, self.identities, rows.lines, doubts)
        if len(self.places) < len(rows):
            columns = [[column[place] for place in self.places] for column in columns]
        app_ids, room_ids, task_ids, identities, lines, doubts = columns
        tasks = all_of(Task, zip(app_ids, room_ids, task_ids, strict=True))
        sources = repeat(self.batch.source, len(self.places))
        return list(all_of(Accepted, zip(tasks, identities, sources, lines, map(bool, doubts), strict=True)))


class _Decided(NamedTuple):
    """What becomes of the rows of a batch.

    Attributes:
        places: where the tasks to send are.
        not_sent: outcomes of duplicates and of invalid rows.
        excluded: outcomes of tasks that are never sent.
        broken: rows that could not be read, up to the limit.
    """

    places: Any
    not_sent: list[Outcome]
    excluded: list[Outcome]
    broken: Sequence[BrokenRow]


class Intake:
    """Takes the rows of a run's lists, in their order.

    Args:
        limit: how many tasks to take, those that ``settled`` settles included. None takes all.
        settled: what the report says that the run continues with.
        excluded: identities of tasks that are never sent, whatever the lists say.

    Attributes:
        tasks: tasks to send.
        settled: tasks that the report settles.
        reported_earlier: invalid rows and duplicates that are in the report already.
        invalid: further rows that name no task.
        duplicates: further rows that name the task of an earlier row.
        excluded: further rows whose task is never sent.
        corrected: places of the report's invalid rows where a row now names a task, by ``place_fingerprint``.
        reported_again: how many of the report's lines about rows that are not sent were met, by ``row_fingerprint``.
        left_out: rows that a list which is itself a report says need nothing.
        not_chosen: rows of ``left_out`` that have another status than those the user asked for.
        numbers: rows of spreadsheets whose ids are numbers, so that leading zeros may be gone.
        rounded: rows with an id such as 1001.0, which a program may have made of 1001.
        too_old: rows that such a list says were finished too long ago.
        per_app: tasks to send by AppId, for the first thousand of them and ``OTHERS``.
    """

    def __init__(
        self,
        *,
        limit: int | None = None,
        settled: AlreadySettled | None = None,
        excluded: Container[bytes] = frozenset(),
    ) -> None:
        self.tasks = self.settled = self.reported_earlier = self.invalid = self.duplicates = self.excluded = 0
        self.left_out = self.too_old = 0
        self.per_app: Counter[str] = Counter()
        self.not_chosen = self.numbers = self.rounded = 0
        self._limit = sys.maxsize if limit is None else limit
        self._known = AlreadySettled() if settled is None else settled
        self._never_sent = excluded
        self.corrected = Identities()
        self.reported_again = IdentityNumbers()
        self._seen = Identities()

    @property
    def rows(self) -> int:
        """The rows that were taken, each as one of six kinds; those left out or too old are not among them."""
        return self.tasks + self.settled + self.reported_earlier + self.invalid + self.duplicates + self.excluded

    @property
    def full(self) -> bool:
        """Whether the limit is reached: the rows that follow are not taken, and have no line."""
        return self._room <= 0

    @property
    def _room(self) -> int:
        return self._limit - self.tasks - self.settled - self.excluded

    def as_json(self) -> dict[str, Any]:
        """Return the counts as a program reads them."""
        return {
            "rows": self.rows,
            "tasks": self.tasks,
            "settled": self.settled,
            "told_earlier": self.reported_earlier,
            "invalid": self.invalid,
            "duplicates": self.duplicates,
            "excluded": self.excluded,
            "left_out": self.left_out,
            "per_app": dict(self.per_app.most_common()),
        }

    def take(self, batch: Batch, now: float) -> Taken:
        """Decide about the rows of a batch; ``now`` is the Unix time in seconds."""
        if self.full:
            return Taken(batch)
        self.left_out += batch.left_out
        self.too_old += batch.too_old
        self.not_chosen += batch.not_chosen
        self.numbers += batch.numbers
        rows = RowColumns.of(batch.rows)
        keys = good_keys(rows)
        self.rounded += rounded(keys)
        identities, are_new = self._deduplicated(keys, already_unique=batch.already_unique)
        flags = self._flags(identities, are_new)
        ended = partial(Outcome, source=batch.source, finished_at=now)
        # Of most batches every row is sent, and to decide about each would be a tenth of the time that a row takes.
        if all(are_new) and len(rows) < self._room and not self._known and not self._never_sent:
            decided = _Decided(range(len(rows)), [], [], batch.broken)
        else:
            decided = self._decide(rows, zip(identities, are_new, flags, strict=True), batch.broken, ended)
        places, not_sent, excluded, broken = decided
        not_sent += [ended(NO_TASK, Status.INVALID, message=row.reason, line=row.line) for row in broken]
        app_ids: Any = rows.ids[0]
        self._count_apps(app_ids if len(places) == len(rows) else [app_ids[place] for place in places])
        self.tasks += len(places)
        self.excluded += len(excluded)
        if batch.source in self._known.invalid_sources:
            self._find_corrected(batch.source, rows.lines, identities)
        outcomes = excluded + [outcome for outcome in not_sent if not self._is_reported(outcome)]
        return Taken(batch, outcomes, places, identities, self._doubts(batch, flags))

    def _decide(
        self,
        rows: RowColumns,
        known: Iterable[tuple[bytes, bool, int]],
        broken: Sequence[BrokenRow],
        ended: Callable[..., Outcome],
    ) -> _Decided:
        """Decide about each row, until the limit is reached.

        Args:
            rows: of a batch.
            known: of each row its identity, whether it is the first of its task, and its flags.
            broken: the rows of the batch that could not be read.
            ended: makes an outcome.
        """
        decided = _Decided([], [], [], broken)
        room = self._room
        for place, (digest, is_new, flag) in enumerate(known):
            line = rows.lines[place]
            if not is_new:
                row = rows[place]
                decided.not_sent.append(
                    ended(_task(row), Status.DUPLICATE, message=_DUPLICATE, line=line)
                    if digest
                    else ended(shown_task(row), Status.INVALID, message=why_bad(row), line=line)
                )
                continue
            if flag & AlreadySettled.SETTLED:
                self.settled += 1
            elif digest in self._never_sent:
                decided.excluded.append(ended(_task(rows[place]), Status.EXCLUDED, message=_EXCLUDED, line=line))
            else:
                decided.places.append(place)
            room -= 1
            if not room:
                return decided._replace(broken=[row for row in broken if row.line < line])
        return decided

    def _find_corrected(self, source: str | None, lines: Sequence[int], identities: Sequence[bytes]) -> None:
        places = (place_fingerprint(source, line) for line, digest in zip(lines, identities, strict=True) if digest)
        self.corrected.add_all([place for place in places if self._known.invalid_places[place]])

    def _deduplicated(self, keys: Sequence[bytes], *, already_unique: bool) -> tuple[list[bytes], list[bool]]:
        """Return each row's identity, b"" for an invalid row, and whether it is the first row of its task.

        Rows that are unique already are not remembered: a queue has no end.
        """
        identities = identities_of(filter(None, keys))
        are_new = [True] * len(identities) if already_unique else self._seen.add_all(identities)
        if len(identities) < len(keys):
            for place in [place for place, key in enumerate(keys) if not key]:
                identities.insert(place, b"")
                are_new.insert(place, False)
        return identities, are_new

    def _flags(self, identities: Sequence[bytes], are_new: Sequence[bool]) -> Sequence[int]:
        """Return the flags that the report has for each row that is the first of its task, 0 for the other rows."""
        if not self._known:
            return bytes(len(identities))
        tasks = self._known.tasks
        return [tasks[digest] if is_new else 0 for digest, is_new in zip(identities, are_new, strict=True)]

    def _doubts(self, batch: Batch, flags: Sequence[int]) -> Sequence[bool] | None:
        if not self._known:
            return batch.in_doubt
        doubts = [self._known.all_in_doubt or flag & AlreadySettled.IN_DOUBT > 0 for flag in flags]
        return doubts if batch.in_doubt is None else list(map(or_, doubts, batch.in_doubt))

    def _is_reported(self, outcome: Outcome) -> bool:
        """Count the row, and return whether the report has a line for it already."""
        if rows := self._known.rows:
            fingerprint = row_fingerprint(outcome.status, outcome.task, outcome.message)
            if self.reported_again[fingerprint] < rows[fingerprint]:
                self.reported_again[fingerprint] += 1
                self.reported_earlier += 1
                return True
        if outcome.status is Status.INVALID:
            self.invalid += 1
        else:
            self.duplicates += 1
        return False

    def _count_apps(self, app_ids: Iterable[str]) -> None:
        for app_id, number in Counter(app_ids).items():
            known = app_id in self.per_app or len(self.per_app) < _APPS_COUNTED
            self.per_app[app_id if known else OTHERS] += number


def _task(row: RawRow) -> Task:
    """Return the task of a row that was checked."""
    return Task(*row[:3])  # type: ignore[arg-type]
