"""Rows out of the lines of delimited text.

A row that can be read in two ways is not sent. A quote may open a field that goes on over further lines, or be stray.
Where such a field closes, but one of its lines reads as a task, each of the lines is broken. Where it does not close
within bounds, only the line with the quote is broken, and parsing continues with the line after it. Lines are held back
until later lines decide which it is.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Final, NamedTuple

from stopcast.errors import ListError
from stopcast.marking import N_
from stopcast.sources.columns import IDS, IN_ORDER, SPACES, Columns
from stopcast.sources.csv_beginning import CsvBeginning, begin
from stopcast.sources.csv_records import (
    RECORD_LINES,
    Broken,
    Dialect,
    NeedMore,
    Record,
    lines_with_escapes,
    read_record,
)
from stopcast.sources.lines import Lines
from stopcast.sources.names import looks_like_a_name
from stopcast.sources.table import Ids, KnownApps, Table
from stopcast.tasks.checks import names_a_task
from stopcast.tasks.task import Batch, BrokenRow, RawRow, RowColumns

#: Where the first lines do not say by then how the list is to be read, it cannot be read.
_BEGINNING_LINES: Final = 4 * RECORD_LINES
AMBIGUOUS: Final = N_(
    "inside a quoted field that goes on over several lines, one of which reads as a task: "
    "either the quote is stray, or the line is a part of the field"
)
#: ClickHouse writes the least and the greatest value of each column below an empty line, as two rows, and above them
#: perhaps the totals as another.
EXTREMES: Final = N_(
    "one of two rows below an empty line at the end, as ClickHouse writes the least and the greatest value of each "
    "column (extremes): if it is a task, remove the empty line"
)
_ROWS_BELOW_TASKS: Final = 3
_EXTREME_ROWS: Final = 2


class _Ambiguous(NamedTuple):
    """Lines that can be read in two ways together."""

    reason: str
    lines: int


class CsvParser:
    """Parses the lines of one list.

    Args:
        source: the list's name.
        delimiter: one character, None where it is to be detected.
        columns: the column names to look for, or the places of the ids.

    Attributes:
        beginning: what the first rows say, None before they were read.
    """

    def __init__(self, source: str, *, delimiter: str | None, columns: Columns) -> None:
        self._source = source
        self._delimiter = delimiter
        self._columns = columns
        self.beginning: CsvBeginning | None = None
        #: These three are set with the beginning.
        self._dialect: Dialect
        self._table: Table
        self._plain_bytes: bytes
        self._known_apps = KnownApps()
        self._held = Lines((), [])
        self._above: Sequence[RawRow] = ()
        #: Whether rows follow an empty line, so that empty lines divide the list into parts: no extremes stand below.
        self._has_parts = False

    @property
    def has_begun(self) -> bool:
        """Whether the first rows were read."""
        return self.beginning is not None

    def parse(self, lines: Lines) -> Iterator[Batch]:
        """Yield the rows of the lines held back earlier and of these lines. The last lines may be held back again.

        Raises:
            ListError: the first rows are neither a header nor tasks.
        """
        yield self._parse(lines, ended=False)

    def skip(self, row: BrokenRow) -> Iterator[Batch]:
        """Yield a line that cannot be read. No quoted field continues across it.

        Raises:
            ListError: the line may have been the header.
        """
        yield from self.finish()
        if self.beginning is None:
            raise ListError(f"line {row.line}, which may be the header, cannot be read: {row.reason}")
        yield Batch(self._source, (), (row,))

    def finish(self) -> Iterator[Batch]:
        """Yield the rows of the lines that were held back. No further line follows."""
        yield self._parse(Lines((), []), ended=True)

    def _parse(self, lines: Lines, *, ended: bool) -> Batch:
        if self._held.texts:
            lines = Lines([*self._held.numbers, *lines.numbers], self._held.texts + lines.texts)
            self._held = Lines((), [])
        if self.beginning is None:
            lines = _without_blank_start(lines)
            ended = ended or len(lines.texts) > _BEGINNING_LINES
            beginning = begin(lines, self._delimiter, self._columns, ended=ended)
            if beginning is None:
                self._held = lines
                return Batch(self._source, ())
            self._begin(beginning)
            lines = Lines(lines.numbers[beginning.lines :], lines.texts[beginning.lines :])
        rows = self._uniform_rows(lines) if self._table.is_plain else None
        batch = self._rows_one_by_one(lines, ended=ended) if rows is None else Batch(self._source, rows)
        self._above = batch.rows or self._above
        return batch

    def _begin(self, beginning: CsvBeginning) -> None:
        self.beginning = beginning
        self._dialect = Dialect(beginning.delimiter)
        # The bytes that need no special treatment in a field.
        self._plain_bytes = bytes(set(range(256)) - set(f'\n"{beginning.delimiter}'.encode()))
        self._table = Table(beginning.header, self._columns)

    def _uniform_rows(self, lines: Lines) -> RowColumns | None:
        """Return the rows if every line is exactly one row with a field for each column, else None."""
        data = b"\n".join(lines.texts)
        count = len(lines.texts)
        text = self._dialect.text(data)
        if text is None or not count:
            return None
        delimiter, width, places = self._dialect.delimiter, self._table.header.width, self._table.header.places
        ids: list[Sequence[str]]
        keys = None
        if '"' in text:
            # A backslash before a quote may escape it.
            records = None if '\\"' in text else self._records(text)
            # As many records as lines: none goes on over a line's end.
            if records is None or len(records) != count or set(map(len, records)) != {width}:
                return None
            columns = list(map(list, zip(*records, strict=True)))
            ids = [columns[place] for place in places]
        else:
            # Without the bytes of the fields, only the delimiters and the line ends are left.
            shape = (delimiter * (width - 1) + "\n").encode() * count
            if data.translate(None, self._plain_bytes) != shape[:-1]:
                return None
            fields = text.replace("\n", delimiter).split(delimiter)
            ids = [fields[place::width] for place in places]
            keys = lines.texts
        if " " in text or ("\t" in text and delimiter != "\t"):
            stripped: list[Sequence[str]] = [_stripped(column) for column in ids]
            # One space inside an id is enough to get here. Where no id changes, the lines are still the keys.
            if stripped != ids:
                ids, keys = stripped, None
        # An empty AppId may be a blank row.
        if "" in ids[0] or not self._known_apps.are_no_names(ids):
            return None
        in_order = delimiter == "," and width == IDS and places == IN_ORDER
        return RowColumns((ids[0], ids[1], ids[2]), lines.numbers, keys if in_order else None)

    def _records(self, text: str) -> list[list[str]] | None:
        try:
            return list(self._dialect.reader(text.split("\n")))
        except csv.Error:
            return None

    def _rows_one_by_one(self, lines: Lines, *, ended: bool) -> Batch:
        """Parse record by record. Unless ``ended``, an open quoted field may end in a line that is still to come."""
        rows: list[RawRow] = []
        broken: list[BrokenRow] = []
        numbers, texts = lines
        at = 0
        while at < len(texts):
            goes_on = b'"' in texts[at] or not (texts[at] or self._has_parts)
            candidates = texts[at : at + RECORD_LINES] if goes_on else texts[at : at + 1]
            used = 1
            match self._read(candidates, rows, ended=ended):
                case NeedMore():
                    self._held = Lines(numbers[at:], texts[at:])
                    break
                case Broken(reason):
                    broken.append(BrokenRow(reason, numbers[at]))
                case _Ambiguous(reason, used):
                    broken += [BrokenRow(reason, numbers[place]) for place in range(at, at + used) if texts[place]]
                case Record(fields, used):
                    row = self._row(fields, texts[at + 1 : at + used])
                    if isinstance(row, str):
                        reasons = [(row, place) for place in range(at, at + used)] if row is AMBIGUOUS else [(row, at)]
                        broken += [BrokenRow(reason, numbers[place]) for reason, place in reasons if texts[place]]
                    elif row is not None:
                        rows.append(RawRow(*row, numbers[at]))
            at += used
        return Batch(self._source, rows, broken)

    def _read(
        self, lines: Sequence[bytes], above: Sequence[RawRow], *, ended: bool
    ) -> Record | Broken | NeedMore | _Ambiguous:
        """Return the record that begins with the first line, or the lines that are ambiguous together.

        Args:
            lines: the first ones that were not read yet.
            above: the rows of this batch above them.
            ended: whether no line follows them.
        """
        if not (lines[0] or self._has_parts):
            full = [line for line in lines if line]
            self._has_parts = len(full) > _ROWS_BELOW_TASKS or len(lines) == RECORD_LINES
            if not (self._has_parts or ended):
                return NeedMore.LINES
            return _Ambiguous(EXTREMES, len(lines)) if self._are_extremes(full, above) else Record([""])
        if b'\\"' in lines[0] and not self._dialect.has_tabs:
            used = lines_with_escapes(lines, self._dialect, ended=ended)
            if isinstance(used, NeedMore):
                return used
            if any(map(self._task_of, lines[1:used])):
                return _Ambiguous(AMBIGUOUS, used)
        return read_record(lines, self._dialect, ended=ended, width=self._table.header.width)

    def _are_extremes(self, lines: Sequence[bytes], above: Sequence[RawRow]) -> bool:
        """Return whether these can be the least and the greatest value of each column of the rows above."""
        tasks = [task for line in lines if (task := self._task_of(line)) and not any(map(looks_like_a_name, task))]
        # Those at hand will do. The totals, perhaps the last of them, are no task.
        known = [row[:IDS] for row in [*self._above, *above] if names_a_task(row)]
        if not known or len(lines) != _EXTREME_ROWS or len(tasks) != _EXTREME_ROWS:
            return False
        least, greatest = tasks
        return all(
            _in_order(low, str(value)) and _in_order(str(value), high)
            for ids in known
            for low, value, high in zip(least, ids, greatest, strict=True)
        )

    def _row(self, fields: Sequence[str], further: Sequence[bytes]) -> Ids | str | None:
        """Return the ids of a record, why it is broken, or None for what is no row."""
        table = self._table
        if further:
            ids = table.ids(fields)
            if any(task not in {None, ids} for task in map(self._task_of, further)):
                return AMBIGUOUS
        return table.row(fields)

    def _task_of(self, line: bytes) -> Ids | None:
        """Return the ids of the task that a line names if it is a row of its own, or None if it names no task."""
        record = read_record([line], self._dialect, ended=True, width=self._table.header.width)
        if isinstance(record, Record):
            return self._table.task(record.fields)
        # The quote that makes it none may be stray as well, behind the ids.
        text = self._dialect.text(line)
        return None if text is None else self._table.task(text.partition('"')[0].split(self._dialect.delimiter))


def _in_order(less: str, more: str) -> bool:
    """Return whether a column's least value and its greatest can be these: as text, or as numbers."""
    return less <= more or (less.isdecimal() and more.isdecimal() and int(less) <= int(more))


def _without_blank_start(lines: Lines) -> Lines:
    start = next((place for place, text in enumerate(lines.texts) if text.strip()), len(lines.texts))
    return Lines(lines.numbers[start:], lines.texts[start:])


def _stripped(fields: Sequence[str]) -> list[str]:
    return list(map(str.strip, fields, repeat(SPACES)))
