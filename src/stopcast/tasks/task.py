"""What is to be stopped: a task's name, and a row of a list before it is checked.

No clock, no asyncio, no file lives here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, overload

#: The form of AppId, RoomId and TaskId, each as a whole (the vendor's page of StopWebcast).
ID_PATTERN: Final = re.compile(r"[a-zA-Z0-9_@\-.]{1,128}")
#: Stands for all others, where only the first ones are counted apart. No AppId has parentheses.
OTHERS: Final = "(others)"


class Task(NamedTuple):
    """One webcast task. The three ids together name it; a ``task_id`` alone may repeat in another room."""

    app_id: str
    room_id: str
    task_id: str


class RawRow(NamedTuple):
    """A row as it was read: three values that may be anything, and the line it began on.

    A value that the row does not hold is None.
    """

    app_id: object
    room_id: object
    task_id: object
    line: int


@dataclass(frozen=True, slots=True)
class RowColumns(Sequence[RawRow]):
    """Rows kept by column, all of the same length. To make each row would cost as much as to read it.

    Attributes:
        ids: the AppIds, the RoomIds and the TaskIds.
        lines: where each row began.
        keys: each row's three ids with commas between, for a list in which they stand like that; else None.
    """

    ids: tuple[Sequence[object], Sequence[object], Sequence[object]]
    lines: Sequence[int]
    keys: Sequence[bytes] | None = None

    @classmethod
    def of(cls, rows: Sequence[RawRow]) -> RowColumns:
        """Return the rows by column, as they are if they are so already."""
        if isinstance(rows, RowColumns):
            return rows
        app_ids, room_ids, task_ids, lines = zip(*rows, strict=True) if rows else ((), (), (), ())
        return cls((app_ids, room_ids, task_ids), lines)

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, index: int) -> RawRow: ...
    @overload
    def __getitem__(self, index: slice) -> RowColumns: ...
    def __getitem__(self, index: int | slice) -> RawRow | RowColumns:
        app_ids, room_ids, task_ids = self.ids
        if isinstance(index, slice):
            return RowColumns((app_ids[index], room_ids[index], task_ids[index]), self.lines[index])
        return RawRow(app_ids[index], room_ids[index], task_ids[index], self.lines[index])

    def __iter__(self) -> Iterator[RawRow]:
        return map(RawRow, *self.ids, self.lines)


class BrokenRow(NamedTuple):
    """A line that could not be read as a row, and why, in words for the person who has to mend it."""

    reason: str
    line: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one list, in the list's order but for the broken ones, which stand apart.

    ``source`` is the list's name as the user gave it, "-" for standard input, None for a list made in memory.
    ``left_out`` counts rows that the list's own statuses say need nothing (a report that is read as a list),
    ``too_old`` those that were finished longer ago than is wanted.
    ``in_doubt`` says of each row whether a call of an earlier run or delivery may have stopped its task unseen; None of
    none. ``told_apart`` says that the source has told its rows apart itself, as a queue does.
    """

    source: str | None
    rows: Sequence[RawRow]
    broken: Sequence[BrokenRow] = ()
    left_out: int = 0
    too_old: int = 0
    in_doubt: Sequence[bool] | None = None
    told_apart: bool = False
