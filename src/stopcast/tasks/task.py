"""The task that is to be stopped, and the rows of lists before they are checked. No clock, asyncio or file is here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, overload

#: What the API and the lists call the three ids.
ID_NAMES: Final = ("AppId", "RoomId", "TaskId")
#: The form of a whole AppId, RoomId or TaskId (the vendor's page of StopWebcast).
ID_PATTERN: Final = re.compile(r"[a-zA-Z0-9_@\-.]{1,128}")
#: The name of all others, where only the first AppIds are counted separately. No AppId has parentheses.
OTHERS: Final = "(others)"


class Task(NamedTuple):
    """One webcast task. The three ids together identify it; the same ``task_id`` may occur in another room."""

    app_id: str
    room_id: str
    task_id: str


#: In the outcome of a row that could not be read.
NO_TASK: Final = Task("", "", "")


class RawRow(NamedTuple):
    """A row as it was read: three values of any type, and the line on which the row begins.

    A value that is missing in the row is None.
    """

    app_id: object
    room_id: object
    task_id: object
    line: int


@dataclass(frozen=True, slots=True)
class RowColumns(Sequence[RawRow]):
    """Rows by column. Making an object for each row would cost as much as reading it.

    Attributes:
        ids: the AppIds, the RoomIds and the TaskIds, of equal length.
        lines: the line on which each row begins.
        keys: each row's three ids joined by commas, if the list holds them in this form; otherwise None.
    """

    ids: tuple[Sequence[object], Sequence[object], Sequence[object]]
    lines: Sequence[int]
    keys: Sequence[bytes] | None = None

    @classmethod
    def of(cls, rows: Sequence[RawRow]) -> RowColumns:
        """Return the rows by column. Rows that are by column already are returned unchanged."""
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
    """A line that could not be read as a row, and why, for the person who has to fix it."""

    reason: str
    line: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one list, in the list's order.

    Attributes:
        source: the list's name as the user gave it, "-" for standard input, None for a list made in memory.
        rows: those that could be read.
        broken: the others.
        left_out: how many rows of an earlier report need nothing, by their statuses.
        too_old: how many of them were finished longer ago than is wanted.
        in_doubt: of each row, whether a call of an earlier run or delivery may have stopped its task unseen; None where
            that is true of none.
        already_unique: whether the source gives each task once, as a queue does.
        not_chosen: how many rows of ``left_out`` only have another status than the user asked for.
        numbers: how many rows of a spreadsheet have ids that are numbers, so that leading zeros may be gone.
        read_to: the last line that was read for the batch, where its rows have the lines of another list; otherwise 0.
    """

    source: str | None
    rows: Sequence[RawRow]
    broken: Sequence[BrokenRow] = ()
    left_out: int = 0
    too_old: int = 0
    in_doubt: Sequence[bool] | None = None
    already_unique: bool = False
    not_chosen: int = 0
    numbers: int = 0
    read_to: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it, not even a count."""
        return not (self.rows or self.broken or self.left_out or self.too_old)
