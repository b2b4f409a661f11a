"""A terminal that a test looks at: a pseudo-terminal, and what it would show."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pyte

from support.processes import COMMAND, HANGS_AFTER_SECONDS, Shell, own_the_terminal


class Terminal:
    """A command on a terminal of its own. ``raw`` is all that came, ``text`` what is on the screen now."""

    def __init__(
        self,
        shell: Shell,
        *arguments: str,
        columns: int,
        rows: int,
        before: Callable[[], object],
        program: tuple[str, ...],
    ) -> None:
        self._ours, theirs = pty.openpty()
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self.raw = b""
        self.resize(columns, rows)

        def begin() -> None:
            own_the_terminal()
            before()

        self.process = shell.start(
            *arguments, stdin=theirs, stdout=theirs, stderr=theirs, before=begin, program=program
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # EIO: the other end of the terminal is closed
            while piece := os.read(self._ours, 65536):
                with self._lock:
                    self.raw += piece
                    self._stream.feed(piece)

    @property
    def text(self) -> str:
        with self._lock:
            return "\n".join(line.rstrip() for line in self._screen.display).strip("\n")

    def resize(self, columns: int, rows: int) -> None:
        with self._lock:
            fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            self._screen.resize(rows, columns)

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def end(self) -> int:
        """Wait until the command has ended, and return its status."""
        status = self.process.wait(HANGS_AFTER_SECONDS)
        self._reader.join()
        return status

    def close(self) -> None:
        """Close the window."""
        with suppress(OSError):
            os.close(self._ours)
        self._ours = -1


def nothing() -> None:
    """Do nothing."""


def outlive_the_terminal() -> None:
    """Be started as by nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@contextmanager
def terminal(
    shell: Shell,
    *arguments: str,
    columns: int = 80,
    rows: int = 24,
    before: Callable[[], object] = nothing,
    program: tuple[str, ...] = COMMAND,
) -> Iterator[Terminal]:
    """Run the command, or another program, on a terminal while the block lasts."""
    shell.variables.setdefault("TERM", "xterm-256color")
    shown = Terminal(shell, *arguments, columns=columns, rows=rows, before=before, program=program)
    try:
        yield shown
    finally:
        shown.process.kill()
        shown.process.wait()
        shown.close()
