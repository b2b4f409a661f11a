"""Parse CSV and TSV into rows.

A stray quote must not hide the tasks after it. A quoted field may therefore span several lines only if the record is
short and none of its further lines names another task. Otherwise the line with the quote is reported as broken, and
parsing continues with the line after it. Up to fifteen lines are held back until later lines decide which it is.
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
    """Parses the lines of one list. The first record is the header if it names the columns.

    Args:
        source: the list's name.
        delimiter: one character.
        columns: the column names to look for. If they are not the default names, the list must have them in a header.
    """

    def __init__(self, source: str, *, delimiter: str, columns: Columns) -> None:
        self._source = source
        self._delimiter = delimiter
        self._columns = columns
        self._records = RecordReader(delimiter)
        self._width = 0
        self._places: tuple[int, ...] = ()
        self._held = Lines(1, [])
        # The bytes that a blank line may contain. A TSV line of tabs, like a CSV line of commas, is not blank: it is a
        # row of empty fields.
        self._blank = b" \t\r\f\v".replace(delimiter.encode(), b"")
        # The bytes that need no special treatment in a field.
        self._plain_bytes = bytes(set(range(256)) - set(f'\n"{delimiter}'.encode()))

    def parse(self, lines: Lines) -> Batch:
        """Return the rows of the lines held back earlier and of these lines. The last lines may be held back again.

        Raises:
            ListError: the first line is neither a header nor a row.
        """
        if self._held.texts:
            lines = Lines(self._held.first, self._held.texts + lines.texts)
            self._held = Lines(1, [])
        rows = self._uniform_rows(lines) if self._width else None
        return self._rows_one_by_one(lines, more=True) if rows is None else Batch(self._source, rows)

    def skip(self, row: BrokenRow) -> Batch:
        """Record a line that cannot be read. No quoted field continues across it.

        Raises:
            ListError: the line may have been the header.
        """
        if not self._width:
            raise _no_header(row.line, row.reason)
        before = self.finish()
        return Batch(self._source, before.rows, (*before.broken, row))

    def finish(self) -> Batch:
        """Return the rows of the lines that were held back. No further line follows."""
        held, self._held = self._held, Lines(1, [])
        return self._rows_one_by_one(held, more=False)

    def _uniform_rows(self, lines: Lines) -> RowColumns | None:
        """Return the rows if every line is exactly one row with a field for each column, else None."""
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
            # Without the bytes of the fields, only the delimiters and the line ends are left.
            shape = (self._delimiter * (self._width - 1) + "\n").encode() * count
            if data.translate(None, self._plain_bytes) != shape[:-1]:
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

    def _rows_one_by_one(self, lines: Lines, *, more: bool) -> Batch:
        """Parse record by record. If ``more`` is true, an open quoted field may end in a line that is still to come."""
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
        """Return whether a record really spans the ``further`` lines, and not only because of a stray quote."""
        if not self._width:
            return None not in self._columns.places(_stripped(record.fields))
        if len(record.fields) != self._width:
            return False
        ids = self._ids(record.fields)
        return not any("\n" in (value or "") for value in ids) and all(
            self._task_of(line) in {None, ids} for line in further
        )

    def _task_of(self, line: bytes) -> tuple[str | None, ...] | None:
        """Return the ids of the task that a line names if it is a row of its own, or None if it names no task."""
        try:
            fields = self._records.read_line(line)
            ids = self._ids(fields)
        except BrokenError:
            return None
        return ids if len(fields) == self._width and all(ID_PATTERN.fullmatch(value or "") for value in ids) else None

    def _ids(self, fields: Sequence[str]) -> tuple[str | None, str | None, str | None]:
        """Return the three ids, with None for each missing field.

        Raises:
            BrokenError: there are more fields than columns, so it is unclear which fields are the ids.
        """
        if any(value.strip(_SPACES) for value in fields[self._width :]):
            raise BrokenError(f"{len(fields)} fields in {self._width} columns")
        app, room, task = (fields[place].strip(_SPACES) if place < len(fields) else None for place in self._places)
        return app, room, task

    def _take_header(self, fields: Sequence[str]) -> bool:
        """Find the columns of the ids from the list's first record, and return whether that record is a header."""
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
                f"Name the columns to use: --columns {','.join(f'{key}=NAME' for key in unnamed)}"
            )
        if len(names) != _IDS:
            raise ListError(
                f"the first row is not a header with {', '.join(missing)}, and a list without a header must have "
                f"{_IDS} columns, not {len(names)}: {shown(names)}. "
                "Add a header, separated by commas or tabs, or name the columns to use: "
                "--columns app=NAME,room=NAME,task=NAME"
            )
        self._width, self._places = _IDS, _IN_ORDER
        return False


def _stripped(fields: Sequence[str]) -> list[str]:
    return list(map(str.strip, fields, repeat(_SPACES)))


def _no_header(line: int, reason: str) -> ListError:
    return ListError(f"line {line}, which may be the header, cannot be read: {reason}")
