"""Keys that steer a run, read one by one from the terminal. The terminal gets its mode back however the run ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final, Self

from stopcast.cli.display.progress import Progress
from stopcast.cli.running.steering import Steering
from stopcast.cli.standard_streams import can_be_typed_on
from stopcast.sources.chunks import STANDARD_INPUT

if TYPE_CHECKING:
    from stopcast.cli.display.screen import Screen

#: These end or stop a process without its knowledge, and would leave the terminal in the mode for keys.
_LEAVING: Final = (signal.SIGTSTP, signal.SIGQUIT)
_LOCAL_FLAGS: Final = 3
_CONTROL_CHARACTERS: Final = 6


class Keys:
    """Reads keys while the block lasts, if standard input is a terminal that this process may read.

    Control-C, Control-Z and their like go on sending signals. Before the process is stopped or killed by the terminal,
    the terminal gets its own mode back; when the process continues in the foreground, keys are read again. In the
    background they are not: to read there would stop the process.

    Args:
        press: is called with each key.
        hidden: returns a context in which nothing is drawn, for the time in which the process is stopped.
        on_change: is called with whether keys are read, when that changes.
    """

    def __init__(
        self,
        press: Callable[[str], object],
        *,
        hidden: Callable[[], AbstractContextManager[object]] = nullcontext,
        on_change: Callable[[bool], object] = lambda _read: None,
    ) -> None:
        self._press = press
        self._hidden = hidden
        self._on_change = on_change
        self._descriptor = -1
        self._mode: list[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if not can_be_typed_on():
            return self
        self._descriptor = sys.stdin.fileno()
        self._loop = asyncio.get_running_loop()
        for number in (*_LEAVING, signal.SIGCONT):
            before = signal.getsignal(number)
            # A shell without job control starts its commands with some of them ignored.
            if before is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._receive)
        self._begin()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _begin(self) -> None:
        """Read keys, in the foreground."""
        if self._mode is not None or not self._in_foreground() or self._loop is None:
            return
        with suppress(termios.error):
            mode = termios.tcgetattr(self._descriptor)
            self._set_mode_for_keys()
            self._mode = mode
            self._loop.add_reader(self._descriptor, self._read)
            self._on_change(True)

    def _set_mode_for_keys(self) -> None:
        mode = termios.tcgetattr(self._descriptor)
        mode[_LOCAL_FLAGS] &= ~(termios.ICANON | termios.ECHO)
        # A read returns at once, with nothing if there is nothing.
        mode[_CONTROL_CHARACTERS][termios.VMIN] = mode[_CONTROL_CHARACTERS][termios.VTIME] = 0
        termios.tcsetattr(self._descriptor, termios.TCSANOW, mode)

    def _continue(self) -> None:
        """Read keys again after the process was stopped. The shell may have changed the terminal's mode meanwhile."""
        if self._mode is None:
            self._begin()
        elif self._in_foreground():
            with suppress(termios.error):
                self._set_mode_for_keys()

    def _end(self) -> None:
        """Read no keys, and give the terminal its mode back, unless it is another process's now."""
        if self._mode is None or self._loop is None:
            return
        self._loop.remove_reader(self._descriptor)
        if self._in_foreground():
            with suppress(termios.error):
                # Not TCSADRAIN: a terminal that is stopped by Control-S would never take the rest of the output.
                termios.tcsetattr(self._descriptor, termios.TCSANOW, self._mode)
        self._mode = None
        self._on_change(False)

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            return False

    def _read(self) -> None:
        typed = b""
        if self._in_foreground():
            with suppress(OSError):
                typed = os.read(self._descriptor, 64)
        if not typed:
            # The terminal was closed, or is another process's now.
            self._end()
        for key in typed.decode(errors="replace"):
            self._press(key)

    def _receive(self, number: int, _frame: object) -> None:
        if number == signal.SIGQUIT:
            # At once: it is for a process whose loop may be blocked, perhaps in the middle of a drawing.
            with suppress(Exception), self._hidden():
                self._leave(number)
            self._leave(number)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._continue if number == signal.SIGCONT else self._stop)

    def _stop(self) -> None:
        """Be stopped by the terminal, with nothing drawn on it."""
        with self._hidden():
            self._leave(signal.SIGTSTP)
            # The process was stopped, and continues.
            signal.signal(signal.SIGTSTP, self._receive)
        self._begin()

    def _leave(self, number: int) -> None:
        """Let the signal do what it does by default, with the terminal in its own mode."""
        self._end()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def keys_for(
    steering: Steering, showing: Progress, screen: Screen | None, lists: Sequence[str]
) -> Keys | nullcontext[None]:
    """Return what reads the keys of a run. They are a part of the display, and standard input must not be a list."""
    if screen is None or STANDARD_INPUT in lists:
        return nullcontext()

    def press(key: str) -> None:
        steering.press(key)
        showing.show_change()

    return Keys(press, hidden=screen.hidden, on_change=steering.read_keys)
