"""Runs the coroutine of a command on an event loop that handles each signal at once."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine on a new event loop, and return its result."""

    async def run_main() -> T:
        with _woken_by_signals():
            return await main

    return asyncio.run(run_main())


@contextmanager
def _woken_by_signals() -> Iterator[None]:
    """Wake the loop on every signal: one that arrives just before the loop sleeps would wait for the next event."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    loop.add_reader(ours, ours.recv, 4096)
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        loop.remove_reader(ours)
        ours.close()
        theirs.close()
