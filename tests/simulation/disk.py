"""Real files, with faults: the functions of ``os`` that change files, as a simulated process sees them."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from simulation.loop import Group, KilledError, SimulatedLoop, current_group
from simulation.record import Record
from simulation.world import World

#: They change files or their names. A process that was killed can call none of them.
_CHANGES: Final = (
    "ftruncate",
    "unlink",
    "rename",
    "replace",
    "setxattr",
    "removexattr",
    "mkdir",
    "rmdir",
    "chmod",
    "fchmod",
)


class Disk:
    """The layer. While ``patched``, every simulated process writes through it; the world itself does not.

    Attributes:
        calm: whether no fault happens any more.
        on_kill: is called with a process that dies within a write.
    """

    def __init__(self, world: World, loop: SimulatedLoop, record: Record, on_kill: Callable[[Group], None]) -> None:
        self.world = world
        self.loop = loop
        self.record = record
        self.calm = False
        self.on_kill = on_kill
        self._writes = self._syncs = self._waits = 0
        loop.thread_seconds = self._thread_seconds
        self._groups: set[Group] = set()
        #: The size of each file at its last sync.
        self._synced: dict[tuple[int, int], int] = {}
        #: What was written in each file since then: the place, and what stood there before.
        self._replaced: dict[tuple[int, int], list[tuple[int, bytes, bytes]]] = defaultdict(list)
        self._real = {name: getattr(os, name) for name in (*_CHANGES, "open", "close", "dup", "write", "pwrite")}

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Put the layer between the simulated processes and the disk."""
        mine: dict[str, Any] = {name: partial(self._change, name) for name in _CHANGES}
        mine |= {name: getattr(self, name) for name in ("open", "close", "dup", "write", "pwrite")}
        mine |= {"fsync": self._sync, "fdatasync": self._sync}
        opened = self._file_opener(io.open)
        with patch.multiple(os, **mine), patch.object(io, "open", opened), patch.object(builtins, "open", opened):
            yield

    def close_all(self, group: Group) -> None:
        """Close what a process has open, as the kernel does when it dies."""
        for descriptor in left_open(group):
            self._real["close"](descriptor)
        group.descriptors.clear()

    # What the processes call.

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        """Open a file."""
        group = self._living()
        descriptor: int = self._real["open"](path, flags, mode, dir_fd=dir_fd)
        self._has(group, descriptor)
        return descriptor

    def dup(self, descriptor: int) -> int:
        """Duplicate a descriptor."""
        group = self._living()
        copy: int = self._real["dup"](descriptor)
        self._has(group, copy)
        return copy

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        group = self._living()
        if group is not None:
            group.descriptors.pop(descriptor, None)
        self._real["close"](descriptor)

    def write(self, descriptor: int, data: Any) -> int:
        """Append to a file."""
        group = self._living()
        if group is None:
            return int(self._real["write"](descriptor, data))
        self._block()
        room = len(data)
        if self._is_full() or self._dies(group):
            room = int(len(data) * self.world.share("torn", self._writes))
        written = int(self._real["write"](descriptor, bytes(data)[:room])) if room else 0
        if self._dies(group):
            self.on_kill(group)
            raise KilledError
        if not written and len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written

    def pwrite(self, descriptor: int, data: Any, offset: int) -> int:
        """Write in a file."""
        group = self._living()
        if group is not None:
            self._block()
        if group is not None and self._is_full() and offset + len(data) > os.fstat(descriptor).st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if group is not None and (file := _file_at(descriptor)) is not None:
            self._replaced[file].append((offset, os.pread(descriptor, len(data), offset), bytes(data)))
        return int(self._real["pwrite"](descriptor, data, offset))

    def _change(self, name: str, *arguments: Any, **named: Any) -> Any:
        self._living()
        return self._real[name](*arguments, **named)

    def cut_power(self, folder: Path) -> None:
        """Lose what was written since the last sync of each file: appended lines, and each note, from any byte on."""
        for path in sorted(folder.iterdir()):
            status = path.stat()
            file = status.st_dev, status.st_ino
            if path.suffix == ".inflight":
                self._lose_notes(path, self._replaced.pop(file, []))
            synced = self._synced.get(file)
            if path.suffix == ".jsonl" and synced is not None and synced < status.st_size:
                left = synced + int((status.st_size - synced + 1) * self.world.share("power_cut", self._writes))
                os.truncate(path, left)
                self._synced[file] = left  # the next process reads it from the disk

    def _lose_notes(self, path: Path, replaced: list[tuple[int, bytes, bytes]]) -> None:
        with path.open("r+b") as notes:
            # Each write reached the disk up to any byte, the last ones and the first ones alike.
            for place, (offset, before, data) in enumerate(replaced):
                share = self.world.pick((0.0, 1.0, self.world.share("note cut", place, offset)), "note", place, offset)
                left = int(len(data) * share)
                notes.seek(offset)
                notes.write(data[:left] + before[left:].ljust(len(data) - left, b"\0"))

    def _sync(self, descriptor: int) -> None:
        # Nothing has to be on the machine's own disk. Only what would be there is kept in mind.
        group = self._living()
        self._syncs += 1
        if group is not None and not self.calm and self.world.happens("sync_fails", self._syncs):
            self.record.note(self.loop.time(), f"{group.name}: a sync fails")
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        status = os.fstat(descriptor)
        self._synced[status.st_dev, status.st_ino] = status.st_size
        self._replaced.pop((status.st_dev, status.st_ino), None)

    def _thread_seconds(self) -> float:
        self._waits += 1
        slow = not self.calm and self.world.happens("sync_slow", self._waits)
        return self.world.between(0.1, 3.0, "sync_slow", self._waits) if slow else 0.001

    def _block(self) -> None:
        self._writes += 1
        if not self.calm and self.world.happens("write_slow", self._writes):
            self.loop.block(self.world.pick((0.01, 0.1, 0.6, 3.0), "write_slow", self._writes))

    def _is_full(self) -> bool:
        # In a time of three seconds, it is full or not.
        return not self.calm and self.world.happens("disk_full", int(self.loop.time() / 3))

    def _dies(self, group: Group) -> bool:
        return not self.calm and self.world.happens("killed_in_write", group.name, self._writes)

    def _living(self) -> Group | None:
        group = current_group()
        if group is not None and not group.alive:
            raise KilledError
        return group

    def _file_opener(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, *arguments: Any, **named: Any) -> Any:
            group = self._living()
            made = real(file, *arguments, **named)
            self._has(group, made.fileno())
            return made

        return opened

    def _has(self, group: Group | None, descriptor: int) -> None:
        """Remember whose it is. A file object closes its descriptor unseen, and then the number is used again."""
        for other in self._groups:
            other.descriptors.pop(descriptor, None)
        if group is not None:
            self._groups.add(group)
            group.descriptors[descriptor] = _file_at(descriptor)


def left_open(group: Group) -> list[int]:
    """Return the descriptors that a process has open."""
    return [descriptor for descriptor, file in group.descriptors.items() if _file_at(descriptor) == file]


def _file_at(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino
