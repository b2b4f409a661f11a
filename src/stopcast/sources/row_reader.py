"""A list's bytes to its rows, without any waiting: lines, the list's form, and its parser, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from stopcast.sources.choice import Choice
from stopcast.sources.columns import Columns
from stopcast.sources.forms import Form, RowParser, form_of_line, form_of_name, parser_of
from stopcast.sources.lines import Lines, LineSplitter
from stopcast.tasks.task import Batch, BrokenRow


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
