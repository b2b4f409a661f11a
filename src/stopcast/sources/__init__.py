"""Lists of tasks: CSV, TSV and JSON lines, from a file, a FIFO or standard input, as batches of rows.

Bytes flow in and batches flow out, small enough for the event loop to have its turn in between; whether a row names a
task is not checked here. What can go wrong with a line is a BrokenRow; what can go wrong with the whole list is a
ListError, after the rows that could be read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator

from stopcast.errors import ListError
from stopcast.outcome import Status
from stopcast.sources.chunks import STANDARD_INPUT, Chunks
from stopcast.sources.columns import Columns
from stopcast.sources.forms import Form, RowParser, form_of_line, form_of_name, parser_of
from stopcast.sources.lines import Lines, LineSplitter
from stopcast.task import Batch, BrokenRow

__all__ = ["Columns", "Form", "open_list"]


async def open_list(
    path: str | os.PathLike[str],
    *,
    form: Form = Form.AUTO,
    columns: Columns | None = None,
    only: Collection[Status] | None = None,
) -> AsyncGenerator[Batch, None]:
    """Yield a list's rows as they arrive.

    Args:
        path: the list, "-" for standard input; gzip is recognised by its bytes.
        form: how it is written.
        columns: the names of the three columns or keys, where they are not the API's.
        only: where the list is an earlier report, the statuses whose rows to take. By default those that are not good
            are taken of a report, and every row of any other list.

    Raises:
        ListError: the list cannot be opened, or not be read to its end; the rows before that were yielded.
    """
    source = os.fspath(path)
    try:
        rows = _Rows(source, form, columns or Columns(), None if only is None else frozenset(only))
        splitter = LineSplitter()
        chunk: bytes | None = b""
        cut_short: ListError | None = None
        with Chunks(source) as chunks:
            while chunk is not None:
                try:
                    chunk = await chunks.next()
                    parts = splitter.finish() if chunk is None else splitter.split(chunk)
                except ListError as error:
                    # What the end cut off in the middle of a line is no row: half an id may be another task's.
                    chunk, parts, cut_short = None, iter(()), error
                for batch in rows.batches(parts, last=chunk is None):
                    yield batch
                    await asyncio.sleep(0)
        if cut_short is not None:
            raise cut_short
    except ListError as error:
        name = "standard input" if source == STANDARD_INPUT else source
        raise ListError(f"{name}: {error}") from error.__cause__


class _Rows:
    """One list's rows, out of its lines; its form is settled by the first line at the latest."""

    def __init__(self, source: str, form: Form, columns: Columns, only: frozenset[Status] | None) -> None:
        self._source = source
        self._columns = columns
        self._only = only
        self._parser: RowParser | None = None
        self._too_early: list[BrokenRow] = []
        if form is Form.AUTO:
            form = form_of_name(source)
        if form is not Form.AUTO:
            self._parser = self._parser_of(form)

    def batches(self, parts: Iterable[Lines | BrokenRow], *, last: bool) -> Iterator[Batch]:
        for part in parts:
            yield from filter(_holds_any, self._batches(part))
        if last:
            end = Batch(self._source, (), self._too_early) if self._parser is None else self._parser.finish()
            yield from filter(_holds_any, [end])

    def _batches(self, part: Lines | BrokenRow) -> Iterator[Batch]:
        if self._parser is None:
            first = b"" if isinstance(part, BrokenRow) else next(filter(bytes.strip, part.texts), b"")
            if isinstance(part, BrokenRow):
                self._too_early.append(part)
            if not first:
                return
            self._parser = self._parser_of(form_of_line(first))
            yield from map(self._parser.skip, self._too_early)
        if isinstance(part, BrokenRow):
            yield self._parser.skip(part)
        else:
            yield self._parser.parse(part)

    def _parser_of(self, form: Form) -> RowParser:
        return parser_of(form, self._source, columns=self._columns, only=self._only)


def _holds_any(batch: Batch) -> bool:
    return bool(batch.rows or batch.broken or batch.left_out)
