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
from stopcast.sources.chunks import CHUNK_BYTES, STANDARD_INPUT, Chunks, Extent
from stopcast.sources.compression import decompressed, head_of
from stopcast.sources.forms import Form, ListParser, ReadOptions, parser_of
from stopcast.sources.json_rows import JsonParser
from stopcast.sources.lines import Lines
from stopcast.sources.other_files import check_binary, is_zip
from stopcast.sources.report_lines import LastLines
from stopcast.sources.text import Detected, text_of
from stopcast.tasks.task import Batch, BrokenRow
from stopcast.threads import in_thread

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


class ListReader:
    """Reads one list. Use it in an ``async with`` block, whose end ends the reading at once.

    Args:
        source: a path, "-" for standard input.
        options: what the user says about the list.
        extent: is kept true while the list is read.
        name: the list's name in its rows and in errors, where it is not its path.
    """

    def __init__(
        self, source: str, options: ReadOptions, extent: Extent | None = None, *, name: str | None = None
    ) -> None:
        self._source = source
        self._name = source if name is None else name
        self._options = options
        self.extent = extent or Extent()
        self._detected = Detected()
        self._parser: ListParser | None = None
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
        while self._parser is None or not self._parser.rows.has_begun:
            try:
                self._understood.append(await anext(self._stream))
            except StopAsyncIteration:
                break
        parser, detected, sheet = self._parser, self._detected, self._detected.sheet
        beginning = None if parser is None else parser.beginning
        table = beginning or sheet
        form = Form.CSV if parser is None else parser.form
        return Understood(
            form=Form.TSV if beginning is not None and beginning.delimiter == "\t" else form,
            is_report=parser is not None and parser.is_report,
            compressions=detected.compressions,
            encoding=detected.encoding,
            line_ends=detected.line_ends,
            delimiter=None if beginning is None else beginning.delimiter,
            sheet=None if sheet is None else sheet.name,
            header_line=table.line if table and table.header.named else None,
            no_header=table is not None and not table.header.named and self._options.columns.by_place is None,
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

    async def _read_all(self) -> AsyncGenerator[Batch, None]:
        """Yield the rows; after each chunk at least an empty batch."""
        try:
            cut_short: ListError | None = None
            texts: AsyncIterator[bytes] = self._texts()
            text: bytes | None = b""
            unread = b""
            while text is not None:
                try:
                    text = await anext(texts, None)
                except ListError as error:
                    text, cut_short = None, error
                unread += text or b""
                if self._parser is None:
                    texts = await self._begin(unread, texts, ended=text is None and cut_short is None)
                if self._parser is not None:
                    for batch in self._parser.parse(unread):
                        yield batch
                        await asyncio.sleep(0)
                    unread = b""
                yield Batch(self._name, ())
            if self._parser is not None:
                for batch in self._parser.finish(cut_short=cut_short is not None):
                    yield batch
                    await asyncio.sleep(0)
            if cut_short is not None:
                raise cut_short
        except ListError as error:
            name = "standard input" if self._name == STANDARD_INPUT else self._name
            raise ListError(f"{name}: {error}") from error.__cause__

    async def _begin(self, head: bytes, texts: AsyncIterator[bytes], *, ended: bool) -> AsyncIterator[bytes]:
        """Set the parser, if the text so far is enough to know it, and return the further text."""
        sheet = self._detected.sheet
        header = None if sheet is None else sheet.header
        self._parser = parser_of(head, self._name, self._options, ended=ended, sheet=header)
        if self._parser is None or not self._parser.is_report:
            return texts
        return await self._with_last_lines(self._parser, head, texts)

    async def _texts(self) -> AsyncIterator[bytes]:
        while (text := await self._chunks.next()) is not None:
            yield text

    def _decode(self, extent: Extent, raw: Iterator[bytes]) -> Iterator[bytes]:
        """Make text of the file's bytes. This runs in the thread that reads them."""
        name = "LIST" if self._name == STANDARD_INPUT else self._name
        chunks, self._detected.compressions = decompressed(raw, extent, name)
        head, chunks = head_of(chunks, lambda head: len(head) >= _MAGIC_BYTES or b"\n" in head)
        check_binary(head, name)
        if is_zip(head):
            from stopcast.sources.spreadsheet import rows_of_workbook  # noqa: PLC0415 - few lists are workbooks

            yield from rows_of_workbook(head, chunks, name, self._options.columns, self._detected)
        else:
            last = b""
            for text in text_of(chunks, self._detected, self._options.encoding):
                last = text or last
                yield text
            if extent.changed and last and not last.endswith(b"\n"):
                raise ListError(
                    "it is being written, and its last line has no end yet: when it is whole, continue with --resume"
                )

    async def _with_last_lines(
        self, parser: ListParser, head: bytes, texts: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """Read the report to its end, for the parser to know which line about a task is the last; then read it again.

        Args:
            parser: of the report.
            head: its text so far.
            texts: its further text.

        Returns:
            The rest of its text.
        """
        assert isinstance(parser.rows, JsonParser)  # noqa: S101 - only JSON is a report
        last_lines = LastLines(frozenset(status.value for status in self._options.report_filter.statuses))
        splitter = parser.splitter.__class__()
        rest: AsyncIterator[bytes]
        if self._source != STANDARD_INPUT and await in_thread(Path(self._source).is_file, name="list"):
            with Chunks(self._source, decode=partial(self._decode, Extent())) as chunks:
                while (text := await chunks.next()) is not None:
                    await _feed(last_lines, splitter.split(text))
            rest = texts
        else:
            file = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the reader
            await _feed(last_lines, splitter.split(head))
            async for text in texts:
                file.write(text)
                await _feed(last_lines, splitter.split(text))
            file.seek(0)
            rest = _pieces(file)
        await _feed(last_lines, splitter.finish())
        parser.rows.take_only(last_lines)
        return rest


async def _feed(last_lines: LastLines, parts: Iterator[Lines | BrokenRow]) -> None:
    for part in parts:
        if isinstance(part, Lines):
            last_lines.feed(part.texts)
            await asyncio.sleep(0)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := file.read(CHUNK_BYTES):
        yield piece
