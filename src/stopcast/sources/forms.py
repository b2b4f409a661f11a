"""How a list is written, and the parser that makes rows of its text. Pure."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from stopcast.errors import ListError
from stopcast.sources.columns import Columns
from stopcast.sources.csv_beginning import CsvBeginning
from stopcast.sources.csv_rows import CsvParser
from stopcast.sources.header import Header
from stopcast.sources.json_rows import JsonParser
from stopcast.sources.json_text import NotJsonError, value_of
from stopcast.sources.json_values import FLAT_OBJECT, ValueSplitter
from stopcast.sources.lines import LINE_BYTES, Lines, LineSplitter
from stopcast.sources.other_files import check_text
from stopcast.sources.report_lines import ReportFilter, may_be_reported, status_of
from stopcast.tasks.task import Batch, BrokenRow


class Form(StrEnum):
    """How a list is written. ``AUTO`` goes by the content."""

    AUTO = "auto"
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    JSON = "json"
    XLSX = "xlsx"


class Splitter(Protocol):
    """Cuts text into numbered lines or values."""

    def split(self, chunk: bytes) -> Iterator[Lines | BrokenRow]:
        """Yield what the chunk completes."""

    def finish(self) -> Iterator[Lines | BrokenRow]:
        """Yield what the end completes."""


class ReadOptions(NamedTuple):
    """How a list is to be read, as far as the user says it.

    Attributes:
        form: how the list is written.
        delimiter: of CSV, None where it is to be detected.
        encoding: of the text, None where it is to be detected.
        columns: the names or places of the three columns.
        report_filter: where the list is an earlier report, which of its lines are taken.
    """

    form: Form = Form.AUTO
    delimiter: str | None = None
    encoding: str | None = None
    columns: Columns = Columns()
    report_filter: ReportFilter = ReportFilter()


class ListParser(NamedTuple):
    """Makes rows of the text of one list, once its form is known.

    Attributes:
        form: how the list is written.
        splitter: makes lines or values of the text.
        rows: makes rows of those.
        is_report: whether the list is an earlier report.
    """

    form: Form
    splitter: Splitter
    rows: CsvParser | JsonParser
    is_report: bool = False

    @property
    def beginning(self) -> CsvBeginning | None:
        """How delimited text begins, None while that is not known, and for other lists."""
        return self.rows.beginning if isinstance(self.rows, CsvParser) else None

    def parse(self, text: bytes) -> Iterator[Batch]:
        """Yield the rows that the text completes, in small batches, some of them empty."""
        yield from self._parsed(self.splitter.split(text))

    def finish(self, *, cut_short: bool = False) -> Iterator[Batch]:
        """Yield the rows that the list's end completes.

        Where it was ``cut_short``, what stands after the last line's end is no row: half an id may be another task's.
        """
        if not cut_short:
            yield from self._parsed(self.splitter.finish())
        yield from self.rows.finish()

    def _parsed(self, parts: Iterator[Lines | BrokenRow]) -> Iterator[Batch]:
        for part in parts:
            yield from self.rows.skip(part) if isinstance(part, BrokenRow) else self.rows.parse(part)


#: A bracket may also stand around the name of a column, or around the first field of a log.
_JSON_BEGINS: Final = re.compile(rb'\{|\[\s*(?:[\[{"\]]|(?:-?\d[\d.eE+-]*|true|false|null)\s*[,\]]|\Z)')
#: An array whose first element is an object or another array.
_NESTED: Final = re.compile(rb"\[\s*(?:null\s*,\s*)*[\[{]")
#: How a line ends within which no value ends.
_OPEN_ENDS: Final = (b",", b"{", b"[", b"}", b"]")
#: RFC 7464 puts it before each value.
_RECORD_SEPARATOR: Final = b"\x1e"
_BLANK: Final = b" \t\r\n\v\f" + _RECORD_SEPARATOR
_BETWEEN_VALUES: Final = b" \t," + codecs.BOM_UTF8


def parser_of(
    head: bytes, source: str, options: ReadOptions, *, ended: bool, sheet: Header | None = None
) -> ListParser | None:
    """Return the parser of a list that begins with this text, None where that depends on what is still to come.

    Args:
        head: the text from its beginning on.
        source: the list's name.
        options: what the user says.
        ended: whether the text is whole.
        sheet: of a spreadsheet, the header of its rows, which are JSON arrays.

    Raises:
        ListError: it is no list, or another one than the user says.
    """
    columns, report_filter = options.columns, options.report_filter
    if sheet is not None:
        _check_statuses(Form.XLSX, report_filter)
        parser = JsonParser(source, columns=columns, report_filter=report_filter, header=sheet)
        return ListParser(Form.XLSX, LineSplitter(), parser)
    first = head.lstrip(_BLANK)
    line, line_end, _ = first.partition(b"\n")
    if not line_end and not ended and len(first) <= LINE_BYTES:
        return None
    form = options.form
    if form is Form.XLSX:
        raise ListError("it is not an Excel workbook; leave --format out")
    if form is Form.AUTO:
        check_text(first, source)
        form = Form.CSV
        if _JSON_BEGINS.match(first):
            separated = _RECORD_SEPARATOR in head[: len(head) - len(first)]
            form = Form.JSON if separated else _form_of(line.strip(_BLANK))
    if form in {Form.JSONL, Form.JSON}:
        in_array = form is Form.JSON and first.startswith(b"[")
        splitter: Splitter = LineSplitter() if form is Form.JSONL else ValueSplitter(in_array=in_array)
        parser = JsonParser(
            source, columns=columns, report_filter=report_filter, begins_as_object=first.startswith(b"{")
        )
        return ListParser(form, splitter, parser, is_report=_is_report(line))
    _check_statuses(form, report_filter)
    delimiter = options.delimiter or ("\t" if form is Form.TSV else None)
    return ListParser(form, LineSplitter(), CsvParser(source, delimiter=delimiter, columns=columns))


def _form_of(line: bytes) -> Form:
    """Return whether JSON is one value a line; ``line`` is the first one that is not blank."""
    try:
        value = value_of(line)
    except NotJsonError:
        first = FLAT_OBJECT.match(line)
        goes_on = first is not None and line[first.end() :].lstrip(_BETWEEN_VALUES).startswith((b"{", b"["))
        is_open = _NESTED.match(line) or line == b"[" or line.endswith(_OPEN_ENDS)
        return Form.JSON if goes_on or is_open else Form.JSONL
    if not isinstance(value, list):
        return Form.JSONL
    full = [item for item in value if item is not None]
    return Form.JSON if not full or isinstance(full[0], dict | list) else Form.JSONL


def _is_report(line: bytes) -> bool:
    try:
        value = value_of(line)
    except NotJsonError:
        return False
    return isinstance(value, dict) and may_be_reported(value) and status_of(value) is not None


def _check_statuses(form: Form, report_filter: ReportFilter) -> None:
    if report_filter.reports_only:
        raise ListError(
            f"only an earlier report, which is JSONL, has statuses to choose from; this is {form.upper()}: "
            "leave --only out"
        )
