"""The lists that a command line names, read one after the other."""

from __future__ import annotations

import codecs
import os
import shlex
import stat
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from stopcast.checks import near_names
from stopcast.cli.lists.remaining import Remaining, RowsLeft, size_of
from stopcast.cli.options import ListOptions
from stopcast.errors import ConfigurationError, ListError
from stopcast.report.opening import own_stream
from stopcast.sources import Columns, Extent, Form, ListReader, ReadOptions, ReportFilter, Understood
from stopcast.sources.chunks import STANDARD_INPUT, Chunks
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import ID_PATTERN, Batch, RawRow
from stopcast.threads import in_thread

_DELIMITER_NAMES: Final = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_NO_DELIMITERS: Final = frozenset('"\r\n\0')


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a list was understood, and its first row as it was read."""

    name: str
    understood: Understood
    first_row: RawRow | None = None


@dataclass(frozen=True, slots=True)
class _List:
    """A list: its name on the command line, and the file that is read."""

    name: str
    path: str


class Lists:
    """The lists of a command line; "-" is standard input.

    Attributes:
        beginnings: how each list was understood, by its name, once ``batches`` has yielded.
    """

    def __init__(self, lists: Sequence[_List], options: ReadOptions) -> None:
        self._lists = list(lists)
        self._options = options
        self._remaining: Remaining | None = None
        self._copies: list[tempfile._TemporaryFileWrapper[bytes]] = []
        self.beginnings: dict[str, Beginning] = {}

    @classmethod
    def of(
        cls,
        options: ListOptions,
        *,
        report: str = "",
        report_filter: ReportFilter | None = None,
        rehearsals: bool = False,
    ) -> Lists:
        """Return the lists that the options name.

        Args:
            options: of the command.
            report: the report that the command writes, "" for none.
            report_filter: which lines of an earlier report to take, unless ``--only`` names statuses.
            rehearsals: whether a list may be the report of a run with ``--sandbox``.

        Raises:
            ConfigurationError: a column or a status is unknown, or a list is the report itself.
            ListError: a list does not exist, cannot be read, or is the report of a rehearsal.
        """
        names = options.tasks
        if names.count("-") > 1:
            raise ConfigurationError("standard input (-) can be read only once; name it once")
        for name in names:
            if not name.strip():
                raise ConfigurationError("the name of a list is empty. Is a variable in the command not set?")
            if name != STANDARD_INPUT:
                _check(Path(name))
            _check_report(name, report)
        if not rehearsals:
            from stopcast.cli.lists.rehearsals import refuse_rehearsals

            refuse_rehearsals(names)
        return cls(
            [_List(name, name) for name in names],
            ReadOptions(
                form=Form(options.form),
                delimiter=None if options.delimiter is None else _delimiter(options.delimiter),
                encoding=None if options.encoding is None else _encoding(options.encoding),
                columns=Columns.parse(options.columns) if options.columns else Columns(),
                report_filter=(
                    ReportFilter(_statuses(options.only), reports_only=True)
                    if options.only is not None
                    else report_filter or ReportFilter()
                ),
            ),
        )

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Yield the rows of all lists, in the order of the lists.

        The beginning of each list has been understood before the first row is yielded.

        Raises:
            ListError: before the first row, a list cannot be opened or understood; later, it cannot be read to its end.
        """
        remaining = self._remaining = Remaining([given.path for given in self._lists])
        async with AsyncExitStack() as stack:
            opened = [await self._open(given, stack, stays_open=not place) for place, given in enumerate(self._lists)]
            for given, reader in zip(self._lists, opened, strict=True):
                async with AsyncExitStack() as reading:
                    present = reader
                    if present is None:
                        present = await reading.enter_async_context(await self._reader(given))
                    remaining.begin(present.extent)
                    batches = await reading.enter_async_context(aclosing(present.batches()))
                    async for batch in batches:
                        remaining.take(batch)
                        self._note_first_row(given.name, batch)
                        yield batch
                remaining.end()

    async def _open(self, given: _List, stack: AsyncExitStack, *, stays_open: bool) -> ListReader | None:
        """Understand the beginning of a list. A list that can be read again is then closed, unless it is the first."""
        async with AsyncExitStack() as opening:
            reader = await opening.enter_async_context(await self._reader(given))
            self.beginnings[given.name] = Beginning(given.name, await reader.understand())
            if not stays_open and await _is_replayable(given):
                return None
            stack.push_async_exit(opening.pop_all())
        return reader

    async def _reader(self, given: _List) -> ListReader:
        size = await in_thread(partial(size_of, given.path), name="list")
        return ListReader(given.path, self._options, Extent(size), name=given.name)

    def _note_first_row(self, name: str, batch: Batch) -> None:
        beginning = self.beginnings[name]
        if batch.rows and beginning.first_row is None:
            self.beginnings[name] = replace(beginning, first_row=batch.rows[0])

    async def make_replayable(self) -> None:
        """Copy each list that can be read only once, such as a pipe, to a temporary file.

        Raises:
            ListError: a list cannot be read to its end.
        """
        for index, given in enumerate(self._lists):
            if await _is_replayable(given):
                continue
            copy = tempfile.NamedTemporaryFile(prefix="stopcast-")  # noqa: SIM115 - lives until close()
            self._copies.append(copy)
            with Chunks(given.path) as chunks:
                while (chunk := await chunks.next()) is not None:
                    copy.write(chunk)
            copy.flush()
            self._lists[index] = _List(given.name, copy.name)

    def rows_left(self) -> RowsLeft | None:
        """Return how many rows ``batches`` has not yielded yet, None where that is unknown."""
        return None if self._remaining is None else self._remaining.rows()

    def close(self) -> None:
        """Remove the copies."""
        for copy in self._copies:
            copy.close()


