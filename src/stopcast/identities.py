"""Telling tasks apart: 128 bits for each, whatever its ids look like, packed tightly.

Two tasks with the same identity would leave one of them running. With 128 bits of a cryptographic hash that does not
happen, by chance (1 in 10**24 among ten million) or by somebody's will.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from stopcast.outcome import Status
from stopcast.task import Task

_BYTES: Final = 16
_SHELVES: Final = 1 << 17
_LOOSE: Final = 1 << 20


def identity(task: Task | str) -> bytes:
    """Return the identity of a task, given as such or as its three ids with commas between (no id may hold one)."""
    key = task if isinstance(task, str) else ",".join(task)
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()


def told_identity(status: Status, task: Task, message: str | None) -> bytes:
    """Return the identity of a line of the report that is about a row and not about a task's end.

    A ``duplicate`` is told by its task. An ``invalid`` row names none: it is told by what its line shows of it.
    """
    if status is Status.DUPLICATE:
        return identity(task)
    return blake2b(repr((*task, message)).encode(), digest_size=_BYTES, person=b"invalid").digest()


class Identities:
    """A set of identities: the first million loose, which is quick, those after them packed, at 17 bytes each."""

    __slots__ = ("_loose", "_packed", "_shelves")

    def __init__(self) -> None:
        self._loose: set[bytes] = set()
        # A shelf is all identities that begin with the same 17 bits, end to end.
        self._shelves: list[bytes] = []
        self._packed = 0

    def __len__(self) -> int:
        return len(self._loose) + self._packed

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._loose or (self._packed > 0 and _find(self._shelves[_shelf(digest)], digest) >= 0)

    def add(self, digest: bytes) -> bool:
        """Add one and return whether it was new."""
        if digest in self:
            return False
        if len(self._loose) < _LOOSE:
            self._loose.add(digest)
            return True
        if not self._shelves:
            self._shelves = [b""] * _SHELVES
        self._shelves[_shelf(digest)] += digest
        self._packed += 1
        return True

    def discard(self, digest: bytes) -> None:
        """Take one out, if it is there."""
        if digest in self._loose:
            self._loose.remove(digest)
        elif digest in self:
            place = _shelf(digest)
            shelf = self._shelves[place]
            at = _find(shelf, digest)
            self._shelves[place] = shelf[:at] + shelf[at + _BYTES :]
            self._packed -= 1


def _shelf(digest: bytes) -> int:
    return int.from_bytes(digest[:4], "little") & (_SHELVES - 1)


def _find(shelf: bytes, digest: bytes) -> int:
    """Return where the identity stands, -1 if it does not: the same bytes across two others do not count."""
    at = shelf.find(digest)
    while at % _BYTES and at >= 0:
        at = shelf.find(digest, at + 1)
    return at
