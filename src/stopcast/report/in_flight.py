"""The in-flight log: the tasks that a crash leaves in doubt, in a file beside the report.

A call that was cut off may have stopped its task. When the task is sent again, "no such running task" must not be taken
for "it had ended before our first call". So a note with the task's identity is in this file from before its call until
either the call certainly did nothing, or the task's line is in the report and on the disk. A note survives the death of
the process at any moment (a power cut may cost the last second of notes).

The file belongs to the report's real file, and not to one of its names: its header has the file's device and inode, and
where the file system has extended attributes, the report's file has the path of its log.

The log also reserves disk space for the lines of the calls in flight, and frees it when the disk is full.
"""

from __future__ import annotations

import errno
import logging
import os
import struct
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from stopcast.errors import ReportError
from stopcast.report.blocking import is_at, sync
from stopcast.report.opening import unwritable_log
from stopcast.tasks.task import Task

_LOG: Final = logging.getLogger("stopcast")
_SUFFIX: Final = ".inflight"
_MAGIC: Final = b"stopcast-flight2"
#: Of version 0.1: the notes follow at once, without a header.
_MAGIC_WITHOUT_HEADER: Final = b"stopcast-flight1"
_WIDTH: Final = 16
_HEADER: Final = 2 * _WIDTH
_FREE: Final = bytes(_WIDTH)
#: Bytes of disk reserved for the line of one call in flight. Lines are about 300 bytes.
_ROOM_PER_CALL: Final = 512
_ATTRIBUTE: Final = "user.stopcast.inflight"


class InFlightLog:
    """The tasks in flight. Implements ``stopcast.ports.Flights``. ``open_in_flight_log`` makes one.

    Attributes:
        incomplete: an earlier run left a log that cannot be found, so that any task may have been in flight.
    """

    def __init__(
        self, path: Path, report: Path, descriptor: int, left: Iterable[bytes], *, most: int, incomplete: bool
    ) -> None:
        self.incomplete = incomplete
        self._path = path
        self._report = report
        self._descriptor = descriptor
        self._left = {digest: _HEADER + _WIDTH * place for place, digest in enumerate(left)}
        first_free = _HEADER + _WIDTH * len(self._left)
        self._size = first_free + _WIDTH * most
        self._free = list(range(self._size - _WIDTH, first_free - _WIDTH, -_WIDTH))
        self._places: dict[Task, int] = {}
        self._written: list[int] = []
        self._on_note: Callable[[], object] = lambda: None

    def when_noted(self, act: Callable[[], object]) -> None:
        """Call ``act`` whenever a note was written: it is to be synced soon."""
        self._on_note = act

    @property
    def left(self) -> Collection[bytes]:
        """Identities of tasks that an earlier run left in flight, and that have not been sent again."""
        return self._left.keys()

    def begin(self, task: Task, identity: bytes) -> None:
        """Write the note of a task with this identity, whose call is about to be sent.

        Raises:
            ReportError: the note cannot be written, so the call must not be sent.
        """
        if task in self._places:
            return
        place = self._left.pop(identity, None)
        if place is None:
            if self._free:
                place = self._free.pop()
            else:
                place, self._size = self._size, self._size + _WIDTH
            try:
                self._write(place, identity)
            except OSError as error:
                self._free.append(place)
                raise ReportError(f"{self._path} cannot be written: {error.strerror}") from None
            self._on_note()
        self._places[task] = place

    def end(self, tasks: Iterable[Task]) -> None:
        """Erase the notes of tasks about which nothing is in doubt. A note that cannot be erased does no harm."""
        for task in tasks:
            if (place := self._places.pop(task, None)) is not None:
                self._free.append(place)
                with suppress(OSError):
                    self._write(place, _FREE)

    def written(self, tasks: Iterable[Task]) -> None:
        """Keep the notes of tasks whose lines were written, until these lines are on the disk."""
        for task in tasks:
            if (place := self._places.pop(task, None)) is not None:
                self._written.append(place)

    @property
    def unsynced(self) -> int:
        """The notes of lines that were written, and may not be on the disk."""
        return len(self._written)

    def synced(self, notes: int) -> None:
        """Free the oldest of these notes, as their lines are on the disk; another note is written over each.

        The next run ignores a note of a task that the report settles or leaves in doubt, so that erasing it would be a
        waste.
        """
        self._free += self._written[:notes]
        del self._written[:notes]

    def _write(self, place: int, note: bytes) -> None:
        if os.pwrite(self._descriptor, note, place) != _WIDTH:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def give_up_room(self) -> None:
        """Free the disk space that is reserved for the lines of the calls in flight."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._size)

    def sync(self) -> None:
        """Put the notes on the disk. Blocks, so it belongs in a thread."""
        sync(self._descriptor, data_only=True)

    def close(self) -> None:
        """Close the file, and remove it unless a task in it is in doubt. One that was moved away is emptied instead."""
        in_doubt = bool(self._places or self._written or self._left)
        if not in_doubt:
            self._size = _HEADER
        self.give_up_room()
        with suppress(OSError):
            # Its folder may have been moved, and another run may write a report of the same name.
            if is_at(self._path, self._descriptor):
                _name_log(self._report, self._path if in_doubt else None)
                if in_doubt:
                    # The report may have been written anew, and be another file now.
                    self._write(_WIDTH, _file_id(self._report))
                else:
                    self._path.unlink()
        os.close(self._descriptor)


class _Log(NamedTuple):
    """What a log holds: its notes, and the report's device and inode, None in a log of version 0.1."""

    notes: list[bytes]
    file_id: bytes | None