async def _is_replayable(given: _List) -> bool:
    """Return whether the list can be read more than once."""
    return given.path != STANDARD_INPUT and await in_thread(Path(given.path).is_file, name="list")


def _delimiter(text: str) -> str:
    delimiter = _DELIMITER_NAMES.get(text.lower(), text)
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in _NO_DELIMITERS or ID_PATTERN.fullmatch(delimiter):
        raise ConfigurationError(
            f"--delimiter {text!r}: name one ASCII character that no id holds, such as ';' or '|', or tab"
        )
    return delimiter


def _encoding(name: str) -> str:
    try:
        b"a".decode(name, "replace")  # fails for what is not an encoding of text
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ConfigurationError(
            f"--encoding {name}: no such encoding. Name one such as gb18030, utf-16, shift_jis or latin-1"
        ) from None


def _statuses(words: str) -> frozenset[Status]:
    known = {status.value: status for status in Status}
    names = [word.strip() for word in words.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise ConfigurationError(
            f"--only {unknown[0]}: no such status. The statuses are {', '.join(known)}; separate them with commas"
        )
    return frozenset(known[name] for name in names)


def _check_report(name: str, report: str) -> None:
    """Refuse a list that grows by each line of its own report, by whatever names and descriptors they are."""
    try:
        own = own_stream(report)
        files = (report if own is None else own, 0 if name == STANDARD_INPUT else name)
        written, read = map(os.stat, files)
    except OSError:  # one of them does not exist
        return
    if stat.S_ISREG(read.st_mode) and os.path.samestat(written, read):
        raise ConfigurationError(
            f"{name} is the report itself; to run its failed rows again, name another report: -o again.jsonl"
        )


def _check(path: Path) -> None:
    """Find what is wrong with a list before the first call is made."""
    try:
        if path.is_dir():
            raise ListError(f"{path} is a directory, not a list; name the files in it: {shlex.quote(str(path))}/*.csv")
        if path.is_file():
            path.open("rb").close()
        if not path.exists():
            raise _missing(path)
    except OSError as error:
        raise ListError(f"{path} cannot be read: {error.strerror}") from None


def _missing(path: Path) -> ListError:
    """Return the error for a list that does not exist, with the most similar name, or else where it was searched."""
    with suppress(OSError):
        if close := near_names(path.name, [entry.name for entry in path.parent.iterdir()]):
            similar = shlex.quote(str(path.with_name(close[0])))
            return ListError(f"{path} does not exist. Did you mean {similar}?")
    if path.is_absolute():
        return ListError(f"{path} does not exist; check its name")
    return ListError(f"{path} does not exist. The working directory is {Path.cwd()}")
