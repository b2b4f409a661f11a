"""How entries leave the stream: which of them need no work, and what is written in their place. No Redis here."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from stopcast.events import DeadLettered
from stopcast.fleet.queue.deliveries import Delivery, Entry
from stopcast.report.line import line_of
from stopcast.tasks.identities import Identities, identity
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Task


class Ending(NamedTuple):
    """How an entry leaves the stream.

    Attributes:
        entry_id: the entry.
        fields: names and values, by turns, of the entry that takes its place elsewhere. Without any it shares those of
            the ending before it, which are written once.
        forget: the identity of a task that may be put into the queue again, else b"".
        in_doubt: whether a call may have stopped that task.
        only_mine: whether it stays where another worker has it by then.
    """

    entry_id: bytes
    fields: Sequence[bytes] = ()
    forget: bytes = b""
    in_doubt: bool = False
    only_mine: bool = False


class Sifted(NamedTuple):
    """Entries by what is to be done with them.

    Attributes:
        left: to be worked on.
        settled: to be acknowledged, because their outcome was durable before.
        dead: to be put among the dead letters, because they were delivered too often.
        letters: the events of the dead.
    """

    left: list[Entry]
    settled: list[Ending]
    dead: list[Ending]
    letters: list[DeadLettered]


def sift(entries: Iterable[Entry], settled: Container[bytes] | Identities, *, max_deliveries: int) -> Sifted:
    """Sort entries by what is to be done with them."""
    sifted = Sifted([], [], [], [])
    for entry in entries:
        known = identity(entry.task) if entry.earlier and entry.task is not None else b""
        if known and known in settled:
            sifted.settled.append(Ending(entry.id))
        elif entry.earlier >= max_deliveries:
            fields = [b"task", entry.text, b"earlier", b"%d" % entry.earlier]
            sifted.dead.append(Ending(entry.id, fields, known, in_doubt=bool(known), only_mine=True))
            sifted.letters.append(DeadLettered(entry.task or Task("", "", ""), entry.earlier))
        else:
            sifted.left.append(entry)
    return sifted


def endings_of(acked: Iterable[tuple[Delivery, Outcome]], *, results: bool) -> list[Ending]:
    """Return how the entries of acknowledged deliveries leave the stream; with ``results``, each outcome once."""
    endings: list[Ending] = []
    for delivery, outcome in acked:
        # A task that ended badly may be put in again.
        forget = b"" if outcome.good or delivery.task is None else identity(delivery.task)
        line = [b"line", line_of(outcome)[:-1]] if results else []
        # Where the outcome is bad, the worker that took the task over goes on with it, also if this one does not know
        # of it yet.
        only_mine = not outcome.good
        entries = [*delivery.entries, *(() if only_mine else delivery.lost)]
        in_doubt = bool(forget) and outcome.in_doubt
        endings += [
            Ending(entry.id, line if entry is entries[0] else (), forget, in_doubt, only_mine) for entry in entries
        ]
    return endings
