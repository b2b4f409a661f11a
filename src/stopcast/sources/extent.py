"""How long a list is, as far as that can be told while it is read."""

from __future__ import annotations


class Extent:
    """The part of a list that has been read, and the whole. One thread writes it, others may look.

    Attributes:
        size: bytes of the file, compressed where it is; None where it is none.
        held: bytes of it that were read and not inflated yet.
        ended: whether it has been read to its end.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self.held = 0
        self.ended = False
        self._read = 0
        self._seen = (0, 0)
        self._in_line = False

    def read(self, number: int) -> None:
        """Take note of so many further bytes of the file."""
        self._read += number

    def see(self, text: bytes) -> None:
        """Take note of what they held."""
        lines = self._seen[1] + text.count(b"\n")
        # At once: whoever looks must not find the one without the other.
        self._seen = self._read - self.held, lines
        self._in_line = not text.endswith(b"\n")

    @property
    def seen(self) -> tuple[int, int]:
        """Bytes of the file, and the lines that they held."""
        return self._seen

    def lines(self) -> float | None:
        """Return about how many lines the list holds, as many as it does if it has ended; None if nobody can tell."""
        position, lines = self._seen
        if self.ended:
            return lines + self._in_line
        return lines * max(1.0, self.size / position) if self.size is not None and position else None
