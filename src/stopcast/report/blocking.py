"""Calls that may block for ever, in a thread of their own that does not keep the process from ending."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread


class BlockingCalls:
    """Runs blocking calls in their order.

    The loop's own executor will not do: its threads are joined when the process ends, and a write to a pipe whose
    reader has stopped never returns.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._calls: SimpleQueue[tuple[Callable[[], None], asyncio.Future[None]] | None] = SimpleQueue()
        self._thread: Thread | None = None

    def start(self, call: Callable[[], None]) -> asyncio.Future[None]:
        """Run the call after those before it, and return a future that ends as it does."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name=f"stopcast {self._name}", daemon=True)
            self._thread.start()
        future: asyncio.Future[None] = self._loop.create_future()
        self._calls.put((call, future))
        return future

    def stop(self) -> None:
        """End the thread once its calls have returned."""
        if self._thread is not None:
            self._calls.put(None)

    def _run(self) -> None:
        # Signals are for the main thread: it alone can block them at its end.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
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
        view = view[os.write(descriptor, view) :]


def remove_torn_line(descriptor: int, data: bytes, written: int) -> int:
    """Remove a last line of ``data`` that was not written whole, and return how many bytes were removed."""
    torn = written - (data.rfind(b"\n", 0, written) + 1)
    with suppress(OSError):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - torn)
    return torn
