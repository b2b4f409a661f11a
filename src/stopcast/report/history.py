"""Going on with a report: what it tells already, and how it is left with one line a row.

What flows in is the report of runs that ended somehow, a crash among the ways. What flows out is what a new run must
not do again, and the totals so far. What can go wrong: a torn last line (cut off, and told), a line that is none
(refused: it would be lost silently otherwise), rows that were not settled (their old lines go when a new one is there).
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from stopcast.errors import ReportError
from stopcast.report.line import LineReader, read_line, task_of
from stopcast.tasks.identities import Identities, identity, told_identity
from stopcast.tasks.intake import Earlier
from stopcast.tasks.outcome import Outcome, Status

#: Lines handled between two looks at the event loop.
_LINES_AT_ONCE: Final = 500
_TOLD: Final = frozenset({Status.INVALID, Status.DUPLICATE})


@dataclass(slots=True)
class Past:
    """What a report tells when a run goes on with it.

    Attributes:
        earlier: what the lists' rows are held against.
        statuses: its lines by status, those that a new line has replaced left out.
        torn_bytes: what was cut off its end because the line was not whole.
        size: its length in bytes after that.
    """

    earlier: Earlier = field(default_factory=Earlier)
    statuses: Counter[Status] = field(default_factory=Counter)
    torn_bytes: int = 0
    size: int = 0
    _unsettled: dict[Status, Identities] = field(default_factory=dict)
    _replaced: Counter[bytes] = field(default_factory=Counter)

    def read(self, values: dict[str, Any]) -> None:
        """Take note of one line."""
        status: Status = values["status"]
        task = task_of(values)
        if status in _TOLD:
            self.earlier.told[told_identity(status, task, values.get("message"))] += 1
        else:
            digest = identity(task)
            self._replace(digest)
            if status.settled:
                self.earlier.settled.add(digest)
            else:
                self._unsettled.setdefault(status, Identities()).add(digest)
                if values.get("in_doubt") is True:
                    self.earlier.in_doubt.add(digest)
        self.statuses[status] += 1

    def replaced_by(self, outcome: Outcome) -> None:
        """Take note of a new line; the old one of the same task, if it was not settled, is to go."""
        if self._unsettled and outcome.status not in _TOLD:
            self._replace(identity(outcome.task))

    def _replace(self, digest: bytes) -> None:
        for status, digests in self._unsettled.items():
            if digest in digests:
                digests.discard(digest)
                self.statuses[status] -= 1
                self._replaced[digest] += 1

    @property
    def lines_replaced(self) -> int:
        """Old lines that a newer one has made untrue."""
        return self._replaced.total()

    def drops(self, values: dict[str, Any]) -> bool:
        """Whether this line, read again from the start of the report, is one that has been replaced."""
        status: Status = values["status"]
        if status.settled or not self._replaced:
            return False
        digest = identity(task_of(values))
        if not self._replaced[digest]:
            return False
        self._replaced[digest] -= 1
        return True


async def peek_past(path: Path) -> Past:
    """Read a report that another run may be writing, and change nothing. One that is not there yet tells nothing.

    Raises:
        ReportError: it cannot be read, or a line in it is no line of a report.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Past()
    except OSError as error:
        raise ReportError(f"the report {path} cannot be read: {error.strerror}") from None
    try:
        return await read_past(descriptor, path, mend=False)
    finally:
        os.close(descriptor)


async def read_past(descriptor: int, path: Path, *, mend: bool = True) -> Past:
    """Read the whole report, and cut a torn last line off unless ``mend`` is False.

    Raises:
        ReportError: a line in it is no line of a report.
    """
    past, reader = Past(), LineReader(str(path))
    try:
        async for lines in _lines(descriptor):
            for values in reader.read(lines):
                past.read(values)
        reader.finish()
    except ReportError as error:
        raise ReportError(f"{error}; move it away by hand, then --resume") from None
    past.size, past.torn_bytes = reader.size, len(reader.torn)
    if mend and reader.torn:
        os.ftruncate(descriptor, past.size)
    if mend and reader.unended:
        past.size += os.write(descriptor, b"\n")
    return past


async def tidy(descriptor: int, path: Path, past: Past) -> None:
    """Write the report anew without the lines that have been replaced, and put it in the old one's place at once.

    Raises:
        OSError: there is no room for it; the report is as it was.
    """
    path = _behind_links(path)
    fresh = path.with_name(f"{path.name}.tidying")
    try:
        # What stands there was left by a kill, or is a link that somebody laid to a file of ours.
        fresh.unlink(missing_ok=True)
        with fresh.open("xb") as out:
            async for lines in _lines(descriptor):
                for line in lines:
                    values = read_line(line)
                    if values is None or not past.drops(values):
                        out.write(line)
            out.flush()
            await asyncio.to_thread(os.fsync, out.fileno())
        fresh.chmod(os.fstat(descriptor).st_mode & 0o777)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _behind_links(path: Path) -> Path:
    """Return the file itself: a link to the report stays one."""
    return path.resolve()


async def _lines(descriptor: int) -> AsyncIterator[list[bytes]]:
    with os.fdopen(os.dup(descriptor), "rb", buffering=1 << 20) as report:
        report.seek(0)
        while lines := list(islice(report, _LINES_AT_ONCE)):
            yield lines
            await asyncio.sleep(0)
