"""Which entries a worker has, and which tasks they name: nothing but bookkeeping, no Redis here.

An entry is known from when it was taken until its outcome was acknowledged. Two entries that name the same task while
it is being worked on are one row, one call and one outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Batch, BrokenRow, RawRow, Task

_IDS: Final = 3


class Entry(NamedTuple):
    """An entry of the stream, and how often it had been delivered before."""

    id: bytes
    fields: Mapping[bytes, bytes]
    earlier: int = 0

    @property
    def text(self) -> bytes:
        """Its words for the task: three ids with commas between."""
        return self.fields.get(b"task", b"")

    @property
    def task(self) -> Task | None:
        """What it names; the ids' form has not been checked. None if it names nothing."""
        ids = self.text.decode("utf-8", "backslashreplace").split(",")
        return Task(*ids) if len(ids) == _IDS else None

    @property
    def in_doubt(self) -> bool:
        """Whether an earlier delivery may have stopped the task unseen."""
        return self.earlier > 0 or b"in_doubt" in self.fields


def entry_of(entry_id: bytes, fields: Mapping[bytes, bytes], *, deliveries: int = 1) -> Entry:
    """Return an entry that has been delivered so often as this entry, and before that as an earlier one."""
    told = fields.get(b"earlier", b"0")
    return Entry(entry_id, fields, deliveries - 1 + (int(told[:9]) if told.isdigit() else 0))


@dataclass(slots=True, eq=False)
class Delivery:
    """What a worker does about an entry, or about several of the same task.

    Attributes:
        line: the row that stands for it, counted from 1 over all that the worker takes.
        entries: the entries.
        task: None where they name none.
        sent: whether a call of ours may have stopped the task unseen.
    """

    line: int
    entries: list[Entry]
    task: Task | None
    sent: bool = False


class Deliveries:
    """The deliveries that a worker has. Fills ``stopcast.ports.Flights``.

    Attributes:
        acked: outcomes that are durable, and whose entries are still in the stream.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._lines = 0
        self._by_line: dict[int, Delivery] = {}
        self._by_task: dict[Task, Delivery] = {}
        self._by_id: dict[bytes, Delivery] = {}
        self.acked: list[tuple[Delivery, Outcome]] = []

    def __contains__(self, entry_id: object) -> bool:
        return entry_id in self._by_id

    @property
    def ids(self) -> list[bytes]:
        """The entries that the worker has."""
        return list(self._by_id)

    def take(self, entries: Iterable[Entry]) -> Batch:
        """Return the rows of entries that are new here."""
        rows: list[RawRow] = []
        doubts: list[bool] = []
        broken: list[BrokenRow] = []
        for entry in entries:
            task = entry.task
            if entry.id in self._by_id:
                continue
            if task is not None and (same := self._by_task.get(task)) is not None:
                same.entries.append(entry)
                self._by_id[entry.id] = same
                continue
            self._lines += 1
            delivery = Delivery(self._lines, [entry], task)
            self._by_id[entry.id] = self._by_line[delivery.line] = delivery
            if task is None:
                broken.append(BrokenRow("the queue's entry names no task", delivery.line))
            else:
                self._by_task[task] = delivery
                rows.append(RawRow(*task, delivery.line))
                doubts.append(entry.in_doubt)
        return Batch(self._source, rows, broken, in_doubt=doubts, told_apart=True)

    def begin(self, task: Task, identity: bytes) -> None:  # noqa: ARG002 - the contract's signature
        """Note that a call for the task is about to go out."""
        if (delivery := self._by_task.get(task)) is not None:
            delivery.sent = True

    def end(self, tasks: Iterable[Task]) -> None:
        """Note that no call of ours has put the tasks in doubt."""
        for task in tasks:
            if (delivery := self._by_task.get(task)) is not None:
                delivery.sent = False

    def still_ours(self, task: Task) -> bool:
        """Return whether a call for the task may be made now."""
        return task in self._by_task

    def in_doubt(self, task: Task) -> bool:
        """Return whether a call of another worker may have stopped the task by now."""
        return task not in self._by_task

    def give_back(self, tasks: Iterable[Task]) -> None:
        """Take back tasks whose rows left the engine without a call and without an outcome."""

    def ack(self, outcomes: Iterable[Outcome]) -> None:
        """Take note that these outcomes are durable. The same task may come again from now on."""
        for outcome in outcomes:
            delivery = self._by_line.pop(outcome.line or 0, None)
            if delivery is None:
                continue
            if delivery.task is not None:
                del self._by_task[delivery.task]
            self.acked.append((delivery, outcome))

    def settled(self, number: int) -> None:
        """Forget the first so many of the acknowledged ones: they are out of the stream."""
        for delivery, _ in self.acked[:number]:
            for entry in delivery.entries:
                self._by_id.pop(entry.id, None)
        del self.acked[:number]

    def words_back(self, entry: Entry) -> list[bytes]:
        """Return the fields of the entry that takes this one's place in the stream when it is handed back."""
        delivery = self._by_id.get(entry.id)
        words = [b"task", entry.text]
        if entry.earlier:
            words += [b"earlier", b"%d" % entry.earlier]
        if entry.in_doubt or (delivery is not None and delivery.sent):
            words += [b"in_doubt", b"1"]
        return words
