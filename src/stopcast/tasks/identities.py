"""Identities of tasks, and packed sets and maps of them; nothing here knows how a task is stopped.

An identity is 128 bits of a cryptographic hash. Two tasks with the same identity would leave one of them running. That
happens neither by chance (once in 10**24 lists of ten million) nor by design. The way an identity is made must never
change: the in-flight log keeps identities from one run to the next.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from struct import Struct
from typing import Final

from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Task

_BYTES: Final = 16
_HASH: Final = blake2b(digest_size=_BYTES)
_WORDS: Final = _BYTES // array("I").itemsize
_FIRST_SHELVES: Final = 64
_GROWTH: Final = 8
#: Records on a shelf, on average, at which the number of shelves grows. A search takes 0.1 us there.
_FULL_SHELF: Final = 52
#: The value of a record whose real value does not fit into its byte.
_LARGE: Final = 255


def identity(task: Task | str) -> bytes:
    """Return the identity of a task, or of its three ids with commas between (no id can hold a comma)."""
    key = task if isinstance(task, str) else ",".join(task)
    return identities_of([key.encode("utf-8", "surrogatepass")])[0]


def identities_of(keys: Iterable[bytes]) -> list[bytes]:
    """Return the identities of many tasks, each given as its three ids with commas between."""
    digests = []
    for key in keys:
        # Copying a hash costs two thirds of making a new one.
        fresh = _HASH.copy()
        fresh.update(key)
        digests.append(fresh.digest())
    return digests


def row_fingerprint(status: Status, task: Task, message: str | None) -> bytes:
    """Return the fingerprint of a report's line about a row that was not sent.

    The fingerprint of a ``duplicate`` is its task's identity. An ``invalid`` row names no task, so its fingerprint is
    made of what its line shows.
    """
    if status is Status.DUPLICATE:
        return identity(task)
    return blake2b(repr((*task, message)).encode(), digest_size=_BYTES, person=b"invalid").digest()


def place_fingerprint(source: str | None, line: int | None) -> bytes:
    """Return the fingerprint of a row's place: its list and the line in it."""
    return blake2b(repr((source, line)).encode("utf-8", "surrogatepass"), digest_size=_BYTES, person=b"place").digest()


class _Shelves:
    """Records of a fixed width that begin with an identity, in about 20 bytes each.

    A shelf is one string of records whose identities begin with the same bits. When the shelves are full, their number
    grows. Each old shelf is divided only when it is next used, so that no single call has to move millions of records.
    """

    __slots__ = ("_mask", "_old", "_old_mask", "_records", "_shelves", "_size", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
        #: The first word of each record, as in an array.
        self._records = Struct(f"=I{width - 4}x")
        self._size = 0
        self._mask = _FIRST_SHELVES - 1
        self._shelves: list[bytes | None] = [b""] * _FIRST_SHELVES
        self._old: list[bytes] = []
        self._old_mask = 0

    def __len__(self) -> int:
        return self._size

    def _grow(self) -> None:
        number = len(self._shelves)
        # Hardly a shelf is still undivided: each was used about 300 times since the last growth.
        self._old = [self._divided(place) if shelf is None else shelf for place, shelf in enumerate(self._shelves)]
        self._old_mask = self._mask
        self._mask = number * _GROWTH - 1
        self._shelves = [None] * (number * _GROWTH)

    def _divided(self, place: int) -> bytes:
        """Divide the old shelf that this new one is a part of, and return the new one."""
        source = place & self._old_mask
        old, width, mask = self._old[source], self._width, self._mask
        self._old[source] = b""
        parts: dict[int, list[bytes]] = {part: [] for part in range(source, mask + 1, self._old_mask + 1)}
        for (word,), at in zip(self._records.iter_unpack(old), range(0, len(old), width), strict=True):
            parts[word & mask].append(old[at : at + width])
        for part, records in parts.items():
            self._shelves[part] = b"".join(records)
        return b"".join(parts[place])

    def _locate(self, digest: bytes) -> tuple[int, bytes, int]:
        """Return an identity's place, the shelf there, and where on it the record begins, -1 where there is none."""
        place = _word(digest[:4]) & self._mask
        shelf = self._shelves[place]
        if shelf is None:
            shelf = self._divided(place)
        return place, shelf, _find(shelf, digest, self._width)


class Identities(_Shelves):
    """A set of identities."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_BYTES)

    def __contains__(self, digest: object) -> bool:
        return isinstance(digest, bytes) and self._locate(digest)[2] >= 0

    def add(self, digest: bytes) -> bool:
        """Add an identity, and return whether it was new."""
        return self.add_all([digest])[0]

    def add_all(self, digests: Sequence[bytes]) -> list[bool]:
        """Add each identity in turn, and return for each whether it was new."""
        while self._size > len(self._shelves) * _FULL_SHELF:
            self._grow()
        shelves, mask, new = self._shelves, self._mask, []
        for word, digest in zip(array("I", b"".join(digests))[::_WORDS], digests, strict=True):
            place = word & mask
            shelf = shelves[place]
            if shelf is None:
                shelf = self._divided(place)
            # Searching for the bytes is quick, and where they begin matters only when they are there. The operator "in"
            # would first try the bytes as a number, and format the error.
            if shelf.find(digest) >= 0 and _find(shelf, digest, _BYTES) >= 0:
                new.append(False)
            else:
                # A new string costs no more than the growth of a bytearray, and wastes nothing.
                shelves[place] = shelf + digest
                new.append(True)
        self._size += new.count(True)
        return new

    def discard(self, digest: bytes) -> None:
        """Remove an identity if it is there."""
        place, shelf, at = self._locate(digest)
        if at >= 0:
            self._size -= 1
            self._shelves[place] = shelf[:at] + shelf[at + _BYTES :]


class IdentityNumbers(_Shelves):
    """A map of identities to whole numbers from 0 on; 0 is the number of an identity that is not there.

    Numbers up to 254 take one byte.
    """

    __slots__ = ("_large",)

    def __init__(self) -> None:
        super().__init__(_BYTES + 1)
        self._large: dict[bytes, int] = {}

    def __getitem__(self, digest: bytes) -> int:
        _, shelf, at = self._locate(digest)
        if at < 0:
            return 0
        number = shelf[at + _BYTES]
        return self._large[digest] if number == _LARGE else number

    def __setitem__(self, digest: bytes, number: int) -> None:
        if self._size > len(self._shelves) * _FULL_SHELF:
            self._grow()
        place, shelf, at = self._locate(digest)
        if at < 0:
            self._size += 1
            at = len(shelf)
        if number >= _LARGE:
            self._large[digest] = number
        record = digest + bytes((min(number, _LARGE),))
        self._shelves[place] = shelf[:at] + record + shelf[at + self._width :]


def _word(start: bytes) -> int:
    return int.from_bytes(start, sys.byteorder)


def _find(shelf: bytes, digest: bytes, width: int) -> int:
    """Return where a record with this identity begins, -1 if there is none. Bytes across two records do not count."""
    at = shelf.find(digest)
    while at > 0 and at % width:
        at = shelf.find(digest, at + 1)
    return at
