"""The report's file while a run writes it: it is put on the disk, and still there. Other programs may take it away."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from stopcast.marking import N_
from stopcast.report.blocking import is_at, sync
from stopcast.report.in_flight import InFlightLog

_LOG: Final = logging.getLogger("stopcast")
_NO_SYNC: Final = N_("the file system of the report {path} cannot sync files: a power cut may lose the last lines")
_MOVED: Final = N_(
    "another program has moved the report {path} while this run writes it. Its lines are still written, to {now}; move "
    "it back before you continue it"
)
_ANOTHER_FILE: Final = N_("that file, under a name that is not known")
_CUT: Final = N_("another program has cut it during the run, and lines are lost")
_DELETED: Final = N_("another program has deleted it during the run, and its lines are lost")
_SAVED: Final = N_("another program has deleted it during the run; all its lines are in the new file {file}")
_COPIED_BYTES: Final = 1 << 20
#: How Linux shows the name of a file that another name still keeps.
_DELETED_NAME: Final = " (deleted)"


class SyncedReport:
    """Syncs one report with its in-flight log, and sees whether it is still there.

    Attributes:
        status: of the file that holds the report's lines; of a new file, once a deleted report was written anew.
    """

    def __init__(self, descriptor: int, path: Path, in_flight: InFlightLog | None) -> None:
        self.status = os.fstat(descriptor)
        #: The bytes that the file has to hold at least: those that it had, and those that were written since.
        self._size = self.status.st_size
        self._had_a_name = self.status.st_nlink > 0
        self._descriptor = descriptor
        self._path = path
        self._in_flight = in_flight
        #: Notes of lines that were written when the last sync began.
        self._notes = 0
        self._warned: set[str] = set()
        self._saved: Path | None = None

    def grew(self, written: int) -> None:
        """Count bytes that were written."""
        self._size += written

    def sync(self) -> None:
        """Put the report and its in-flight log on the disk. Blocks, so it belongs in a thread.

        Raises:
            OSError: it cannot be put there, or another program has deleted or cut it. A deleted report is written anew.
        """
        size = self._size
        self._notes = 0 if self._in_flight is None else self._in_flight.unsynced
        if not sync(self._descriptor):
            self._warn("report_not_synced", _NO_SYNC.format(path=self._path))
        if self._in_flight is not None:
            self._in_flight.sync()
        status = os.fstat(self._descriptor)
        if self._had_a_name and not status.st_nlink:
            raise OSError(errno.ENOENT, self._save())
        if status.st_size < size:
            raise OSError(errno.EIO, _CUT)
        with suppress(PermissionError):
            if not is_at(self._path, self._descriptor):
                self._warn("report_moved", _MOVED.format(path=self._path, now=self._name_now()))

    def free_notes(self) -> None:
        """Free the notes of the lines that the last sync has put on the disk."""
        if self._in_flight is not None:
            self._in_flight.synced(self._notes)

    def _warn(self, event: str, text: str) -> None:
        if event not in self._warned:
            self._warned.add(event)
            _LOG.warning("%s", text, extra={"event": event})

    def _name_now(self) -> str:
        with suppress(OSError):
            name = str(Path(f"/proc/self/fd/{self._descriptor}").readlink())
            if not name.endswith(_DELETED_NAME):
                return name
        return _ANOTHER_FILE

    def _save(self) -> str:
        """Write the lines of the deleted report to a file with a name, and return what has happened."""
        try:
            with self._open_saved() as file:
                file.writelines(self._content())
                file.flush()
                sync(file.fileno())
                self.status = os.fstat(file.fileno())
        except OSError:
            return _DELETED
        return _SAVED.format(file=self._saved)

    def _open_saved(self) -> IO[bytes]:
        if self._saved is not None:
            return self._saved.open("wb")
        try:
            file = self._path.open("xb")
        except FileExistsError:  # another file has that name by now
            file = self._path.with_name(f"{self._path.name}.saved").open("xb")
        self._saved = Path(file.name)
        return file

    def _content(self) -> Iterator[bytes]:
        at = 0
        while data := os.pread(self._descriptor, _COPIED_BYTES, at):
            at += len(data)
            yield data
