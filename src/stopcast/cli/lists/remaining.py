"""Estimate how many rows of the lists are left, from the sizes of the files. No list is read twice."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from stopcast.sources import Extent
from stopcast.sources.chunks import STANDARD_INPUT, ReadSoFar
from stopcast.tasks.task import Batch

if TYPE_CHECKING:
    # A dry run must not import the engine: it imports aiohttp, which takes longer than everything else.
    from stopcast.run import Run


class RowsLeft(NamedTuple):
    """A number of rows, and whether it is exact or an estimate."""

    number: int
    exact: bool


#: After the last row.
NONE_LEFT: Final = RowsLeft(0, exact=True)


class Remaining:
    """Tracks how far the lists have been read. They are read one after the other.

    Args:
        paths: the lists, in the order in which they are read.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._sizes_ahead = [size_of(path) for path in reversed(paths)]
        self._finished = ReadSoFar()
        self._extent = Extent()
        self._rows = 0
        self._last_line = 0
        self._all_read = False

    def begin(self, extent: Extent) -> None:
        """Start with the next list, whose reader updates its extent."""
        self._finished = self._read_so_far()
        self._sizes_ahead.pop()
        self._extent = extent
        self._rows = self._last_line = 0
        self._all_read = False

    def take(self, batch: Batch) -> None:
        """Count the rows of a batch that was read from the list."""
        self._rows += len(batch.rows) + len(batch.broken) + batch.left_out
        last_line = max((rows[-1].line for rows in (batch.rows, batch.broken) if rows), default=0)
        self._last_line = max(self._last_line, batch.read_to or last_line)

    def end(self) -> None:
        """Record that the list was read to its end, so that nothing after the last row counts as left."""
        self._all_read = True

    def rows(self) -> RowsLeft | None:
        """Return how many rows have not been read yet, or None if that is unknown, for example for a pipe."""
        if self._all_read and not self._sizes_ahead:
            return NONE_LEFT
        lines = self._extent.lines()
        # Several rows may stand on one line of JSON.
        if lines is None or None in self._sizes_ahead or self._rows > lines + 1:
            return None
        left_here = 0.0 if self._all_read else max(0.0, lines - max(self._rows, self._last_line))
        file_bytes, lines_read = self._read_so_far()
        left_ahead = sum(filter(None, self._sizes_ahead)) * lines_read / file_bytes if file_bytes else 0.0
        return RowsLeft(round(left_here + left_ahead), exact=self._extent.ended and not self._sizes_ahead)

    def _read_so_far(self) -> ReadSoFar:
        """Return the bytes and lines that have been read from all lists together."""
        finished, present = self._finished, self._extent.so_far
        return ReadSoFar(finished.file_bytes + present.file_bytes, finished.lines + present.lines)


class RunRows(NamedTuple):
    """How far a run has come with the rows of its lists.

    Attributes:
        done: rows that have an outcome or need none, also those still to be read that the report settles.
        to_do: rows without an outcome, None where the number is unknown.
    """

    done: int
    to_do: RowsLeft | None


def rows_of(run: Run, unread: RowsLeft | None, *, limit: int | None) -> RunRows:
    """Return how far a run has come; ``unread`` rows of its lists have not been read yet."""
    intake = run.intake
    done = run.finished + intake.settled + intake.reported_earlier + intake.left_out
    to_read = _rows_to_read(run, unread, limit=limit)
    if to_read is None:
        return RunRows(done, None)
    settled = min(to_read.number, _settled_to_come(run))
    to_do = run.summary().not_finished + to_read.number - settled
    return RunRows(done + settled, RowsLeft(to_do, to_read.exact and not settled))


def _settled_to_come(run: Run) -> int:
    """Return how many rows the report settles that have not been read yet.

    That is expected only if some of the rows that have been read are settled: the report may be one of other lists.
    """
    met = run.intake.settled + run.intake.reported_earlier
    return max(0, run.history.settled_lines - met) if met else 0


def rows_expected(run: Run, unread: RowsLeft | None, *, limit: int | None) -> float:
    """Return how many rows the run will have had, not a number where that is unknown. Any thread may call it."""
    to_read = _rows_to_read(run, unread, limit=limit)
    return math.nan if to_read is None else run.intake.rows + run.intake.left_out + to_read.number


def _rows_to_read(run: Run, unread: RowsLeft | None, *, limit: int | None) -> RowsLeft | None:
    if run.intake.full:
        return NONE_LEFT
    if unread is None or limit is None:
        return unread
    most = limit - run.intake.tasks - run.intake.settled - run.intake.excluded
    return RowsLeft(min(unread.number, most), unread.exact and unread.number <= most)


def size_of(path: str) -> int | None:
    """Return the size of a regular file in bytes, or None for anything else."""
    try:
        found = os.fstat(0) if path == STANDARD_INPUT else Path(path).stat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
