"""The report on disk: appended in groups, synced every second, never overwritten, one writer at a time."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import shlex
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from stopcast.errors import ReportError, ReportExistsError, ReportLockedError
from stopcast.report.in_flight import FlightLog
from stopcast.report.line import LineWriter
from stopcast.tasks.outcome import Outcome, Status

#: Lines in a group, and the longest that one waits for its group.
_GROUP: Final = 64
_GROUP_SECONDS: Final = 0.1
#: What a line with one of these says of its task replaces the note that it is in flight.
_LANDED: Final = frozenset(Status) - {Status.INVALID, Status.DUPLICATE, Status.SET_ASIDE}
#: What a power cut may cost.
_SYNC_SECONDS: Final = 0.8


def open_report(path: Path, *, resume: bool) -> int:
    """Open the report for appending, alone, and return its file descriptor.

    A pipe or a device is just written to, by as many as like. A file that a dead process had locked is free.

    Raises:
        ReportExistsError: it exists, and nobody said to go on with it.
        ReportLockedError: another run writes it.
        ReportError: it cannot be opened.
    """
    special = path.exists() and not path.is_file()
    new_only = 0 if resume or special else os.O_EXCL
    try:
        # Readable too, because a resumed report is read to its end before anything is appended.
        access = os.O_WRONLY if special else os.O_RDWR
        report = os.open(path, access | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | new_only, 0o644)
    except FileExistsError:
        raise ReportExistsError(
            f"the report {path} exists already. Go on with it: --resume. Or name another one: -o PATH"
        ) from None
    except OSError as error:
        raise ReportError(f"the report {path} cannot be opened: {error.strerror}. {_way_out(path, error)}") from None
    if special:
        return report
    try:
        fcntl.flock(report, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(report)
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            raise ReportLockedError(
                f"another run is writing the report {path}. Let it end, or name another one: -o PATH"
            ) from None
        raise ReportError(f"the report {path} cannot be locked: {error.strerror}") from None
    if not _is_at(path, report):
        # A run that ended just now has put another file in its place, and lines of ours would be nobody's.
        os.close(report)
        raise ReportLockedError(f"another run was just writing the report {path}; try again")
    return report


def _way_out(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"Make its folder: mkdir -p {shlex.quote(str(path.parent))}"
    if error.errno == errno.EISDIR:
        return f"Name a file in it: -o {shlex.quote(str(path / 'report.jsonl'))}"
    return "Name another one: -o PATH"


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


class Report:
    """Appends outcomes. A line is written within a tenth of a second, and on the disk within one.

    Args:
        descriptor: as ``open_report`` returned it; the caller closes it after ``finish``.
        on_error: told once, on the event loop, when the report cannot be written any more.
        on_durable: told of outcomes, on the event loop, once their lines would outlive a power cut. Pipes and devices
            have no such thing; there it is told when they have been written.
        flights: what is in doubt until its line is written.
    """

    def __init__(
        self,
        descriptor: int,
        path: Path,
        *,
        on_error: Callable[[ReportError], None],
        on_durable: Callable[[Sequence[Outcome]], None] | None = None,
        flights: FlightLog | None = None,
    ) -> None:
        self._descriptor = descriptor
        self._path = path
        self._on_error = on_error
        self._on_durable = on_durable
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._flights = flights
        self._writer = LineWriter()
        #: That have no line yet, and, where somebody wants to know, those whose lines are not synced yet.
        self._outcomes: list[Outcome] = []
        self._not_durable: list[Outcome] = []
        self._loop = asyncio.get_running_loop()
        self._group_timer: asyncio.TimerHandle | None = None
        self._error: ReportError | None = None
        self._unsynced = False
        self._syncing = self._loop.create_task(self._sync_regularly())

    def write(self, outcome: Outcome) -> None:
        """Take one outcome. After an error it is kept, in case there is room again when the report is closed."""
        # A group's lines are made together: alone, each would find the processor's caches full of the calls' work.
        self._outcomes.append(outcome)
        if self._error is not None:
            return
        if len(self._outcomes) >= _GROUP:
            self._write_group()
        elif self._group_timer is None:
            self._group_timer = self._loop.call_later(_GROUP_SECONDS, self._write_group)

    @property
    def unwritten(self) -> Sequence[Outcome]:
        """Those that have no line in the report: not yet, or after an error not at all."""
        return self._outcomes

    def _write_group(self) -> None:
        if self._group_timer is not None:
            self._group_timer.cancel()
            self._group_timer = None
        try:
            self._write_out()
        except OSError as error:
            if self._flights is not None:
                self._flights.give_up_room()
            self._fail(error)

    def _write_out(self) -> None:
        """Write the lines there are; where that fails, the whole ones among them that got through are done with."""
        group = b"".join(map(self._writer.line, self._outcomes))
        written = 0
        try:
            while written < len(group):
                written += os.write(self._descriptor, group[written:] if written else group)
        finally:
            if written < len(group) and self._regular:
                written -= self._take_back(group, written)
            # Counted only where it has to be: one byte after the other, it takes a sixth of what a line takes.
            self._written(len(self._outcomes) if written == len(group) else group.count(b"\n", 0, written))

    def _take_back(self, group: bytes, written: int) -> int:
        """Cut the beginning of a line that did not get through whole, and return its bytes."""
        torn = written - (group.rfind(b"\n", 0, written) + 1)
        with suppress(OSError):
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - torn)
        return torn

    def _written(self, lines: int) -> None:
        if self._flights is not None:
            self._flights.end(it.task for it in self._outcomes[:lines] if it.status in _LANDED)
        if self._on_durable is not None:
            self._not_durable += self._outcomes[:lines]
        del self._outcomes[:lines]
        self._unsynced = True

    def _fail(self, error: OSError) -> None:
        if self._error is None:
            self._error = ReportError(f"the report {self._path} cannot be written: {error.strerror}")
            self._on_error(self._error)

    async def _sync_regularly(self) -> None:
        while True:
            await asyncio.sleep(_SYNC_SECONDS)
            if self._unsynced and self._error is None:
                self._unsynced = False
                try:
                    await self._make_durable()
                except OSError as error:
                    self._fail(error)

    async def _make_durable(self) -> None:
        outcomes = self._not_durable.copy()
        await asyncio.to_thread(self._sync)
        # Not before: whoever cancels the waiting leaves them to the sync at the end.
        del self._not_durable[: len(outcomes)]
        if self._on_durable is not None and outcomes:
            self._on_durable(outcomes)

    def _sync(self) -> None:
        if self._regular:
            os.fsync(self._descriptor)
        if self._flights is not None:
            self._flights.sync()

    async def finish(self) -> None:
        """Write and sync what there is; nothing can be written after that.

        Raises:
            ReportError: lines remain that could not be written. Their tasks have no line, and a resumed run sends them.
        """
        self._syncing.cancel()
        await asyncio.wait([self._syncing])
        if self._group_timer is not None:
            self._group_timer.cancel()
        try:
            if self._outcomes:
                self._write_out()
            await self._make_durable()
        except OSError as error:
            lost = (
                f"; {len(self._outcomes)} outcomes have no line, and --resume takes their tasks up"
                if self._outcomes
                else ""
            )
            raise ReportError(f"the report {self._path} cannot be written: {error.strerror}{lost}") from None