def open_in_flight_log(report: Path, *, most: int, settled: Container[bytes]) -> InFlightLog:
    """Open the in-flight log of a report that this process has locked. Blocks, so it belongs in a thread.

    Logs that an earlier run wrote by another name of the report's file are merged where they can be found: by a
    symbolic link, by a name in the same folder, or by the path in the file's extended attribute. On a file system
    without extended attributes, the log of a hard link in another folder or of a bind mount cannot be found.

    Args:
        report: any name of the report.
        most: tasks that may be in the log at once, without those that an earlier run left. Further tasks use the space
            that is reserved for lines.
        settled: identities of tasks whose notes are ignored.

    Raises:
        ReportError: the log cannot be written, or a file that stopcast did not write has its name.
    """
    real = Path(os.path.realpath(report))
    path, spelled, named = _log_of(real), _log_of(report.absolute()), _named_log(real)
    try:
        file_id = _file_id(real)
        logs = {path: _read(path)}
        if (log := _read(spelled)) is not None and log.file_id in {None, file_id}:
            logs[spelled] = log
        logs |= {other: log for other, log in _logs_of_other_names(path, named) if log.file_id == file_id}
        notes = [note for log in logs.values() if log is not None for note in log.notes]
        left = [note for note in dict.fromkeys(notes) if note not in settled]
        if len(left) < len(notes):
            # Notes are dropped for lines that a killed process has written. These may not be on the disk.
            with real.open("rb") as lines:
                sync(lines.fileno())
        descriptor = _write_new(path, b"".join([_MAGIC, file_id, *left]), bytes((_WIDTH + _ROOM_PER_CALL) * most))
    except OSError as error:
        raise unwritable_log(path, error) from None
    for merged in logs.keys() - {path}:
        with suppress(OSError):
            merged.unlink()
    _name_log(real, path)
    # Only a clean end removes the attribute, and the log with it.
    incomplete = named is not None and logs.get(named) is None
    if incomplete:
        _LOG.warning(
            "the in-flight log %s of an earlier run is missing, so that each task may have been sent before",
            named,
            extra={"event": "in_flight_log_missing"},
        )
    return InFlightLog(path, real, descriptor, left, most=most, incomplete=incomplete)


def has_in_flight_log(report: Path) -> bool:
    """Return whether a run that did not end has left a log beside the report."""
    return os.path.isfile(_log_of(Path(os.path.realpath(report))))  # noqa: PTH113 - it never raises an error


def _log_of(report: Path) -> Path:
    return report.with_name(report.name + _SUFFIX)


def _file_id(report: Path) -> bytes:
    status = report.stat()
    return struct.pack(">QQ", status.st_dev, status.st_ino)


def _logs_of_other_names(path: Path, named: Path | None) -> Iterator[tuple[Path, _Log]]:
    """Yield the log that the attribute names, and those in the folder, unless another report's file has their name."""
    with os.scandir(path.parent) as entries:
        others = [Path(entry.path) for entry in entries if entry.name.endswith(_SUFFIX) and entry.name != path.name]
    for other in [*others, *([] if named is None else [named])]:
        namesake = other.with_name(other.name.removesuffix(_SUFFIX))
        with suppress(OSError, ReportError):
            is_ours = not namesake.exists() or namesake.samefile(path.with_name(path.name.removesuffix(_SUFFIX)))
            if other != path and is_ours and (log := _read(other)) is not None:
                yield other, log


def _read(path: Path) -> _Log | None:
    """Return what a log holds, None if there is no such file."""
    try:
        if not path.is_file() and path.exists() and not path.is_dir():
            # To open a pipe without a writer would wait for ever.
            raise ReportError(f"{path} exists and was not written by stopcast; move it away")
        with path.open("rb") as file:
            start = file.read(_WIDTH)
            if start == _MAGIC:
                file_id: bytes | None = file.read(_WIDTH)
            elif start == _MAGIC_WITHOUT_HEADER or _MAGIC.startswith(start.rstrip(b"\0")):
                # The latter is empty or was torn by a power cut: it held no notes that had been on the disk.
                file_id = None
            else:
                raise ReportError(f"{path} exists and was not written by stopcast; move it away")
            content = file.read()
    except FileNotFoundError:
        return None
    notes = (content[at : at + _WIDTH] for at in range(0, len(content) - _WIDTH + 1, _WIDTH))
    return _Log([note for note in notes if note != _FREE], file_id)


def _write_new(path: Path, notes: bytes, room: bytes) -> int:
    """Put a new log in the place of the old one at once, and return its file descriptor.

    The room is written and not only sized: a note in a hole of the file could find the disk full.
    """
    fresh = path.with_name(path.name + ".new")
    _read(fresh)  # a file that stopcast did not write is not removed
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        content, written = notes + room, 0
        while written < len(content):
            written += os.pwrite(descriptor, content[written:], written)
        if len(notes) > _HEADER:
            sync(descriptor)
        fresh.replace(path)
    except OSError:
        os.close(descriptor)
        with suppress(OSError):
            fresh.unlink()
        raise
    return descriptor


def _named_log(report: Path) -> Path | None:
    try:
        return Path(os.fsdecode(os.getxattr(report, _ATTRIBUTE)))
    except (OSError, AttributeError):
        return None


def _name_log(report: Path, log: Path | None) -> None:
    """Set or remove the attribute. A file system without attributes is no error: the log is found by its name."""
    with suppress(OSError, AttributeError):
        if log is None:
            os.removexattr(report, _ATTRIBUTE)
        else:
            os.setxattr(report, _ATTRIBUTE, os.fsencode(log))
