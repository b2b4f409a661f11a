"""Lists of tasks: CSV, TSV and JSON lines, from a file, a FIFO or standard input, as batches of rows.

Bytes flow in and batches flow out, small enough for the event loop to have its turn in between; whether a row names a
task is not checked here. What can go wrong with a line is a BrokenRow; what can go wrong with the whole list is a
ListError, after the rows that could be read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator

from stopcast.errors import ListError
from stopcast.sources.chunks import STANDARD_INPUT, Chunks
from stopcast.sources.columns import Choice, Columns
from stopcast.sources.extent import Extent
from stopcast.sources.forms import Form, RowParser, form_of_line, form_of_name, parser_of
from stopcast.sources.lines import Lines, LineSplitter
from stopcast.tasks.task import Batch, BrokenRow

__all__ = ["Choice", "Columns", "Extent", "Form", "open_list"]


async def open_list(
    path: str | os.PathLike[str],
    *,
    form: Form = Form.AUTO,
    columns: Columns | None = None,
    choice: Choice | None = None,
    extent: Extent | None = None,
) -> AsyncGenerator[Batch, None]:
    """Yield a list's rows as they arrive.

    Args:
        path: the list, "-" for standard input; gzip is recognised by its bytes.
        form: how it is written.
        columns: the names of the three columns or keys, where they are not the API's.
        choice: where the list is an earlier report, which of its lines to take; by default those that did not go well.
        extent: kept true while the list is read, for whoever wants to know how much of it is left.

    Raises:
        ListError: the list cannot be opened, or not be read to its end; the rows before that were yielded.
    """
    source = os.fspath(path)
    try:
        reader = RowReader(source, form=form, columns=columns or Columns(), choice=choice or Choice())
        cut_short: ListError | None = None
        with Chunks(source, extent) as chunks:
            chunk: bytes | None = b""
            while chunk is not None:
                try:
                    chunk = await chunks.next()
                except ListError as error:
                    chunk, cut_short = None, error
                batches = reader.finish(cut_short=cut_short is not None) if chunk is None else reader.feed(chunk)
                for batch in batches:
                    if batch.rows or batch.broken or batch.left_out or batch.too_old:
                        yield batch
                    await asyncio.sleep(0)
        if cut_short is not None:
            raise cut_short
    except ListError as error:
        name = "standard input" if source == STANDARD_INPUT else source
        raise ListError(f"{name}: {error}") from error.__cause__


class RowReader:
    """Reads one list.

    Args:
        source: the list's name.
        form: how it is written; ``AUTO`` goes by the name, then by the first line.
        columns: the names of the three columns or keys.
        choice: which lines of a report to take.

    Raises:
        ListError: here and in every method: the list as a whole cannot be read.
    """

    def __init__(self, source: str, *, form: Form, columns: Columns, choice: Choice) -> None:
        self._source = source
        self._columns = columns
        self._choice = choice
        self._splitter = LineSplitter()
        self._parser: RowParser | None = None
        self._too_early: list[BrokenRow] = []
        if form is Form.AUTO:
            form = form_of_name(source)
        if form is not Form.AUTO:
            self._parser = self._parser_of(form)

    def feed(self, chunk: bytes) -> Iterator[Batch]:
        """Yield the rows that these bytes complete, in small batches, some of them empty."""
        for part in self._splitter.split(chunk):
            yield from self._parsed(part)

    def finish(self, *, cut_short: bool) -> Iterator[Batch]:
        """Yield the rows that the list's end completes.

        Where it was ``cut_short``, what stands after the last line's end is no row: half an id may be another task's.
        """
        if not cut_short:
            for part in self._splitter.finish():
                yield from self._parsed(part)
        yield Batch(self._source, (), self._too_early) if self._parser is None else self._parser.finish()

    def _parsed(self, part: Lines | BrokenRow) -> Iterator[Batch]:
        if self._parser is not None:
            yield self._parser.skip(part) if isinstance(part, BrokenRow) else self._parser.parse(part)
        elif isinstance(part, BrokenRow):
            # Without a line that can be read, nobody knows whether this may have been a header.
            self._too_early.append(part)
        elif (first := next(filter(bytes.strip, part.texts), None)) is not None:
            self._parser = self._parser_of(form_of_line(first))
            yield from map(self._parser.skip, self._too_early)
            yield self._parser.parse(part)

    def _parser_of(self, form: Form) -> RowParser:
        return parser_of(form, self._source, columns=self._columns, choice=self._choice)
