"""Writing and syncing files, which may block for ever, and a thread for it that does not keep the process alive.

Here is also how an open file is compared with the one that now has its name.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from stopcast.threads import start_thread

#: How a file system says that it cannot sync a file.
_CANNOT_SYNC: Final = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class BlockingCalls:
    """Runs blocking calls in their order.

    The loop's own executor will not do: its threads are joined when the process ends, and a write to a pipe whose
    reader has stopped never returns.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._calls: SimpleQueue[tuple[Callable[[], object], asyncio.Future[None]] | None] = SimpleQueue()
        self._started = False

    def start(self, call: Callable[[], object]) -> asyncio.Future[None]:
        """Run the call after those before it, and return a future that ends as it does."""
        if not self._started:
            self._started = True
            start_thread(self._run, name=f"stopcast {self._name}")
        future: asyncio.Future[None] = self._loop.create_future()
        self._calls.put((call, future))
        return future

    def stop(self) -> None:
        """End the thread once its calls have returned."""
        if self._started:
            self._calls.put(None)

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            call, future = item
            error: Exception | None = None
            try:
                call()
            except Exception as raised:  # noqa: BLE001 - it is raised where the future is awaited
                error = raised
            with suppress(RuntimeError):  # the loop is closed, and so is the future's owner
                self._loop.call_soon_threadsafe(_end, future, error)


def _end(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes, however few the file takes at once."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # another process made the pipe non-blocking
            select.select([], [descriptor], [])


def torn_bytes(data: bytes, written: int) -> int:
    """Return how many of the bytes that were written belong to a last line that was not written whole."""
    return written - (data.rfind(b"\n", 0, written) + 1)


def cut_off(descriptor: int, number: int) -> bool:
    """Remove the last bytes of a file, and return whether its file system can do that."""
    try:
        if number:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - number)
    except OSError:
        return False
    return True


def sync(descriptor: int, *, data_only: bool = False) -> bool:
    """Put the file on the disk, and return False where its file system has no such operation."""
    try:
        (getattr(os, "fdatasync", os.fsync) if data_only else os.fsync)(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
        return False
    return True


def is_at(path: Path, descriptor: int) -> bool:
    """Return whether the path is still a name of the open file. Another program may have moved either."""
    return is_name_of(path, os.fstat(descriptor))


def is_name_of(path: Path, file: os.stat_result) -> bool:
    """Return whether the path is a name of the file that had this status."""
    try:
        return os.path.samestat(path.stat(), file)
    except (FileNotFoundError, NotADirectoryError):
        return False
