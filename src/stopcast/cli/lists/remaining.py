"""How many rows of the lists have not been taken yet: by their size, without reading them twice."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stopcast.sources import Extent
from stopcast.sources.chunks import STANDARD_INPUT
from stopcast.tasks.task import Batch

if TYPE_CHECKING:
    # Plans are made without the engine, and aiohttp takes longer to import than all the rest.
    from stopcast.run import Run


class RowsLeft(NamedTuple):
    """So many rows; whether that is the very number, or about."""

    number: int
    exact: bool


class Remaining:
    """Follows the lists while their rows are taken, one list after the other.

    Args:
        paths: the lists that are to be read, in their order.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._ahead = [_size(path) for path in reversed(paths)]
        self._read: list[tuple[int, int]] = []
        self._extent = Extent()
        self._rows = 0
        self._last_line = 0

    def begin(self) -> Extent:
        """Begin with the next list, and return what has to be kept true while it is read."""
        self._read.append(self._extent.seen)
        self._extent = Extent(self._ahead.pop())
        self._rows = self._last_line = 0
        return self._extent

    def take(self, batch: Batch) -> None:
        """Take note of the rows that the list has yielded."""
        self._rows += len(batch.rows) + len(batch.broken) + batch.left_out
        if batch.rows:
            self._last_line = max(self._last_line, batch.rows[-1].line)
        if batch.broken:
            self._last_line = max(self._last_line, batch.broken[-1].line)

    def end(self) -> None:
        """Take note that the list has yielded its last row."""
        self._last_line = self._extent.seen[1]

    def rows(self) -> RowsLeft | None:
        """Return how many rows were not taken yet, None where nobody can tell, such as of a pipe."""
        lines = self._extent.lines()
        if lines is None or None in self._ahead:
            return None
        here = max(0.0, lines - max(self._rows, self._last_line))
        position, seen = map(sum, zip(*self._read, self._extent.seen, strict=True))
        ahead = sum(filter(None, self._ahead)) * seen / position if position else 0.0
        return RowsLeft(round(here + ahead), exact=self._extent.ended and not self._ahead)


def rows_to_do(run: Run, untaken: RowsLeft | None, *, limit: int | None) -> RowsLeft | None:
    """Return how many rows have no outcome yet: those taken, and those that a list still holds."""
    unfinished = run.summary().not_finished
    if run.intake.full:
        return RowsLeft(unfinished, exact=True)
    if untaken is None:
        return None
    most = untaken.number if limit is None else limit - run.intake.tasks - run.intake.settled
    return RowsLeft(unfinished + min(untaken.number, most), untaken.exact and untaken.number <= most)


def _size(path: str) -> int | None:
    """Return the bytes of a file, None of what is none."""
    try:
        found = os.fstat(0) if path == STANDARD_INPUT else Path(path).stat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
