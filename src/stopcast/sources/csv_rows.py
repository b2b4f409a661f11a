"""Rows out of CSV and TSV.

A stray quote must never swallow the tasks after it. So a quoted field may go on over the end of a line, but only within
narrow bounds, and only if nothing that reads as another task would disappear in it; otherwise the line with the quote
is broken, and reading goes on at the very next. Until that is settled, up to fifteen lines wait for those after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Final

from stopcast.errors import ListError
from stopcast.sources.columns import Columns, shown
from stopcast.sources.csv_records import (
    RECORD_LINES,
    BrokenError,
    NotClosedError,
    Record,
    RecordReader,
    UndecidedError,
)
from stopcast.sources.lines import Lines
from stopcast.tasks.task import ID_PATTERN, Batch, BrokenRow, RawRow, RowColumns

_IDS: Final = 3
_IN_ORDER: Final = (0, 1, 2)
_SPACES: Final = " \t"


class CsvParser:
    """Reads the lines of one list, the first of them as its header where it names the columns.

    Args:
        source: the list's name.
        delimiter: one character.
        columns: the names to look for; a list for which other names than the usual are given has to have them.
    """

    def __init__(self, source: str, *, delimiter: str, columns: Columns) -> None:
        self._source = source
        self._delimiter = delimiter
        self._columns = columns
        self._records = RecordReader(delimiter)
        self._width = 0
        self._places: tuple[int, ...] = ()
        self._held = Lines(1, [])
        # What a line may hold and still be blank; tabs alone are a row of empty fields in TSV, as commas are in CSV.
        self._blank = b" \t\r\f\v".replace(delimiter.encode(), b"")
        # What a field may hold without being looked at twice.
        self._contents = bytes(set(range(256)) - set(f'\n"{delimiter}'.encode()))

    def parse(self, lines: Lines) -> Batch:
        """Return what these lines hold, and those held back before; the last ones may be held back in turn.

        Raises:
            ListError: the first line is neither a header nor a row.
        """
        if self._held.texts:
            lines = Lines(self._held.first, self._held.texts + lines.texts)
            self._held = Lines(1, [])
        rows = self._even_rows(lines) if self._width else None
        return self._odd_rows(lines, more=True) if rows is None else Batch(self._source, rows)

    def skip(self, row: BrokenRow) -> Batch:
        """Take note of a line that cannot be had; nothing goes on over it.

        Raises:
            ListError: it may have been the header.
        """
        if not self._width:
            raise _no_header(row.line, row.reason)
        before = self.finish()
        return Batch(self._source, before.rows, (*before.broken, row))

    def finish(self) -> Batch:
        """Return what the lines hold that were held back, now that no line follows them."""
        held, self._held = self._held, Lines(1, [])
        return self._odd_rows(held, more=False)

    def _even_rows(self, lines: Lines) -> RowColumns | None:
        """Return the rows if every line is one by itself, of the full width; None if any is not."""
        data = b"\n".join(lines.texts)
        count = len(lines.texts)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        ids: list[Sequence[str]]
        keys = None
        if '"' in text:
            records = self._records.read_all(text)
            if records is None or len(records) != count or set(map(len, records)) != {self._width}:
                return None
            columns = list(zip(*records, strict=True))
            ids = [columns[place] for place in self._places]
        else:
            # With what fields may hold deleted, only the delimiters and the line ends are left.
            shape = (self._delimiter * (self._width - 1) + "\n").encode() * count
            if data.translate(None, self._contents) != shape[:-1]:
                return None
            fields = text.replace("\n", self._delimiter).split(self._delimiter)
            ids = [fields[place :: self._width] for place in self._places]
            keys = lines.texts
        if " " in text or ("\t" in text and self._delimiter != "\t"):
            ids = [_stripped(column) for column in ids]
            keys = None
        numbers = range(lines.first, lines.first + count)
        in_order = self._delimiter == "," and self._width == _IDS and self._places == _IN_ORDER
        return RowColumns((ids[0], ids[1], ids[2]), numbers, keys if in_order else None)

    def _odd_rows(self, lines: Lines, *, more: bool) -> Batch:
        """Go line by line; ``more`` lines may follow, in which a quoted field ends."""
        rows: list[RawRow] = []
        broken: list[BrokenRow] = []
        first, texts = lines
        at = 0
        while at < len(texts):
            number, used = first + at, 1
            try:
                if texts[at].strip(self._blank if self._width else None):
                    fields, used = self._record(texts[at : at + RECORD_LINES], more=more)
                    if self._width or not self._take_header(fields):
                        rows.append(RawRow(*self._ids(fields), number))
            except UndecidedError:
                self._held = Lines(number, texts[at:])
                break
            except BrokenError as error:
                if not self._width:
                    raise _no_header(number, str(error)) from None
                broken.append(BrokenRow(str(error), number))
            at += used
        return Batch(self._source, rows, broken)

    def _record(self, texts: Sequence[bytes], *, more: bool) -> Record:
        """Return the record that begins with the first line."""
        try:
            return Record(self._records.read_line(texts[0]))
        except NotClosedError:
            record = self._records.read_lines(texts, more=more)
            if not self._may_span(record, texts[1 : record.lines]):
                raise
            return record

    def _may_span(self, record: Record, further: Sequence[bytes]) -> bool:
        """Whether a record may really go on over ``further`` lines, and no stray quote makes it look so."""
        if not self._width:
            return None not in self._columns.places(_stripped(record.fields))
        if len(record.fields) != self._width:
            return False
        ids = self._ids(record.fields)
        return not any("\n" in (value or "") for value in ids) and all(
            self._task_of(line) in {None, ids} for line in further
        )

    def _task_of(self, line: bytes) -> tuple[str | None, ...] | None:
        """Return the ids of the task that a line names when it is read by itself, None if it names none."""
        try:
            fields = self._records.read_line(line)
            ids = self._ids(fields)
        except BrokenError:
            return None
        return ids if len(fields) == self._width and all(ID_PATTERN.fullmatch(value or "") for value in ids) else None

    def _ids(self, fields: Sequence[str]) -> tuple[str | None, str | None, str | None]:
        """Return the ids, None for a field that is not there.

        Raises:
            BrokenError: there are more fields than columns, so that nobody knows which is which.
        """
        if any(value.strip(_SPACES) for value in fields[self._width :]):
            raise BrokenError(f"{len(fields)} fields in {self._width} columns")
        app, room, task = (fields[place].strip(_SPACES) if place < len(fields) else None for place in self._places)
        return app, room, task

    def _take_header(self, fields: Sequence[str]) -> bool:
        """Settle from the list's first record where the ids stand; return whether it is a header."""
        names = _stripped(fields)
        places = self._columns.places(names)
        missing = [name for name, place in zip(self._columns.names, places, strict=True) if place is None]
        if not missing:
            self._width = len(names)
            self._places = tuple(place for place in places if place is not None)
            return True
        if len(missing) < _IDS or self._columns != Columns():
            unnamed = (key for key, place in zip(("app", "room", "task"), places, strict=True) if place is None)
            raise ListError(
                f"the header has no {' and no '.join(missing)}; it has {shown(names)}. "
                f"Tell which of them is meant: --columns {','.join(f'{key}=NAME' for key in unnamed)}"
            )
        if len(names) != _IDS:
            raise ListError(
                f"the first row is no header that names {', '.join(missing)}, and without one a list has "
                f"{_IDS} columns, not {len(names)}: {shown(names)}. "
                "Put a header first, with commas or tabs between, or tell which columns are meant: "
                "--columns app=NAME,room=NAME,task=NAME"
            )
        self._width, self._places = _IDS, _IN_ORDER
        return False


def _stripped(fields: Sequence[str]) -> list[str]:
    return list(map(str.strip, fields, repeat(_SPACES)))


def _no_header(line: int, reason: str) -> ListError:
    return ListError(f"line {line}, where the header may be, cannot be read: {reason}")
