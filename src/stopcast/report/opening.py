"""Opening the report: an existing file is never overwritten, and one run writes at a time. Nothing is read here.

Pipes, devices and the command's own streams (``-``, ``/dev/stdout``, ``/dev/fd/N``) are just written to.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import re
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from stopcast.errors import ConfigurationError, ReportError, ReportExistsError, ReportLockedError
from stopcast.marking import N_
from stopcast.report.blocking import is_at
from stopcast.threads import in_thread

_LOG: Final = logging.getLogger("stopcast")
#: Between two attempts to open a FIFO that has no reader yet.
_NO_READER_SECONDS: Final = 0.05
STANDARD_OUTPUT: Final = 1
_OWN_STREAMS: Final = {"-": STANDARD_OUTPUT, "/dev/stdout": STANDARD_OUTPUT, "/dev/stderr": 2}
_OWN_DESCRIPTOR: Final = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})", re.ASCII)
#: How a lock is refused that another process holds.
_LOCK_HELD: Final = frozenset({errno.EAGAIN, errno.EACCES})
#: Readable too, because a resumed report is read to its end before anything is appended.
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
_NO_LOG: Final = N_(
    "{path} cannot be written: {reason}. It must stand beside the report: name a report in a folder of another file "
    "system, or one that you may write to: -o PATH"
)
_LOG_WAYS_OUT: Final = {
    errno.ENOSPC: N_("{path} cannot be written: {reason}. Make room, or name a report on another file system: -o PATH"),
    errno.EFBIG: N_("{path} cannot be written: {reason}. Raise the limit on the size of files: ulimit -f unlimited"),
    errno.ENAMETOOLONG: N_("{path} cannot be written: {reason}. Give the report a shorter name: -o PATH"),
}
_NO_LOCKS: Final = N_(
    "the file system of the report {path} has no locks ({reason}). Make sure that no second run writes this report: "
    "nothing would stop it"
)


def own_stream(path: Path | str) -> int | None:
    """Return the descriptor of this process that the name stands for, None for the name of a file."""
    if (descriptor := _OWN_STREAMS.get(str(path))) is not None:
        return descriptor
    found = _OWN_DESCRIPTOR.fullmatch(str(path))
    return int(found[1]) if found else None


def check_continuable(path: Path) -> None:
    """Refuse to continue what is not a file.

    Raises:
        ConfigurationError: the report is a stream, a pipe or a device.
    """
    if own_stream(path) is not None or (_is_special(path) and not path.is_dir()):
        raise ConfigurationError(f"{path} is not a file, so that no run can continue it: leave --resume out")


async def open_report(path: Path, *, resume: bool) -> int:
    """Open the report for appending, locked, and return its file descriptor.

    Pipes and devices are not locked: several runs may write to one. A FIFO is opened when it has a reader. A file that
    a dead process had locked is free.

    Raises:
        ReportExistsError: it exists, and ``resume`` is False.
        ReportLockedError: another run writes it.
        ConfigurationError: ``resume`` is True, and it is a stream, a pipe or a device.
        ReportError: it cannot be opened.
    """
    stream = own_stream(path)
    try:
        if resume:
            check_continuable(path)
        if stream is not None:
            return _duplicate(stream)
        if _is_special(path):
            return await _open_special(path)
        report = os.open(path, _FLAGS | os.O_CREAT | (0 if resume else os.O_EXCL), 0o644)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise _unopenable(path, error) from None
    _lock(report, path)
    if not is_at(path, report):
        # A run that just ended has put another file in its place, and lines in this one would be lost.
        os.close(report)
        raise ReportLockedError(f"another run was just writing the report {path}; try again")
    return report


def _duplicate(stream: int) -> int:
    """Return another descriptor of the stream, so that it has one position for all who write to it."""
    _check_writable(stream)
    return fcntl.fcntl(stream, fcntl.F_DUPFD_CLOEXEC, 3)


def _check_writable(stream: int) -> None:
    if fcntl.fcntl(stream, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _lock(report: int, path: Path) -> None:
    """Lock the report. One on a file system without locks is written all the same, with a warning."""
    try:
        fcntl.flock(report, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _LOCK_HELD:
            os.close(report)
            raise _locked(path) from None
        text = _NO_LOCKS.format(path=path, reason=error.strerror)
        _LOG.warning("%s", text, extra={"event": "report_not_locked"})


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
        if stat.S_ISREG(status.st_mode) and not status.st_size and is_at(report, descriptor):
            report.unlink(missing_ok=True)


def is_file(path: Path | str) -> bool:
    """Return whether a report of this name is a file, which can be read again and continued."""
    # Not Path.is_file: it raises an error where a folder cannot be searched.
    return own_stream(path) is None and os.path.isfile(path)  # noqa: PTH113


@contextmanager
def recognising(path: Path | str) -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether the path is still the name of the file that it names now.

    The file is open while the block lasts, because another file may get the number of one that was deleted.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        yield lambda: False
        return
    try:
        yield lambda: is_at(Path(path), file)
    finally:
        os.close(file)


def is_stream(path: Path | str) -> bool:
    """Return whether a report of this name is a stream, a pipe or a device, which no run can continue."""
    return own_stream(path) is not None or (os.path.exists(path) and not os.path.isfile(path))  # noqa: PTH110, PTH113


def is_terminal(path: Path | str) -> bool:
    """Return whether a report of this name is a terminal."""
    descriptor = own_stream(path)
    return descriptor is not None and os.isatty(descriptor)


def check_openable(path: Path, *, resume: bool) -> None:
    """Refuse what ``open_report`` would refuse, before anything has begun. No file is made, changed or locked.

    Raises:
        ReportExistsError: the report exists, and ``resume`` is False.
        ConfigurationError: ``resume`` is True, and it is a stream, a pipe or a device.
        ReportError: it cannot be opened.
    """
    folder = Path(os.path.realpath(path)).parent
    try:
        if resume:
            check_continuable(path)
        if (stream := own_stream(path)) is not None:
            _check_writable(stream)
        elif _is_special(path):
            _check_special(path)
        elif not resume and os.path.lexists(path):
            raise _exists(path)
        elif path.exists():
            os.close(os.open(path, _FLAGS))
        else:
            _check_folder(folder)
    except OSError as error:
        raise _unopenable(path, error) from None


def check_unlocked(path: Path) -> None:
    """Refuse a report that another run is writing.

    Raises:
        ReportLockedError: another run has locked it.
    """
    if not is_file(path):
        return
    with suppress(OSError), path.open("rb") as file:
        try:
            # Other processes may check it at the same time.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _LOCK_HELD:
                raise _locked(path) from None


def _check_special(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    _check_access(path, os.W_OK)


def _check_folder(folder: Path) -> None:
    if not stat.S_ISDIR(folder.stat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    _check_access(folder, os.W_OK | os.X_OK)


def _check_access(path: Path, mode: int) -> None:
    if not os.access(path, mode, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _exists(path: Path) -> ReportExistsError:
    if path.exists():
        return ReportExistsError(
            f"the report {path} exists already. Continue it: --resume. Or name another one: -o PATH"
        )
    target = os.path.realpath(path)
    return ReportExistsError(
        f"the report {path} is a symbolic link to a file that does not exist: {target}. Remove the link, or name "
        f"another report: -o PATH"
    )


def _locked(path: Path) -> ReportLockedError:
    return ReportLockedError(f"another run is writing the report {path}. Let it end, or name another one: -o PATH")


def _unopenable(path: Path, error: OSError) -> ReportError:
    advice = _way_out(path, error)
    return ReportError(f"the report {path} cannot be opened: {error.strerror}. {advice}")


def unwritable_log(path: Path, error: OSError) -> ReportError:
    """Return the error for an in-flight log that cannot be written beside the report."""
    return ReportError(_LOG_WAYS_OUT.get(error.errno or 0, _NO_LOG).format(path=path, reason=error.strerror))


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _is_fifo(path: Path) -> bool:
    return path.is_fifo()


def _way_out(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return N_("Make its folder: mkdir -p {folder}").format(folder=shlex.quote(str(path.parent)))
    if error.errno == errno.EISDIR:
        return N_("Name a file in it: -o {path}").format(path=shlex.quote(str(path / "report.jsonl")))
    if error.errno == errno.ENAMETOOLONG:
        return N_("Give it a shorter name: -o PATH")
    return N_("Name another one: -o PATH")


async def sync_folder(report: Path) -> None:
    """Sync the folder of the report, because a power cut could otherwise lose the names of new files."""
    with suppress(OSError):  # some file systems cannot
        await in_thread(partial(_sync_folder, report), name="folder")


def _sync_folder(report: Path) -> None:
    folder = os.open(report.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
