"""Reading reports for ``stopcast summary``: files, compressed files and standard input, twice where that is needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import click

from stopcast.errors import ConfigurationError, ListError, ReportError
from stopcast.i18n import _
from stopcast.report.line import LineReader, lines_in
from stopcast.sources.chunks import CHUNK_BYTES, STANDARD_INPUT, Extent
from stopcast.sources.compression import decompressed
from stopcast.summary import ReportFigures
from stopcast.tasks.outcome import Status

_LINES_AT_ONCE: Final = 500
#: Reading a report of this size takes long enough to show a progress bar.
_LONG_BYTES: Final = 20_000_000


class Reports:
    """Reports that are read line by line; runs may still be writing them.

    Used as a context manager. What can be read only once, such as standard input, is copied into a temporary file if it
    has to be read twice.

    Args:
        names: of the files; "-" is standard input.
        twice: whether ``selected_lines`` follows ``figures``.
    """

    def __init__(self, names: Sequence[str], *, twice: bool = False) -> None:
        self._names = names
        self._twice = twice
        self._copies: dict[str, BinaryIO] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def figures(
        self, *, most_listed: int, selects: Callable[[Status, str | None], bool] | None = None
    ) -> ReportFigures:
        """Return the figures of the reports.

        Raises:
            ListError: a file cannot be read, or is not a report.
        """
        figures = ReportFigures(several_reports=len(self._names) > 1, most_listed=most_listed, selects=selects)
        for name in self._names:
            reader = LineReader(name)
            for lines in self._lines(name):
                with _as_list_error():
                    figures.add(reader.read(lines))
            with _as_list_error():
                reader.finish()
            if reader.torn:
                figures.torn.append(name)
        return figures

    def selected_lines(self, numbers: set[int]) -> Iterator[bytes]:
        """Yield the lines with these numbers, each without its end; all reports are numbered as one, from 1."""
        number = 0
        for name in self._names:
            reader = LineReader(name)
            for lines in self._lines(name):
                for line in lines:
                    number += len(reader.read([line]))
                    if number in numbers:
                        numbers.discard(number)
                        yield line.rstrip()

    def _lines(self, name: str) -> Iterator[list[bytes]]:
        try:
            with self._open(name) as file, _progress(name) as advance:
                for lines in lines_in(file, _LINES_AT_ONCE):
                    yield lines
                    advance(sum(map(len, lines)))
        except (OSError, ListError) as error:
            cause = error.strerror if isinstance(error, OSError) else error
            raise ListError(_("the report {report} cannot be read: {cause}", report=name, cause=cause)) from None

    @contextmanager
    def _open(self, name: str) -> Iterator[BinaryIO]:
        if copy := self._copies.get(name):
            copy.seek(0)
            yield copy
            return
        with _opened(name) as file:
            if self._twice and not Path(name).is_file():
                self._copies[name] = self._copy_of(file)
                yield self._copies[name]
            else:
                yield file

    def _copy_of(self, file: BinaryIO) -> BinaryIO:
        import shutil
        from tempfile import TemporaryFile

        copy = self._stack.enter_context(TemporaryFile())  # noqa: SIM115 - the stack closes it
        shutil.copyfileobj(file, copy)
        copy.seek(0)
        return copy


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == STANDARD_INPUT and sys.stdin is None:
        raise ConfigurationError("standard input: it is closed")
    path: str | int = sys.stdin.fileno() if name == STANDARD_INPUT else name
    with open(path, "rb", buffering=0, closefd=path is name) as file:
        yield unpacked(file, name)


def unpacked(file: FileIO, name: str) -> BufferedReader:
    """Return what a report's file holds, decompressed if its first bytes say so.

    Raises:
        ListError: here or while it is read: the data is damaged, or a package is missing.
    """
    chunks = iter(partial(file.read, CHUNK_BYTES), b"")
    return BufferedReader(_Stream(decompressed(chunks, Extent(), name, reader="stopcast summary")[0]), CHUNK_BYTES)


class _Stream(RawIOBase):
    """Chunks of bytes as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what the next chunk has."""
        self._rest = self._rest or next(self._chunks, b"")
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


@contextmanager
def _as_list_error() -> Iterator[None]:
    try:
        yield
    except ReportError as error:
        raise ListError(str(error)) from None


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int], object]]:
    """Show a progress bar on a terminal while a large report is read."""
    size = 0 if name == STANDARD_INPUT else Path(name).stat().st_size
    on_terminal = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    if size < _LONG_BYTES or not on_terminal:
        yield lambda _bytes: None
        return
    label = _("reading {report}", report=Path(name).name)
    with click.progressbar(length=size, label=label, file=sys.stderr) as bar:
        bar.update_min_steps = size // 200
        yield bar.update
