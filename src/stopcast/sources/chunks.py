"""The bytes of a list, as they arrive, and how much of it has been read.

A disk, a pipe and above all a person at a terminal may keep a reader waiting, and the event loop must not wait with it:
a daemon thread reads, at most a few chunks ahead of their consumer. Nothing here knows what a line is.
"""

from __future__ import annotations

import asyncio
import os
import select
import stat
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from typing import Final, NamedTuple, Self

from stopcast.errors import ListError
from stopcast.threads import start_thread

#: The most that one chunk holds. Handing one over costs some twenty switches between the threads: large ones, then.
CHUNK_BYTES: Final = 1 << 18
STANDARD_INPUT: Final = "-"
_CHUNKS_AHEAD: Final = 4
#: Of what was read, this much is compared where the file was written to meanwhile.
_TAIL_BYTES: Final = 4096
Decode = Callable[[Iterator[bytes]], Iterator[bytes]]


class ReadSoFar(NamedTuple):
    """What has been read of a list, or of several.

    Attributes:
        file_bytes: of the file, compressed where it is.
        lines: line ends in them.
    """

    file_bytes: int = 0
    lines: int = 0


class Extent:
    """The part of a list that has been read, and the whole. One thread writes it, any other may read it.

    Attributes:
        size: bytes of the file, compressed where it is; None where the list is no file.
        so_far: what has been read and decompressed. It is replaced as a whole, so that a reader never sees the bytes
            of one moment with the lines of another.
        ended: whether the list has been read to its end.
        changed: whether the file was written to since it was opened.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self.so_far = ReadSoFar()
        self.ended = self.changed = False
        self._read = 0
        #: Bytes that were read and are still compressed.
        self._held = 0
        self._in_line = False

    def read(self, number: int) -> None:
        """Count further bytes of the file."""
        self._read += number

    def hold(self, number: int) -> None:
        """Record how many of the bytes that were read are still compressed."""
        self._held = number

    def see(self, text: bytes) -> None:
        """Count the lines of further text."""
        if text:
            self._in_line = not text.endswith(b"\n")
        self.so_far = ReadSoFar(self._read - self._held, self.so_far.lines + text.count(b"\n"))

    def lines(self) -> float | None:
        """Return how many lines the list holds: exactly once it has ended, before that an estimate from its size.

        None before the first byte, and for a list that is no file.
        """
        if self.ended:
            return self.so_far.lines + self._in_line
        if self.size is None or not self.so_far.file_bytes:
            return None
        return self.so_far.lines * max(1.0, self.size / self.so_far.file_bytes)


class Chunks:
    """The bytes of one list, or what ``decode`` makes of them.

    Use it in a ``with`` block: leaving that ends the reading at once and waits for nothing, whatever is still to come.

    Args:
        path: a file or a FIFO, "-" for standard input; it is opened with the block.
        extent: is kept true.
        decode: runs in the thread.
    """

    def __init__(self, path: str, extent: Extent | None = None, *, decode: Decode = iter) -> None:
        self._path = path
        self._decode = decode
        self._extent = extent or Extent()
        self._arrived: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self._room = threading.Semaphore(_CHUNKS_AHEAD)
        self._closed = False

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        # Closing its writing end wakes a thread that waits for input.
        self._alarm, self._alarm_trigger = os.pipe()
        # A thread of the loop's executor would be waited for at exit, and one in read() on a terminal never ends.
        start_thread(self._read, name=f"reads {self._path}")
        return self

    def __exit__(self, *_error: object) -> None:
        self._closed = True
        self._room.release()
        os.close(self._alarm_trigger)

    async def next(self) -> bytes | None:
        """Return what has arrived since, at most ``CHUNK_BYTES``, or None at the end.

        Raises:
            ListError: the list cannot be opened, or not be read to its end.
        """
        item = await self._arrived.get()
        self._room.release()
        if isinstance(item, Exception):
            raise ListError(_in_words(item)) from item
        return item

    def _read(self) -> None:
        """The thread."""
        try:
            with closing(self._raw()) as raw:
                for chunk in self._decode(raw):
                    self._room.acquire()
                    if self._closed:
                        return
                    self._extent.see(chunk)
                    self._hand_over(chunk)
            self._extent.ended = True
            self._hand_over(None)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the rows are awaited
            self._hand_over(error)
        finally:
            os.close(self._alarm)

    def _hand_over(self, item: bytes | Exception | None) -> None:
        with suppress(RuntimeError):  # the loop is closed, so that nothing waits for the item
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, item)

    def _raw(self) -> Generator[bytes, None, None]:
        own = self._path != STANDARD_INPUT
        # Plain descriptors: a file object would warn, and take its buffer's lock along, when the thread is left behind.
        source = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC) if own else _standard_input()
        try:
            watch = _Watch(source, self._extent)
            poll = select.poll()
            poll.register(source, select.POLLIN)
            poll.register(self._alarm, select.POLLIN)
            while True:
                poll.poll()
                if self._closed:
                    return
                try:
                    chunk = os.read(source, CHUNK_BYTES)
                except BlockingIOError:  # a descriptor that another program made non-blocking
                    continue
                watch.see(chunk)
                if not chunk:
                    return
                self._extent.read(len(chunk))
                yield chunk
        finally:
            if own:
                os.close(source)


class _Watch:
    """Notices that a file was written anew while it is read: a row of it could be half old and half new.

    What is only appended is read as well.

    Args:
        descriptor: of the file.
        extent: its ``changed`` is set.
    """

    def __init__(self, descriptor: int, extent: Extent) -> None:
        self._descriptor = descriptor
        self._extent = extent
        self._status = os.fstat(descriptor)
        self._is_file = stat.S_ISREG(self._status.st_mode)
        self._tail = b""

    def see(self, chunk: bytes) -> None:
        """See what was just read, b"" at the end.

        Raises:
            ListError: what was read before it is no longer in the file.
        """
        if not self._is_file:
            return
        status = os.fstat(self._descriptor)
        if (status.st_mtime_ns, status.st_size) != (self._status.st_mtime_ns, self._status.st_size):
            self._status, self._extent.changed = status, True
            begins = os.lseek(self._descriptor, 0, os.SEEK_CUR) - len(chunk)
            if os.pread(self._descriptor, len(self._tail), begins - len(self._tail)) != self._tail:
                raise ListError("it was written anew while it was read: when it is whole, continue with --resume")
        self._tail = (self._tail + chunk)[-_TAIL_BYTES:]


def _standard_input() -> int:
    if sys.stdin is None:
        raise ListError("it is closed")
    return sys.stdin.buffer.fileno()


def _in_words(error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "no such file"
        case IsADirectoryError():
            return "a directory, not a file"
        case PermissionError():
            return "no permission to read it"
        case OSError(strerror=str(reason)):
            return reason.lower()
        case _:
            return str(error) or type(error).__name__
