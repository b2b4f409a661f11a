"""Lines out of text: pure, and never more than one line and one chunk in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from stopcast.marking import N_
from stopcast.tasks.task import BrokenRow

#: The longest line that is read. Three ids take 400 bytes; what is longer is no list, or a file without line ends.
LINE_BYTES: Final = 65_536
#: The most lines that are parsed and checked before the event loop has its turn: a third of a millisecond.
BATCH_LINES: Final = 256
TOO_LONG: Final = N_("longer than {limit} bytes").format(limit=LINE_BYTES)


class Lines(NamedTuple):
    """Some lines without their ends, or JSON values, and the numbers of the lines on which they begin.

    Blank lines are among them.
    """

    numbers: Sequence[int]
    texts: list[bytes]


class LineSplitter:
    """Cuts one list's text into numbered lines. A line feed ends a line, and nothing else does."""

    def __init__(self) -> None:
        self._rest = b""
        self._next = 1
        self._skipping = False

    def split(self, chunk: bytes) -> Iterator[Lines | BrokenRow]:
        """Yield the lines that ``chunk`` completes; for each too long one a BrokenRow."""
        for start in range(0, len(chunk), LINE_BYTES):
            yield from self._split(chunk[start : start + LINE_BYTES])

    def _split(self, piece: bytes) -> Iterator[Lines | BrokenRow]:
        data = self._rest + piece
        if self._skipping:
            end = data.find(b"\n")
            if end < 0:
                return
            data = data[end + 1 :]
            self._skipping = False
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        if end:
            yield from self._numbered(data[: end - 1].split(b"\n"))
        if len(self._rest) > LINE_BYTES:
            self._rest = b""
            self._skipping = True
            yield self._too_long()

    def finish(self) -> Iterator[Lines | BrokenRow]:
        """Yield the last line, if the list's end ends it."""
        data, self._rest = self._rest, b""
        if data:
            yield from self._numbered([data])

    def _numbered(self, texts: list[bytes]) -> Iterator[Lines | BrokenRow]:
        # A piece is no longer than a line may be: only a line that began in an earlier one can be too long.
        if len(texts[0]) > LINE_BYTES:
            yield self._too_long()
            del texts[0]
        for start in range(0, len(texts), BATCH_LINES):
            part = texts[start : start + BATCH_LINES]
            yield Lines(range(self._next, self._next + len(part)), part)
            self._next += len(part)

    def _too_long(self) -> BrokenRow:
        line = self._next
        self._next += 1
        return BrokenRow(TOO_LONG, line)
