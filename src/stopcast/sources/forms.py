"""How a list is written, and what reads it then. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

import orjson

from stopcast.errors import ListError
from stopcast.sources.columns import Choice, Columns, Header
from stopcast.sources.csv_rows import CsvParser
from stopcast.sources.json_rows import JsonParser
from stopcast.sources.json_values import FLAT_OBJECT, ValueSplitter
from stopcast.sources.kinds import check_text
from stopcast.sources.lines import LINE_BYTES, Lines, LineSplitter
from stopcast.sources.report_lines import may_be_reported, status_of
from stopcast.tasks.task import BrokenRow


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


class Reading(NamedTuple):
    """How a list is to be read, as far as the user says it.

    Attributes:
        form: how the list is written.
        delimiter: of CSV, None where it is to be detected.
        encoding: of the text, None where it is to be detected.
        columns: the names or places of the three columns.
        choice: where the list is an earlier report, which of its lines are taken.
    """

    form: Form = Form.AUTO
    delimiter: str | None = None
    encoding: str | None = None
    columns: Columns = Columns()
    choice: Choice = Choice()


class Read(NamedTuple):
    """What reads a list, once its form is known.

    Attributes:
        form: how it is written.
        is_report: whether it is an earlier report.
    """

    form: Form
    splitter: Splitter
    parser: CsvParser | JsonParser
    is_report: bool = False


#: A bracket may also stand around the name of a column, or around the first field of a log.
_JSON_BEGINS: Final = re.compile(rb'\{|\[\s*(?:[\[{"\]]|(?:-?\d[\d.eE+-]*|true|false|null)\s*[,\]]|\Z)')
#: An array whose first element is an object or another array.
_NESTED: Final = re.compile(rb"\[\s*[\[{]")
#: How a line ends within which no value ends.
_OPEN_ENDS: Final = (b",", b"{", b"[", b"}", b"]")
#: RFC 7464 puts it before each value.
_RECORD_SEPARATOR: Final = b"\x1e"
_BLANK: Final = b" \t\r\n\v\f" + _RECORD_SEPARATOR


def reader_of(head: bytes, source: str, reading: Reading, *, ended: bool, sheet: Header | None = None) -> Read | None:
    """Return what reads a list that begins with this text, None where that depends on what is still to come.

    Args:
        head: the text from its beginning on.
        source: the list's name.
        reading: what the user says.
        ended: whether the text is whole.
        sheet: of a spreadsheet, the header of its rows, which are JSON arrays.

    Raises:
        ListError: it is no list, or another one than the user says.
    """
    columns, choice = reading.columns, reading.choice
    if sheet is not None:
        _check_statuses(Form.XLSX, choice)
        return Read(Form.XLSX, LineSplitter(), JsonParser(source, columns=columns, choice=choice, header=sheet))
    first = head.lstrip(_BLANK)
    line, line_end, _ = first.partition(b"\n")
    if not line_end and not ended and len(first) <= LINE_BYTES:
        return None
    form = reading.form
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
        parser = JsonParser(source, columns=columns, choice=choice, begins_as_object=first.startswith(b"{"))
        return Read(form, splitter, parser, is_report=_is_report(line))
    _check_statuses(form, choice)
    delimiter = reading.delimiter or ("\t" if form is Form.TSV else None)
    return Read(form, LineSplitter(), CsvParser(source, delimiter=delimiter, columns=columns))


def _form_of(line: bytes) -> Form:
    """Return whether JSON is one value a line; ``line`` is the first one that is not blank."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        first = FLAT_OBJECT.match(line)
        goes_on = first is not None and line[first.end() :].lstrip(b" \t,").startswith((b"{", b"["))
        is_open = _NESTED.match(line) or line == b"[" or line.endswith(_OPEN_ENDS)
        return Form.JSON if goes_on or is_open else Form.JSONL
    is_table = isinstance(value, list) and (not value or isinstance(value[0], dict | list))
    return Form.JSON if is_table else Form.JSONL


def _is_report(line: bytes) -> bool:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and may_be_reported(value) and status_of(value) is not None


def _check_statuses(form: Form, choice: Choice) -> None:
    if choice.reports_only:
        raise ListError(
            f"only an earlier report, which is JSONL, has statuses to choose from; this is {form.upper()}: "
            "leave --only out"
        )
