"""Signals that end a command where no event loop runs: each raises KeyboardInterrupt, as SIGINT does by itself."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: The signals that end a command.
ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def raise_on_signals() -> None:
    """Let the signals raise KeyboardInterrupt. One that was ignored when the command started stays ignored."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def _raise(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(number)


def number_of(interrupt: KeyboardInterrupt) -> int:
    """Return the number of the signal that raised it."""
    return int(interrupt.args[0]) if interrupt.args else signal.SIGINT


@contextmanager
def exiting_on_signals() -> Iterator[None]:
    """Exit with a signal's status if one interrupts the block."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise SystemExit(128 + number_of(interrupt)) from None
