"""The standard streams of the command: what happens to standard error never changes a run."""

from __future__ import annotations

import errno
import io
import os
import select
import socket
import sys
import time
from contextlib import suppress
from typing import Any, Final, TextIO

from stopcast.errors import StopcastError

#: A pipe that is ready takes this much without blocking (PIPE_BUF is at least 512 and 4096 on Linux).
_PIECE_BYTES: Final = 4096
#: What waits for a standard error that takes nothing. More is dropped.
_MOST_WAITING_BYTES: Final = 1 << 20
#: The time that the last lines of standard error may take at the end.
_END_SECONDS: Final = 1.5
#: The reader has gone: its pipe or terminal was closed.
_READER_GONE: Final = frozenset({errno.EPIPE, errno.EIO})


def may_be_drawn_on() -> bool:
    """Return whether standard error is a terminal that can be drawn on, with rich to draw."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("CI"):
        return False
    # Without a type it is not known what the terminal understands.
    if os.environ.get("TERM", "") in {"", "dumb", "unknown"}:
        return False
    with suppress(ImportError):
        import rich  # noqa: F401

        return True
    return False


def can_be_typed_on() -> bool:
    """Return whether standard input is a terminal, at which a person may type."""
    return sys.stdin is not None and sys.stdin.isatty()


class OutputError(StopcastError):
    """Standard output cannot be written."""


class StandardOutput(io.RawIOBase):
    """Standard output. Data that it does not take is an error, except that its reader may have gone.

    Attributes:
        patience_seconds: how long it may take no data, None for no limit.
        reader_gone: whether its reader has gone, so that nothing more needs to be written.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.patience_seconds: float | None = None
        self.reader_gone = False
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        """Write all bytes.

        Raises:
            OutputError: that is not possible.
        """
        rest = memoryview(data)
        while rest:
            if not self._poll.poll(None if self.patience_seconds is None else self.patience_seconds * 1000):
                raise OutputError("standard output does not accept data any more")
            try:
                rest = rest[os.write(self._descriptor, rest[:_PIECE_BYTES]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno in _READER_GONE:
                    self.reader_gone = True
                    break
                raise OutputError(f"standard output cannot be written: {error.strerror}") from None
        return len(data)


class _Diagnostics(StandardOutput):
    """Standard error. It never raises an error and never blocks: lines that it does not take wait, or are lost."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._waiting = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        """Write what it takes now, and keep the rest."""
        if len(self._waiting) < _MOST_WAITING_BYTES:
            self._waiting += data
        self.drain(0)
        return len(data)

    def drain(self, seconds: float) -> None:
        """Write what waits, for at most this long."""
        ends_at = time.monotonic() + seconds
        while self._waiting and self._poll.poll(max(0.0, ends_at - time.monotonic()) * 1000):
            try:
                written = os.write(self._descriptor, self._waiting[:_PIECE_BYTES])
            except BlockingIOError:
                return
            except OSError:
                self._waiting.clear()
            else:
                del self._waiting[:written]


class StandardStreams:
    """Replaces ``sys.stdout`` and ``sys.stderr`` while the block lasts, and writes the last lines at its end."""

    def __init__(self) -> None:
        self._diagnostics: _Diagnostics | None = None

    def __enter__(self) -> None:
        _occupy_closed_descriptors()
        if sys.stdout is not None:
            sys.stdout = _text(StandardOutput(1), sys.stdout)
        if sys.stderr is not None:
            self._diagnostics = _Diagnostics(2)
            sys.stderr = _text(self._diagnostics, sys.stderr)

    def __exit__(self, *_: object) -> None:
        if self._diagnostics is not None:
            self._diagnostics.drain(_END_SECONDS)


def _text(raw: Any, before: TextIO) -> TextIO:
    # What the locale's encoding does not have is written as an escape.
    return io.TextIOWrapper(raw, before.encoding, "backslashreplace", write_through=True)


def _occupy_closed_descriptors() -> None:
    """Keep the numbers 0, 1 and 2 from files that are opened later: they would receive what is for a standard stream.

    What is opened instead refuses the stream's use as a closed descriptor does. A socket cannot be opened by name, so
    that /dev/stdin is no empty list.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one.
            if descriptor == 0:
                socket.socket(socket.AF_UNIX).detach()
            else:
                os.open(os.devnull, os.O_RDONLY)
