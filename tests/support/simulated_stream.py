"""One stream of a simulated Redis, with the ids of its entries and what consumers have of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

EntryId = tuple[int, int]


@dataclass(slots=True)
class Pending:
    """An entry that a consumer has."""

    consumer: bytes
    since_ms: int
    deliveries: int = 1


@dataclass(slots=True)
class Stream:
    """A stream, with at most one group."""

    entries: dict[EntryId, list[bytes]] = field(default_factory=dict)
    last: EntryId = (0, 0)
    group: bytes | None = None
    delivered: EntryId = (0, 0)
    pending: dict[EntryId, Pending] = field(default_factory=dict)
    #: When each consumer was last seen.
    consumers: dict[bytes, int] = field(default_factory=dict)


def id_of(text: bytes) -> EntryId:
    milliseconds, _, place = text.partition(b"-")
    return int(milliseconds), int(place or 0)


def text_of(entry: EntryId) -> bytes:
    return b"%d-%d" % entry


def between(kept: dict[EntryId, Any], low: bytes, high: bytes) -> list[EntryId]:
    if low == high:
        return [id_of(low)] if id_of(low) in kept else []
    first = id_of(low) if low != b"-" else (0, 0)
    return sorted(each for each in kept if first <= each and (high == b"+" or each <= id_of(high)))
