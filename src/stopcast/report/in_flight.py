"""Which tasks are in flight, on disk: what a crash leaves in doubt.

A call that was cut off may have stopped its task. Whoever sends it again must not take "no such running task" for
"it had stopped before we ever asked". So a task's identity stands in this file from before its call until the call
surely did nothing, or its line is in the report. The file is mapped into memory: a note costs no system call, and
survives the death of the process at any instant (a power cut may cost the last second of it).

The file also keeps room on the disk for the lines of the calls in flight, and gives it up when the disk is full.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from stopcast.errors import ReportError
from stopcast.tasks.identities import Identities
from stopcast.tasks.task import Task

_MAGIC: Final = b"stopcast-flight1"
_WIDTH: Final = 16
_FREE: Final = bytes(_WIDTH)
#: Bytes of disk kept for the line of one call in flight. Lines are about 300 bytes.
_ROOM_PER_CALL: Final = 512


class FlightLog:
    """The tasks in flight. Fills ``stopcast.ports.Flights``.

    Args:
        path: its file; made where there is none.
        most: tasks that may be in it at once, beside those that an earlier run left.
        settled: tasks that need nothing more, whatever the file says.

    Raises:
        ReportError: the file cannot be made, or is none of ours.
    """

    def __init__(self, path: Path, *, most: int, settled: Identities) -> None:
        self._path = path
        try:
            left = [digest for digest in _read(path) if digest not in settled]
            self._size = _WIDTH * (1 + len(left) + most)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # Written out and not just sized: a note in a hole of the file could find the disk full.
                content = b"".join([_MAGIC, *left, _FREE * most, bytes(_ROOM_PER_CALL * most)])
                written = 0
                while written < len(content):
                    written += os.pwrite(descriptor, content[written:], written)
                self._map = mmap.mmap(descriptor, self._size)
            finally:
                os.close(descriptor)
        except OSError as error:
            # Where there is no room for all of it, the notes that were there before are the first to stay.
            with suppress(OSError):
                os.truncate(path, _WIDTH * (1 + len(left)))
                if not left:
                    path.unlink()
            raise ReportError(f"{path} cannot be written: {error.strerror}") from None
        self._left = {digest: _WIDTH * (1 + index) for index, digest in enumerate(left)}
        self._places: dict[Task, int] = {}
        self._free = list(range(_WIDTH * (1 + len(left)), self._size, _WIDTH))

    @property
    def left(self) -> Collection[bytes]:
        """Identities of tasks that an earlier run left in flight, and that have not been sent again."""
        return self._left.keys()

    def begin(self, task: Task, identity: bytes) -> None:
        """Note that a call for the task, known by this identity, is about to go out."""
        if task in self._places:
            return
        if (place := self._left.pop(identity, None)) is None:
            place = self._free.pop()
            self._map[place : place + _WIDTH] = identity
        self._places[task] = place

    def end(self, tasks: Iterable[Task]) -> None:
        """Note that nothing is in doubt about the tasks any more."""
        for task in tasks:
            place = self._places.pop(task, None)
            if place is not None:
                self._map[place : place + _WIDTH] = _FREE
                self._free.append(place)

    def give_up_room(self) -> None:
        """Free the disk's room that was kept for the lines of the calls in flight."""
        with suppress(OSError):
            os.truncate(self._path, self._size)

    def sync(self) -> None:
        """Put the notes on the disk."""
        self._map.flush()

    def close(self) -> None:
        """Leave the file behind only if something in it is in doubt."""
        self._map.close()
        if self._places or self._left:
            self.give_up_room()
        else:
            self._path.unlink(missing_ok=True)


def _read(path: Path) -> list[bytes]:
    """Return the identities in a file that another run left."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    if content and content[:_WIDTH] != _MAGIC:
        raise ReportError(f"{path} is in the way: it is no file of stopcast's; move it away")
    notes = (content[at : at + _WIDTH] for at in range(_WIDTH, len(content) - _WIDTH + 1, _WIDTH))
    return [note for note in notes if note != _FREE]
