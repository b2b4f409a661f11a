"""Opening the report: an existing file is never overwritten, and one run writes at a time. Nothing is read here."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from stopcast.errors import ReportError, ReportExistsError, ReportLockedError

#: Between two attempts to open a FIFO that has no reader yet.
_NO_READER_SECONDS: Final = 0.05


async def open_report(path: Path, *, resume: bool) -> int:
    """Open the report for appending, locked, and return its file descriptor.

    Pipes and devices are not locked: several runs may write to one. A FIFO is opened when it has a reader. A file that
    a dead process had locked is free.

    Raises:
        ReportExistsError: it exists, and ``resume`` is False.
        ReportLockedError: another run writes it.
        ReportError: it cannot be opened.
    """
    try:
        if _is_special(path):
            return await _open_special(path)
        # Readable too, because a resumed report is read to its end before anything is appended.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | (0 if resume else os.O_EXCL)
        report = os.open(path, flags, 0o644)
    except FileExistsError:
        raise ReportExistsError(
            f"the report {path} exists already. Continue it: --resume. Or name another one: -o PATH"
        ) from None
    except OSError as error:
        raise ReportError(f"the report {path} cannot be opened: {error.strerror}. {_way_out(path, error)}") from None
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
        # A run that just ended has put another file in its place, and lines in this one would be lost.
        os.close(report)
        raise ReportLockedError(f"another run was just writing the report {path}; try again")
    return report


async def _open_special(path: Path) -> int:
    while True:
        try:
            # Opening a FIFO without a reader would block the event loop, and so the signals.
            report = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or not _is_fifo(path):
                raise
            await asyncio.sleep(_NO_READER_SECONDS)
        else:
            os.set_blocking(report, True)
            return report


def remove_if_empty(report: Path, descriptor: int) -> None:
    """Remove an empty report, which would only be in the way of the next run. It is no error if that fails."""
    with suppress(OSError):
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and not status.st_size:
            report.unlink(missing_ok=True)


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _is_fifo(path: Path) -> bool:
    return path.is_fifo()


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


def sync_folder(report: Path) -> None:
    """Sync the folder of the report, because a power cut could otherwise lose the names of new files. Blocks."""
    with suppress(OSError):  # some file systems cannot
        folder = os.open(report.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
