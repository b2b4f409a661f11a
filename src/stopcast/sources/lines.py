"""Lines out of chunks of bytes: pure, and never more than one line and one chunk in memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Final, NamedTuple

from stopcast.errors import ListError
from stopcast.tasks.task import BrokenRow

#: The longest line that is read. Three ids take 400 bytes; what is longer is no list, or a file without line ends.
LINE_BYTES: Final = 65_536
#: The most lines that are parsed and checked before the event loop has its turn: a third of a millisecond.
BATCH_LINES: Final = 256
_BOM_BYTES: Final = len(codecs.BOM_UTF8)


class Lines(NamedTuple):
    """Some lines that follow each other, without their ends; blank ones are among them."""

    first: int
    texts: list[bytes]


class LineSplitter:
    """Cuts one list's bytes into numbered lines.

    A line feed ends a line, with a carriage return before it or not; nothing else does. A byte order mark is dropped.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._next = 1
        self._at_start = True
        self._skipping = False

    def split(self, chunk: bytes) -> Iterator[Lines | BrokenRow]:
        """Yield the lines that ``chunk`` completes; for each too long one a BrokenRow.

        Raises:
            ListError: the list is in UTF-16.
        """
        for start in range(0, len(chunk), LINE_BYTES):
            yield from self._split(chunk[start : start + LINE_BYTES])

    def _split(self, piece: bytes) -> Iterator[Lines | BrokenRow]:
        data = self._rest + piece
        if self._at_start:
            if len(data) < _BOM_BYTES:
                self._rest = data
                return
            data = self._without_bom(data)
        if self._skipping:
            end = data.find(b"\n")
            if end < 0:
                return
            data = data[end + 1 :]
            self._skipping = False
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        if end:
            whole = data[:end]
            if b"\r" in whole:
                whole = whole.replace(b"\r\n", b"\n")
            yield from self._numbered(whole.split(b"\n")[:-1])
        # One more than the limit may still be a carriage return.
        if len(self._rest) > LINE_BYTES + 1:
            self._rest = b""
            self._skipping = True
            yield self._too_long()

    def finish(self) -> Iterator[Lines | BrokenRow]:
        """Yield the last line, if the list's end ends it."""
        data = self._without_bom(self._rest) if self._at_start else self._rest
        self._rest = b""
        if data:
            yield from self._numbered([data.removesuffix(b"\r")])

    def _without_bom(self, data: bytes) -> bytes:
        self._at_start = False
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ListError("it is in UTF-16; save it as UTF-8")
        return data.removeprefix(codecs.BOM_UTF8)

    def _numbered(self, texts: list[bytes]) -> Iterator[Lines | BrokenRow]:
        # A piece is no longer than a line may be: only a line that began in an earlier one can be too long.
        if len(texts[0]) > LINE_BYTES:
            yield self._too_long()
            del texts[0]
        for start in range(0, len(texts), BATCH_LINES):
            part = texts[start : start + BATCH_LINES]
            yield Lines(self._next, part)
            self._next += len(part)

    def _too_long(self) -> BrokenRow:
        line = self._next
        self._next += 1
        return BrokenRow(f"longer than {LINE_BYTES} bytes", line)
