"""Telling tasks apart: 128 bits for each, whatever its ids look like, packed tightly.

Two tasks with the same identity would leave one of them running. With 128 bits of a cryptographic hash that happens
neither by chance (once in 10**24 lists of ten million) nor by design. How an identity is made must stay as it is:
the note of the calls in flight keeps identities from one run to the next.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Task

_BYTES: Final = 16
_HASH: Final = blake2b(digest_size=_BYTES)
_WORDS: Final = _BYTES // array("I").itemsize
#: As many are kept loose, at 0.3 us and 100 bytes each. Packed ones take 0.5 to 1 us, and 17 to 20 bytes.
_LOOSE: Final = 1 << 20
_SHELVES: Final = 1 << 17


def identity(task: Task | str) -> bytes:
    """Return the identity of a task, given as such or as its three ids with commas between (no id may hold one)."""
    key = task if isinstance(task, str) else ",".join(task)
    return identities_of([key.encode("utf-8", "surrogatepass")])[0]


def identities_of(keys: Iterable[bytes]) -> list[bytes]:
    """Return the identities of many tasks, each given as its three ids with commas between."""
    digests = []
    for key in keys:
        # To copy a hash costs two thirds of making one anew.
        fresh = _HASH.copy()
        fresh.update(key)
        digests.append(fresh.digest())
    return digests


def told_identity(status: Status, task: Task, message: str | None) -> bytes:
    """Return the identity of a report's line that is about a row, and not about the end of a task.

    A ``duplicate`` is known by its task. An ``invalid`` row names none, and is known by what its line shows of it.
    """
    if status is Status.DUPLICATE:
        return identity(task)
    return blake2b(repr((*task, message)).encode(), digest_size=_BYTES, person=b"invalid").digest()


class Identities:
    """A set of identities in little memory, without the moments of doubling that a ``set`` of millions has.

    The first million are kept loose, in many small dictionaries; those after them packed, on shelves. A shelf is the
    identities that begin with the same 17 bits, end to end.
    """

    __slots__ = ("_loose", "_shelves", "_size")

    def __init__(self) -> None:
        # The garbage collector passes dictionaries of bytes over, but goes through every set: 40 ms, at a million.
        self._loose: defaultdict[int, dict[bytes, None]] = defaultdict(dict)
        self._shelves: list[bytes] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, digest: bytes) -> bool:
        if digest in self._loose[digest[0]]:
            return True
        return bool(self._shelves) and _find(self._shelves[_places([digest])[0]], digest) >= 0

    def add(self, digest: bytes) -> bool:
        """Add one, and return whether it was new."""
        return self.add_all([digest])[0]

    def add_all(self, digests: Sequence[bytes]) -> list[bool]:
        """Add each in turn, and return for each whether it was new."""
        if self._size >= _LOOSE and not self._shelves:
            self._shelves = [b""] * _SHELVES
        new = self._pack(digests) if self._shelves else self._keep(digests)
        self._size += new.count(True)
        return new

    def discard(self, digest: bytes) -> None:
        """Take one out, if it is there."""
        if digest not in self:
            return
        self._size -= 1
        if digest in self._loose[digest[0]]:
            del self._loose[digest[0]][digest]
            return
        place = _places([digest])[0]
        shelf = self._shelves[place]
        at = _find(shelf, digest)
        self._shelves[place] = shelf[:at] + shelf[at + _BYTES :]

    def _keep(self, digests: Sequence[bytes]) -> list[bool]:
        loose = self._loose
        new = []
        for digest in digests:
            some = loose[digest[0]]
            before = len(some)
            some[digest] = None
            new.append(len(some) > before)
        return new

    def _pack(self, digests: Sequence[bytes]) -> list[bool]:
        loose, shelves = self._loose, self._shelves
        new = []
        for place, digest in zip(_places(digests), digests, strict=True):
            shelf = shelves[place]
            # To look for the bytes is quick; where they begin matters only once they are there.
            is_new = digest not in loose[digest[0]] and (digest not in shelf or _find(shelf, digest) < 0)
            if is_new:
                # A new string each time costs no more than a bytearray's growth does, and wastes nothing.
                shelves[place] = shelf + digest
            new.append(is_new)
        return new


def _places(digests: Sequence[bytes]) -> list[int]:
    """Return each one's shelf."""
    return [word % _SHELVES for word in array("I", b"".join(digests))[::_WORDS]]


def _find(shelf: bytes, digest: bytes) -> int:
    """Return where an identity begins on its shelf, -1 if it is not there: bytes across two others are not it."""
    at = shelf.find(digest)
    while at > 0 and at % _BYTES:
        at = shelf.find(digest, at + 1)
    return at
