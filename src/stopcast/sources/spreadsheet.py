"""The rows of an Excel workbook, as JSON arrays: one a line, so that a row's number in the sheet is its line.

The whole sheet is in memory while it is read. A sheet has at most 1,048,576 rows.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import IO, Any, Final

import orjson

from stopcast.errors import ListError
from stopcast.marking import N_
from stopcast.sources.columns import Columns
from stopcast.sources.header import HEADER_WITHIN, Header, start_of
from stopcast.sources.other_files import check_zip, kind_error
from stopcast.sources.text import Detected, Sheet

_ROWS_AT_ONCE: Final = 1000
_IN_MEMORY: Final = 1 << 23
_DATES: Final = (date, datetime, time, timedelta)
_NO_READER: Final = N_(
    "pip install 'stopcast[excel]' to read it, or open it, save the sheet as CSV, and name that file"
)
_WORKBOOKS: Final = frozenset({"xl/workbook.xml", "xl/workbook.bin"})


def rows_of_workbook(
    head: bytes, chunks: Iterator[bytes], path: str, columns: Columns, detected: Detected
) -> Iterator[bytes]:
    """Yield the rows of the first sheet that has the three columns, with blank lines for those that are no tasks.

    Args:
        head: the first bytes of the file.
        chunks: its bytes.
        path: its name, for messages.
        columns: the names of the three columns.
        detected: gets the sheet before the first row is yielded.

    Raises:
        ListError: it is no workbook, or no sheet has the columns.
    """
    check_zip(head, path)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        for chunk in chunks:
            file.write(chunk)
        if not _is_workbook(file):
            raise kind_error("a zip archive", "unzip -p {path} | stopcast run -", path)
        try:
            import python_calamine as calamine  # noqa: PLC0415 - an extra
        except ImportError:
            raise kind_error("an Excel workbook (.xlsx)", _NO_READER, path) from None
        file.seek(0)
        try:
            name, header, rows = _first_sheet(calamine.CalamineWorkbook.from_filelike(file), columns)
        except (calamine.CalamineError, OSError, ValueError) as error:
            raise ListError(f"it is an Excel workbook that cannot be read: {error}") from error
    full = (place for place, row in enumerate(rows) if _is_full(row))
    first = next(islice(full, header.above, None))
    detected.sheet = Sheet(name, header, first + 1)
    skipped = first + header.named
    yield b"\n" * skipped
    for start in range(skipped, len(rows), _ROWS_AT_ONCE):
        yield b"".join(map(_line, rows[start : start + _ROWS_AT_ONCE]))


def _is_workbook(file: IO[bytes]) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return not _WORKBOOKS.isdisjoint(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        raise ListError("its zip data is damaged; fetch the file again") from None


def _first_sheet(workbook: Any, columns: Columns) -> tuple[str, Header, Sequence[Sequence[Any]]]:
    errors: list[str] = []
    for name in workbook.sheet_names:
        rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
        first = [[_text(cell) for cell in row] for row in islice(filter(_is_full, rows), HEADER_WITHIN)]
        if not first:
            continue
        start = start_of(first, columns, ended=True)
        if isinstance(start, Header):
            return name, start, rows
        errors.append(f"sheet {name!r}: {start}")
    raise ListError("; ".join(errors) or "it is an Excel workbook without any rows")


def _is_full(row: Sequence[Any]) -> bool:
    return any(cell != "" for cell in row)


def _text(cell: Any) -> str:
    is_whole = isinstance(cell, float) and cell.is_integer()
    return str(int(cell) if is_whole else cell)


def _line(row: Sequence[Any]) -> bytes:
    if not _is_full(row):
        return b"\n"
    cells = [{"date": str(cell)} if isinstance(cell, _DATES) else cell for cell in row]
    return orjson.dumps(cells, option=orjson.OPT_APPEND_NEWLINE)
