"""How a list is written, and what reads it then."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePath
from typing import Final, Protocol

from stopcast.errors import ListError
from stopcast.sources.columns import Choice, Columns
from stopcast.sources.csv_rows import CsvParser
from stopcast.sources.jsonl_rows import JsonlParser
from stopcast.sources.lines import Lines
from stopcast.tasks.task import Batch, BrokenRow


class Form(StrEnum):
    """How a list is written. ``AUTO`` goes by the name, then by the first line."""

    AUTO = "auto"
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"


_SUFFIXES: Final = {
    ".csv": Form.CSV,
    ".tsv": Form.TSV,
    ".jsonl": Form.JSONL,
    ".ndjson": Form.JSONL,
    ".json": Form.JSONL,
}


class RowParser(Protocol):
    """Makes rows of the lines of one list."""

    def parse(self, lines: Lines) -> Batch:
        """Return what the lines hold, but for what the next ones have to settle."""

    def skip(self, row: BrokenRow) -> Batch:
        """Take note of a line that cannot be had."""

    def finish(self) -> Batch:
        """Return what was left to be settled, now that no line follows."""


def form_of_name(name: str) -> Form:
    """Return the form that a file's name tells, AUTO if it tells none."""
    return _SUFFIXES.get(PurePath(name.lower().removesuffix(".gz")).suffix, Form.AUTO)


def form_of_line(line: bytes) -> Form:
    """Return the form that a list's first line tells."""
    if line.lstrip().startswith((b"{", b"[")):
        return Form.JSONL
    return Form.TSV if b"\t" in line else Form.CSV


def parser_of(form: Form, source: str, *, columns: Columns, choice: Choice) -> RowParser:
    """Return what reads a list of this form.

    Raises:
        ListError: statuses are asked for, and this form has none.
    """
    if form is Form.JSONL:
        return JsonlParser(source, columns=columns, choice=choice)
    if choice.reports_only:
        raise ListError(
            f"only an earlier report, which is JSONL, has statuses to choose from; this is {form.upper()}: "
            "leave --only out"
        )
    return CsvParser(source, delimiter="\t" if form is Form.TSV else ",", columns=columns)
