"""Reads a small file as a whole. A pipe in its place may be slow, but does not block for ever."""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from io import BytesIO, FileIO, TextIOWrapper
from pathlib import Path
from typing import Final

from stopcast.marking import N_

#: The time in which the writer of a pipe has to write all and to close it. Signals have no effect during it.
_PIPE_SECONDS: Final = 2.0


def read_text(path: Path) -> tuple[str, int]:
    """Return the file's text and its mode.

    Raises:
        OSError: it cannot be read, or is a pipe whose writer does not come to an end.
        ValueError: it is not UTF-8.
    """
    # Opening a pipe would wait for its writer.
    with FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        mode = os.fstat(file.fileno()).st_mode
        data = _read_pipe(file) if stat.S_ISFIFO(mode) else file.read() or b""
    return TextIOWrapper(BytesIO(data), "utf-8-sig").read(), mode


def _read_pipe(file: FileIO) -> bytes:
    poll, data, ends_at = select.poll(), bytearray(), time.monotonic() + _PIPE_SECONDS
    poll.register(file, select.POLLIN)
    while (left := ends_at - time.monotonic()) > 0:
        piece = file.read(1 << 16)
        if piece:
            data += piece
            continue
        has_ended = piece is not None and bool(data)
        # Without that: nothing yet, or no writer yet.
        if has_ended or ((events := poll.poll(left * 1000)) and not events[0][1] & select.POLLIN):
            return bytes(data)
    raise TimeoutError(errno.ETIMEDOUT, N_("a pipe that was not filled and closed in time"))
