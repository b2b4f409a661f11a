"""Fields out of the lines of a CSV: one record, quotes and all."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from stopcast.sources.lines import LINE_BYTES

#: The most lines that one record may take, and together no more bytes than one line may have.
RECORD_LINES: Final = 16


class BrokenError(Exception):
    """The line is no record; the text says why."""


class NotClosedError(BrokenError):
    """A quoted field has no end."""

    def __init__(self) -> None:
        super().__init__("a quote that is not closed")


class UndecidedError(Exception):
    """What the line is depends on lines that have not come yet."""


class Record(NamedTuple):
    """The fields of one record as they stand, and how many lines it takes."""

    fields: list[str]
    lines: int = 1


class RecordReader:
    """Reads records with one delimiter. A quote inside a field that does not begin with one is only a character."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._after_quote = re.compile(rf'" +(?={delimiter}|$)')

    def read_all(self, text: str) -> list[list[str]] | None:
        """Return the records of several lines, None if any of them is broken."""
        try:
            return list(csv.reader(text.split("\n"), delimiter=self._delimiter, strict=True, skipinitialspace=True))
        except csv.Error:
            return None

    def read_line(self, line: bytes) -> list[str]:
        """Return the fields of a line that is a record by itself.

        Raises:
            NotClosedError: it might be the beginning of one.
            BrokenError: it is none.
        """
        text = _decoded(line)
        return self._read([text]).fields if '"' in text else text.split(self._delimiter)

    def read_lines(self, lines: Sequence[bytes], *, more: bool) -> Record:
        """Return the record that begins with the first of ``lines`` and goes on over its end.

        Raises:
            NotClosedError: it does not end within the bounds.
            UndecidedError: it might, if ``more`` lines came.
        """
        texts, size = [], 0
        for line in lines[:RECORD_LINES]:
            size += len(line) + 1
            if size > LINE_BYTES:
                more = False
                break
            try:
                texts.append(_decoded(line) + "\n")
            except BrokenError:
                more = False
                break
        try:
            return self._read(texts)
        except NotClosedError:
            if more and len(lines) < RECORD_LINES:
                raise UndecidedError from None
            raise
        except BrokenError:
            raise NotClosedError from None

    def _read(self, texts: Sequence[str]) -> Record:
        lines = (self._after_quote.sub('"', text) for text in texts)
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True, skipinitialspace=True)
        try:
            return Record(next(reader), reader.line_num)
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise NotClosedError from None
            inside = "a carriage return" if "new-line" in str(error) else "text after a closing quote"
            raise BrokenError(f"{inside} inside the line") from None


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise BrokenError("not UTF-8") from None
