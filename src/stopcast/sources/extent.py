"""How much of a list has been read, and about how many lines it holds."""

from __future__ import annotations

from typing import NamedTuple


class ReadSoFar(NamedTuple):
    """What has been read of a list, or of several.

    Attributes:
        file_bytes: of the file, compressed where it is.
        lines: line ends in them.
    """

    file_bytes: int = 0
    lines: int = 0


class Extent:
    """The part of a list that has been read, and the whole. One thread writes it, any other may read it.

    Attributes:
        size: bytes of the file, compressed where it is; None where the list is no file.
        held: bytes that were read and are still compressed.
        so_far: what has been read and decompressed. It is replaced as a whole, so that a reader never sees the bytes
            of one moment with the lines of another.
        ended: whether the list has been read to its end.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self.held = 0
        self.so_far = ReadSoFar()
        self.ended = False
        self._read = 0
        self._in_line = False

    def read(self, number: int) -> None:
        """Count further bytes of the file."""
        self._read += number

    def see(self, text: bytes) -> None:
        """Count the lines of further text."""
        if text:
            self._in_line = not text.endswith(b"\n")
        self.so_far = ReadSoFar(self._read - self.held, self.so_far.lines + text.count(b"\n"))

    def lines(self) -> float | None:
        """Return how many lines the list holds: exactly once it has ended, before that an estimate from its size.

        None before the first byte, and for a list that is no file.
        """
        if self.ended:
            return self.so_far.lines + self._in_line
        if self.size is None or not self.so_far.file_bytes:
            return None
        return self.so_far.lines * max(1.0, self.size / self.so_far.file_bytes)
