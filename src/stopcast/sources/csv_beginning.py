"""What the first lines of delimited text say: the delimiter, the header, and where the rows begin. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stopcast.errors import ListError
from stopcast.sources.columns import SPACES, Columns
from stopcast.sources.csv_records import Broken, Dialect, Record, read_record
from stopcast.sources.header import HEADER_WITHIN, Header, start_of
from stopcast.sources.lines import Lines
from stopcast.sources.unread_text import check_known
from stopcast.tasks.task import ID_PATTERN

_DELIMITERS: Final = ("\t", ",", ";", "|")
#: Excel takes the delimiter from such a line.
_SEP_LINE: Final = re.compile(rb'"?sep=(.)"?', re.IGNORECASE)
_BLANK: Final = b' \t\v\f,;|"'


@dataclass(frozen=True, slots=True)
class CsvBeginning:
    """How a list begins.

    Attributes:
        delimiter: between the fields.
        header: where the ids stand.
        line: of the header, or of the first row where there is none.
        lines: the lines that are no rows.
    """

    delimiter: str
    header: Header
    line: int
    lines: int


@dataclass(frozen=True, slots=True)
class _Reading:
    """The first lines, read with one delimiter.

    Attributes:
        start: what ``start_of`` returns.
        records: the first records, and their place among the lines.
        cells: of the first line.
    """

    delimiter: str
    start: Header | ListError | None
    records: list[tuple[int, Record]]
    cells: int

    def rank(self, columns: Columns) -> tuple[bool, bool, int, int]:
        """Return the order of the readings, the best one first."""
        if not isinstance(self.start, Header):
            return True, self.start is not None, 0, -self.cells
        # By their places, columns can be found in any row: ids are better than names.
        return False, self.start.named is (columns.by_place is not None), self.start.above, -self.cells


def begin(lines: Lines, delimiter: str | None, columns: Columns, *, ended: bool) -> CsvBeginning | None:
    """Return how a list begins whose first lines these are, None where that depends on lines that are still to come.

    Raises:
        ListError: the first rows are neither a header nor tasks.
    """
    texts = lines.texts
    first = next((place for place, text in enumerate(texts) if text.strip(_BLANK)), None)
    if first is None:
        return None
    if (sep := _SEP_LINE.fullmatch(texts[first].strip(b" "))) is not None:
        delimiter = delimiter or sep[1].decode("ascii", "replace")
        texts = [*[b""] * (first + 1), *texts[first + 1 :]]
        if not any(text.strip(_BLANK) for text in texts):
            return None
    candidates = (delimiter,) if delimiter else _DELIMITERS
    readings = [_read(texts, candidate, columns, ended=ended) for candidate in candidates]
    best = min(readings, key=lambda reading: reading.rank(columns))
    match best.start:
        case None:
            return None
        case ListError() as error:
            if delimiter is None:
                check_known(Lines(lines.numbers[first:], texts[first:]), columns)
            raise error
        case Header() as header:
            place, record = best.records[header.above]
            _check_header(texts[place + 1 : place + record.lines], best.delimiter, header)
            used = place + record.lines if header.named else place
            return CsvBeginning(best.delimiter, header, lines.numbers[place], used)


def _read(texts: Sequence[bytes], delimiter: str, columns: Columns, *, ended: bool) -> _Reading:
    dialect = Dialect(delimiter)
    records: list[tuple[int, Record]] = []
    cells = next(text for text in texts if text.strip(_BLANK)).count(delimiter.encode()) + 1
    at = 0
    while at < len(texts) and len(records) < HEADER_WITHIN:
        result = read_record(texts[at:], dialect, ended=ended) if texts[at].strip(_BLANK) else Record([])
        if isinstance(result, Record):
            if result.fields:
                records.append((at, result))
            at += result.lines
            continue
        if not records:
            error = None
            if isinstance(result, Broken):
                error = ListError(f"the first row, which may be the header, cannot be read: {result.reason}")
            return _Reading(delimiter, error, records, cells)
        ended = ended or isinstance(result, Broken)
        break
    rows = [record.fields for _, record in records]
    return _Reading(delimiter, start_of(rows, columns, ended=ended), records, cells)


def _check_header(further: Sequence[bytes], delimiter: str, header: Header) -> None:
    """Refuse a header that goes on over lines of which one reads as a task."""
    for line in further:
        match read_record([line], Dialect(delimiter), ended=True):
            case Record(fields) if max(header.places) < len(fields):
                if all(ID_PATTERN.fullmatch(fields[place].strip(SPACES)) for place in header.places):
                    raise ListError(
                        "a quote in the header is not closed on its line, and the next line reads as a task"
                    )
