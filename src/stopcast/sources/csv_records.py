"""Fields out of the lines of delimited text: one record, with its quotes. Pure, and bounded in what it looks at.

A quoted field may go on over several lines. Whether those lines are rows by themselves is decided in ``csv_rows``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final, NamedTuple

from stopcast.marking import N_
from stopcast.sources.lines import LINE_BYTES

#: The most lines that one record may take, and together no more bytes than one line may have. A cell of Excel has at
#: most 253 line ends.
RECORD_LINES: Final = 256
_ESCAPED: Final = re.compile(r"\\(.)")
NOT_CLOSED: Final = N_("a quote that is not closed")


class Record(NamedTuple):
    """The fields of one record as they stand, and the number of lines that it takes."""

    fields: list[str]
    lines: int = 1


class Broken(NamedTuple):
    """The first line is not a record."""

    reason: str


class NeedMore(Enum):
    """What the first line is depends on lines that have not come yet."""

    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the fields of a list are separated.

    A tab separates fields as databases write them: there a quote is a character, unless the whole field is quoted.
    """

    delimiter: str

    @property
    def has_tabs(self) -> bool:
        """Whether the list is TSV."""
        return self.delimiter == "\t"

    @property
    def needs_utf_8(self) -> bool:
        """Whether the delimiter may be a part of a character in another encoding (GB18030, Shift-JIS, Big5)."""
        return ord(self.delimiter) >= ord("@")

    def reader(self, texts: Sequence[str]) -> Any:
        """Return the standard library's reader of these lines."""
        return csv.reader(texts, delimiter=self.delimiter, strict=True, skipinitialspace=self.delimiter != " ")

    def text(self, line: bytes) -> str | None:
        """Return the line's text, None where it cannot be cut into fields. A byte that is not UTF-8 is kept."""
        try:
            return line.decode()
        except UnicodeDecodeError:
            return None if self.needs_utf_8 else line.decode("utf-8", "surrogateescape")


def read_record(lines: Sequence[bytes], dialect: Dialect, *, ended: bool, width: int = 0) -> Record | Broken | NeedMore:
    """Return the record that begins with the first of these lines.

    Args:
        lines: at least one; the others are looked at only where a quoted field goes on over the line's end.
        dialect: of the list.
        ended: whether no line follows these.
        width: the number of columns, 0 where it is not known. In TSV it says what a quote is.
    """
    text = dialect.text(lines[0])
    if text is None:
        return Broken(
            f"not UTF-8, where a byte may only look like the delimiter {dialect.delimiter}; "
            f"name the encoding, such as --encoding gb18030"
        )
    if '"' not in text:
        return Record(text.split(dialect.delimiter))
    plain = _plain_fields(text, dialect) if dialect.has_tabs else None
    try:
        fields = next(dialect.reader([_tidied(text, dialect)]))
    except csv.Error as error:
        if "unexpected end" in str(error):
            return _read_lines(lines, dialect, plain, ended=ended, width=width)
        return _broken(error, text, dialect) if plain is None else Record(plain)
    return Record(fields if plain is None or len(fields) == width or len(plain) != width else plain)


def _read_lines(
    lines: Sequence[bytes], dialect: Dialect, plain: list[str] | None, *, ended: bool, width: int
) -> Record | Broken | NeedMore:
    """Return the record whose quoted field goes on over the end of the first line."""
    texts: list[str] = []
    size = 0
    for line in lines[:RECORD_LINES]:
        size += len(line) + 1
        text = dialect.text(line)
        if size > LINE_BYTES or text is None:
            ended = True
            break
        texts.append(_tidied(text, dialect) + "\n")
    reader = dialect.reader(texts)
    try:
        fields = next(reader)
    except csv.Error as error:
        if "unexpected end" in str(error) and not ended and len(lines) < RECORD_LINES:
            return NeedMore.LINES
        if plain is not None:
            return Record(plain)
        return _with_escapes(dialect.text(lines[0]) or "", dialect) or Broken(NOT_CLOSED)
    if plain is not None and width not in {0, len(fields)}:
        return Record(plain)
    return Record(fields, reader.line_num)


def lines_with_escapes(lines: Sequence[bytes], dialect: Dialect, *, ended: bool) -> int | NeedMore:
    """Return how many lines the record takes where a backslash escapes a quote, 0 where it is none if read so.

    The other reading, in which the quote after the backslash closes the field, is ``read_record``'s.
    """
    texts = [dialect.text(line) for line in lines[:RECORD_LINES]]
    reader = dialect.reader([_escaped(text) + "\n" for text in texts if text is not None])
    try:
        next(reader)
    except csv.Error as error:
        is_open = "unexpected end" in str(error) and not ended and len(lines) < RECORD_LINES
        return NeedMore.LINES if is_open else 0
    return int(reader.line_num)


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda pair: '""' if pair[1] == '"' else pair[0], text)


def _broken(error: csv.Error, text: str, dialect: Dialect) -> Record | Broken:
    if (record := _with_escapes(text, dialect)) is not None:
        return record
    # The standard library's reader has no other sign than its texts.
    return Broken(
        "a carriage return inside the line"
        if "new-line" in str(error)
        else "text after a closing quote inside the line"
    )


def _with_escapes(text: str, dialect: Dialect) -> Record | None:
    """Return the record of a line whose quotes are escaped by a backslash, as MySQL, Hive and Spark write them."""
    if '\\"' not in text:
        return None
    try:
        return Record(next(dialect.reader([_escaped(text)])))
    except csv.Error:
        return None


def _plain_fields(text: str, dialect: Dialect) -> list[str]:
    """Return the fields of a line of TSV. Only a field that is quoted as a whole loses its quotes."""
    return [_unquoted(field) for field in text.split(dialect.delimiter)]


def _unquoted(field: str) -> str:
    inner = field[1:-1].replace('""', "")
    if len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner:
        return field[1:-1].replace('""', '"')
    return field


def _tidied(text: str, dialect: Dialect) -> str:
    """Return the text without the spaces between a closing quote and the delimiter, which the reader would refuse."""
    return _spaces_after_quote(dialect.delimiter).sub('"', text) if '" ' in text else text


@cache
def _spaces_after_quote(delimiter: str) -> re.Pattern[str]:
    return re.compile(rf'" +(?={re.escape(delimiter)}|$)')
