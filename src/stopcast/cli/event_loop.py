"""Runs the coroutine of a command on an event loop that handles each signal at once."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import socket
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final, TypeVar

from stopcast.background import cancellable
from stopcast.cli.signals import Signals
from stopcast.errors import ConfigurationError, InterruptedRunError
from stopcast.marking import N_

T = TypeVar("T")
TOO_FEW_FILES: Final = N_(
    "the limit on open files is {limit}, which leaves no room for calls. Raise it: ulimit -n 1024"
)
#: Those of the loop, and those that wake it on a signal.
_LOOP_FILES: Final = 5


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine on a new event loop, and return its result.

    Raises:
        InterruptedRunError: a signal ended it.
    """
    with closing(main), Signals() as signals:
        return run_with_own_signals(_until_a_signal(main, signals))


async def _until_a_signal(main: Coroutine[Any, Any, T], signals: Signals) -> T:
    signals.cancel_task()
    try:
        return await cancellable(main, name="command")
    except asyncio.CancelledError:
        if signals.number is None:
            raise
        raise InterruptedRunError(signals.number) from None


def run_with_own_signals(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that decides itself what a signal does, as ``run`` does."""

    async def run_main() -> T:
        with _woken_by_signals():
            return await main

    with closing(main):
        # It opens three files. Where it cannot, Python prints what is left of it.
        _check_room_for_files()
        return asyncio.run(run_main())


def _check_room_for_files() -> None:
    opened: list[int] = []
    try:
        opened.extend(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) for _ in range(_LOOP_FILES))
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        raise ConfigurationError(TOO_FEW_FILES.format(limit=limit)) from None
    finally:
        for descriptor in opened:
            os.close(descriptor)


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
