"""Reads one list: from its bytes, which a thread brings, to batches of rows."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final, Self

from stopcast.errors import ListError
from stopcast.sources.beginning import Beginning
from stopcast.sources.chunks import CHUNK_BYTES, STANDARD_INPUT, Chunks, Extent
from stopcast.sources.columns import Header
from stopcast.sources.compression import decompressed, head_of
from stopcast.sources.csv_rows import CsvParser
from stopcast.sources.forms import Form, Read, Reading, reader_of
from stopcast.sources.json_rows import JsonParser
from stopcast.sources.kinds import check_binary, is_zip
from stopcast.sources.lines import Lines
from stopcast.sources.report_lines import LastLines
from stopcast.sources.text import Detected, text_of
from stopcast.tasks.task import Batch, BrokenRow

#: A file is known by its first bytes, and tar by what follows the name of its first member.
_MAGIC_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Understood:
    """How a list was understood.

    Attributes:
        form: how it is written.
        is_report: whether it is an earlier report.
        compressions: the outermost first.
        encoding: of its text.
        line_ends: LF, CRLF, CR or CRCRLF.
        delimiter: of its fields, None for JSON and workbooks.
        sheet: of a workbook.
        header_line: the line of its header, None where it has none.
        no_header: whether it is a table without a header, whose columns are taken as AppId, RoomId, TaskId.
    """

    form: Form
    is_report: bool
    compressions: Sequence[str]
    encoding: str
    line_ends: str
    delimiter: str | None = None
    sheet: str | None = None
    header_line: int | None = None
    no_header: bool = False


class RowReader:
    """Makes rows of the text of one list, as it arrives. Pure.

    Args:
        source: the list's name.
        reading: what the user says about it.

    Attributes:
        read: what reads it, None while that is not known.
        head: text that was not cut into lines yet.
        sheet: of a workbook, the header of its rows; to be set before the first text.
    """

    def __init__(self, source: str, reading: Reading) -> None:
        self._source = source
        self._reading = reading
        self.head = b""
        self.read: Read | None = None
        self.sheet: Header | None = None

    @property
    def beginning(self) -> Beginning | None:
        """How delimited text begins, None while that is not known, and for other lists."""
        return self.read.parser.beginning if self.read and isinstance(self.read.parser, CsvParser) else None

    def begin(self, text: bytes | None) -> bool:
        """Take the next text, None at the end. Return whether what reads the list is known; then ``rows`` yields."""
        self.head += text or b""
        if self.read is None:
            ended = text is None
            self.read = reader_of(self.head, self._source, self._reading, ended=ended, sheet=self.sheet)
        return self.read is not None

    def rows(self) -> Iterator[Batch]:
        """Yield the rows that the text completes, in small batches, some of them empty."""
        assert self.read is not None  # noqa: S101 - begin() said so
        text, self.head = self.head, b""
        for part in self.read.splitter.split(text):
            yield from self._parsed(self.read, part)

    def finish(self, *, cut_short: bool) -> Iterator[Batch]:
        """Yield the rows that the list's end completes.

        Where it was ``cut_short``, what stands after the last line's end is no row: half an id may be another task's.
        """
        if self.read is None:
            return
        if not cut_short:
            for part in self.read.splitter.finish():
                yield from self._parsed(self.read, part)
        yield from self.read.parser.finish()

    @staticmethod
    def _parsed(read: Read, part: Lines | BrokenRow) -> Iterator[Batch]:
        return read.parser.skip(part) if isinstance(part, BrokenRow) else read.parser.parse(part)


class ListReader:
    """Reads one list. Use it in an ``async with`` block, whose end ends the reading at once.

    Args:
        source: a path, "-" for standard input.
        reading: what the user says about the list.
        extent: is kept true while the list is read.
        name: the list's name in its rows and in errors, where it is not its path.
    """

    def __init__(self, source: str, reading: Reading, extent: Extent | None = None, *, name: str | None = None) -> None:
        self._source = source
        self._name = source if name is None else name
        self._reading = reading
        self.extent = extent or Extent()
        self._detected = Detected()
        self._sheet_line = 0
        self._rows = RowReader(self._name, reading)
        self._chunks = Chunks(source, self.extent, decode=partial(self._decode, self.extent))
        self._stack = ExitStack()
        self._understood: list[Batch] = []

    async def __aenter__(self) -> Self:
        self._stack.enter_context(self._chunks)
        self._stream = self._read_all()
        return self

    async def __aexit__(self, *_error: object) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._stack.close()

    async def understand(self) -> Understood:
        """Read the beginning of the list, and return how it was understood.

        Raises:
            ListError: it cannot be opened, or its beginning cannot be understood.
        """
        while not self._is_understood():
            try:
                self._understood.append(await anext(self._stream))
            except StopAsyncIteration:
                break
        read, detected, beginning = self._rows.read, self._detected, self._rows.beginning
        return Understood(
            form=Form.CSV if read is None else Form.TSV if beginning and beginning.delimiter == "\t" else read.form,
            is_report=read is not None and read.is_report,
            compressions=detected.compressions,
            encoding=detected.encoding,
            line_ends=detected.line_ends,
            delimiter=None if beginning is None else beginning.delimiter,
            sheet=detected.sheet,
            header_line=beginning.line if beginning and beginning.header.named else self._sheet_line or None,
            no_header=self._has_no_header(),
        )

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Yield the rows, once.

        Raises:
            ListError: the list cannot be opened, or not be read to its end; the rows before that were yielded.
        """
        understood, self._understood = self._understood, []
        for batch in understood:
            if not batch.is_empty:
                yield batch
        async for batch in self._stream:
            if not batch.is_empty:
                yield batch

    def _is_understood(self) -> bool:
        read = self._rows.read
        has_begun = read is not None and isinstance(read.parser, JsonParser) and read.parser.has_begun
        return has_begun or self._rows.beginning is not None

    def _has_no_header(self) -> bool:
        if (beginning := self._rows.beginning) is not None:
            return not beginning.header.named and self._reading.columns.by_place is None
        return self._rows.sheet is not None and not self._rows.sheet.named

    async def _read_all(self) -> AsyncGenerator[Batch, None]:
        """Yield the rows; after each chunk at least an empty batch."""
        try:
            cut_short: ListError | None = None
            texts: AsyncIterator[bytes] = self._texts()
            while True:
                try:
                    text = await anext(texts, None)
                except ListError as error:
                    text, cut_short = None, error
                begun = self._rows.read is not None
                if self._rows.begin(text if cut_short is None else b""):
                    if not begun and self._rows.read is not None and self._rows.read.is_report:
                        texts = await self._with_last_lines(self._rows.read, texts)
                    for batch in self._rows.rows():
                        yield batch
                        await asyncio.sleep(0)
                if text is None:
                    break
                yield Batch(self._name, ())
            for batch in self._rows.finish(cut_short=cut_short is not None):
                yield batch
                await asyncio.sleep(0)
            if cut_short is not None:
                raise cut_short
        except ListError as error:
            name = "standard input" if self._name == STANDARD_INPUT else self._name
            raise ListError(f"{name}: {error}") from error.__cause__

    async def _texts(self) -> AsyncIterator[bytes]:
        while (text := await self._chunks.next()) is not None:
            yield text

    def _decode(self, extent: Extent, raw: Iterator[bytes]) -> Iterator[bytes]:
        """Make text of the file's bytes. This runs in the thread that reads them."""
        name = "LIST" if self._name == STANDARD_INPUT else self._name
        chunks, names = decompressed(raw, extent, name, [])
        self._detected.compressions = tuple(names)
        head, chunks = head_of(chunks, lambda head: len(head) >= _MAGIC_BYTES or b"\n" in head)
        check_binary(head, name)
        if is_zip(head):
            from stopcast.sources.spreadsheet import rows_of_workbook  # noqa: PLC0415 - few lists are workbooks

            yield from rows_of_workbook(head, chunks, name, self._reading.columns, self._found_sheet)
        else:
            last = b""
            for text in text_of(chunks, self._detected, self._reading.encoding):
                last = text or last
                yield text
            if extent.changed and last and not last.endswith(b"\n"):
                raise ListError(
                    "it is being written, and its last line has no end yet: when it is whole, continue with --resume"
                )

    def _found_sheet(self, name: str, header: Header, line: int) -> None:
        self._detected.sheet = name
        self._rows.sheet = header
        self._sheet_line = line if header.named else 0

    async def _with_last_lines(self, read: Read, texts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Read the report to its end, for the parser to know which line about a task is the last; then read it again.

        Returns:
            The rest of its text.
        """
        assert isinstance(read.parser, JsonParser)  # noqa: S101 - only JSON is a report
        last_lines = LastLines(frozenset(status.value for status in self._reading.choice.statuses))
        splitter = read.splitter.__class__()
        rest: AsyncIterator[bytes]
        if self._source != STANDARD_INPUT and await asyncio.to_thread(Path(self._source).is_file):
            with Chunks(self._source, decode=partial(self._decode, Extent())) as chunks:
                while (text := await chunks.next()) is not None:
                    await _feed(last_lines, splitter.split(text))
            rest = texts
        else:
            file = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the reader
            await _feed(last_lines, splitter.split(self._rows.head))
            async for text in texts:
                file.write(text)
                await _feed(last_lines, splitter.split(text))
            file.seek(0)
            rest = _pieces(file)
        await _feed(last_lines, splitter.finish())
        read.parser.last_lines = last_lines
        return rest


async def _feed(last_lines: LastLines, parts: Iterator[Lines | BrokenRow]) -> None:
    for part in parts:
        if isinstance(part, Lines):
            last_lines.feed(part.texts)
            await asyncio.sleep(0)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := file.read(CHUNK_BYTES):
        yield piece
