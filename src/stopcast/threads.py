"""Calls that may block for ever, each in a thread of its own that does not keep the process alive."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def start_thread(run: Callable[[], object], *, name: str) -> None:
    """Run a function in a thread of its own. The process ends without waiting for it."""

    def with_signals_blocked() -> None:
        # Signals are for the main thread: it alone can block them at its end.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        run()

    threading.Thread(target=with_signals_blocked, name=name, daemon=True).start()


async def in_thread(call: Callable[[], T], *, name: str) -> T:
    """Return what a call returns that may block for ever. A cancellation leaves it to its thread.

    The loop's own executor will not do: its threads are joined when the process ends, and a disk may never answer.
    """
    future: Future[T] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
            future.set_exception(error)

    start_thread(run, name=f"stopcast {name}")
    return await asyncio.wrap_future(future)
