"""The lists that a command was given: their form, one after the other, and a second time where that is asked for."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from stopcast.cli.lists.remaining import Remaining, RowsLeft
from stopcast.cli.options import ListOptions
from stopcast.errors import ConfigurationError, ListError
from stopcast.sources import Choice, Columns, Form, open_list
from stopcast.sources.chunks import STANDARD_INPUT, Chunks
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Batch


@dataclass(frozen=True, slots=True)
class _List:
    name: str
    path: str


class Lists:
    """Lists as named on a command line; "-" is standard input."""

    def __init__(self, lists: Sequence[_List], *, form: Form, columns: Columns, choice: Choice) -> None:
        self._lists = list(lists)
        self._form = form
        self._columns = columns
        self._choice = choice
        self._remaining: Remaining | None = None
        self._copies: list[tempfile._TemporaryFileWrapper[bytes]] = []

    @classmethod
    def of(cls, options: ListOptions, *, report: str = "", choice: Choice | None = None) -> Lists:
        """Check the words of the command line.

        Args:
            options: the words.
            report: what the command writes itself.
            choice: which lines of an earlier report to take where ``--only`` does not say.

        Raises:
            ConfigurationError: unknown columns or statuses, or a list that is the report itself.
            ListError: a list that is not there or cannot be read.
        """
        names = options.tasks
        if names.count("-") > 1:
            raise ConfigurationError("standard input (-) can be read only once; name it once")
        for name in names:
            if name != "-":
                _check(Path(name), Path(report))
        return cls(
            [_List(name, name) for name in names],
            form=Form(options.form),
            columns=Columns.parse(options.columns) if options.columns else Columns(),
            choice=(choice or Choice()) if options.only is None else Choice.only(_statuses(options.only)),
        )

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Yield the rows of all lists, in the order of the lists."""
        remaining = self._remaining = Remaining([one.path for one in self._lists])
        for one in self._lists:
            listed = open_list(
                one.path, form=self._form, columns=self._columns, choice=self._choice, extent=remaining.begin()
            )
            async with aclosing(listed) as batches:
                async for batch in batches:
                    remaining.take(batch)
                    yield batch if one.name == one.path else replace(batch, source=one.name)
            remaining.end()

    async def make_replayable(self) -> None:
        """Copy what can be read only once, such as a pipe, to a temporary file, so that it can be read again.

        Raises:
            ListError: it cannot be read to its end.
        """
        for index, one in enumerate(self._lists):
            if _again(one):
                continue
            copy = tempfile.NamedTemporaryFile(prefix="stopcast-")  # noqa: SIM115 - lives until close()
            self._copies.append(copy)
            with Chunks(one.path) as chunks:
                while (chunk := await chunks.next()) is not None:
                    copy.write(chunk)
            copy.flush()
            self._lists[index] = _List(one.name, copy.name)

    def rows_left(self) -> RowsLeft | None:
        """Return how many rows ``batches`` has not yielded yet, None where that cannot be told."""
        return None if self._remaining is None else self._remaining.rows()

    def close(self) -> None:
        """Remove the copies."""
        for copy in self._copies:
            copy.close()


def _again(one: _List) -> bool:
    """Whether the list can be read more than once."""
    return one.path != STANDARD_INPUT and Path(one.path).is_file()


def _statuses(words: str) -> frozenset[Status]:
    known = {status.value: status for status in Status}
    names = [word.strip() for word in words.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise ConfigurationError(
            f"--only {unknown[0]}: a status is one of {', '.join(known)}; name them with commas between"
        )
    return frozenset(known[name] for name in names)


def _check(path: Path, report: Path) -> None:
    """Find out early what would else come up between the calls."""
    try:
        if path.is_dir():
            raise ListError(f"{path} is a directory, not a list; name the files in it: {shlex.quote(str(path))}/*.csv")
        if report.is_file() and path.samefile(report):
            raise ConfigurationError(
                f"{path} is the report itself; to run what did not go well again, name another report: -o again.jsonl"
            )
        if path.is_file():
            path.open("rb").close()
        if not path.exists():
            raise ListError(f"{path} does not exist{like(path)}")
    except OSError as error:
        raise ListError(f"{path} cannot be read: {error.strerror}") from None


def like(path: Path) -> str:
    """Return which file may be meant by the name of one that does not exist, or where that was looked for."""
    with suppress(OSError):
        if close := get_close_matches(path.name, [it.name for it in path.parent.iterdir()], n=1):
            return f". Did you mean {shlex.quote(str(path.with_name(close[0])))}?"
    return f". The working directory is {Path.cwd()}" if not path.is_absolute() else "; check its name"
