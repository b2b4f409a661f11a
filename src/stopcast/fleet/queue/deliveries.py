"""Which entries a worker has, which tasks they name, and until when they are its own. No Redis here.

An entry is known from when it was taken until its outcome was acknowledged. Two entries that name the same task while
it is being worked on are one row, one call and one outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from stopcast.fleet.queue.entry import Entry
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Batch, BrokenRow, RawRow, Task


@dataclass(slots=True, eq=False)
class Delivery:
    """A row: an entry, or several of the same task.

    Attributes:
        line: the row's number, counted from 1 over all rows of the worker.
        entries: the entries that are ours, as far as is known.
        task: None where they name none.
        ours_until: when another worker may take the entries over, by the clock of Deliveries.
        lost: entries that another worker has taken over.
        sent: whether a call of ours may have stopped the task, with an answer that is not known or not durable.
        in_doubt: whether a call of another worker may have stopped it.
        given_back: the engine has returned the row, and Redis has not confirmed yet whose it is.
    """

    line: int
    entries: list[Entry]
    task: Task | None
    ours_until: float
    lost: list[Entry] = field(default_factory=list)
    sent: bool = False
    in_doubt: bool = False
    given_back: bool = False


class Deliveries:
    """The deliveries of a worker. Implements ``stopcast.ports.Flights`` and ``Ownership``.

    Args:
        source: the name of the rows' list.
        clock: seconds that go on while the machine sleeps.

    Attributes:
        acked: outcomes that are durable, and whose entries are still in the stream.
        taken_over: rows that other workers took over before a call was made for them here.
    """

    def __init__(self, source: str, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._lines = 0
        self._by_line: dict[int, Delivery] = {}
        self._by_task: dict[Task, Delivery] = {}
        self._by_id: dict[bytes, Delivery] = {}
        self._again: list[Delivery] = []
        self._settled: set[bytes] = set()
        self.acked: list[tuple[Delivery, Outcome]] = []
        self.taken_over = 0

    @property
    def ids(self) -> list[bytes]:
        """The entries that the worker has."""
        return list(self._by_id)

    def asking(self) -> None:
        """Record that Redis is asked for entries. Its answer may hold entries that are settled before it is read."""
        self._settled.clear()

    def take(self, entries: Iterable[Entry], *, ours_until: float) -> Batch:
        """Return the rows of entries that are new here, and the rows that were given back and are still ours."""
        rows: list[Delivery] = []
        broken: list[BrokenRow] = []
        self._again, again = [], self._again
        for entry in entries:
            if entry.id in self._settled:
                continue
            task = None if (reason := entry.why_bad) else entry.task
            if (known := self._by_id.get(entry.id)) is not None:
                # It was silent for so long that it was claimed, and another worker may have had it in between.
                known.in_doubt = True
            elif task is not None and (same := self._by_task.get(task)) is not None:
                # The row is ours until the first of its entries can be taken over, or again ours if it had lost all.
                same.ours_until = min(same.ours_until, ours_until) if same.entries else ours_until
                same.entries.append(entry)
                same.in_doubt = same.in_doubt or entry.in_doubt
                self._by_id[entry.id] = same
            else:
                self._lines += 1
                delivery = Delivery(self._lines, [entry], task, ours_until, in_doubt=entry.in_doubt)
                self._by_id[entry.id] = self._by_line[delivery.line] = delivery
                if task is None:
                    broken.append(BrokenRow(reason, delivery.line))
                else:
                    self._by_task[task] = delivery
                    rows.append(delivery)
        rows += again
        raw = [RawRow(*delivery.task, delivery.line) for delivery in rows if delivery.task is not None]
        doubts = [delivery.in_doubt or delivery.sent for delivery in rows]
        return Batch(self._source, raw, broken, in_doubt=doubts, already_unique=True)

    def begin(self, task: Task, identity: bytes) -> None:  # noqa: ARG002 - the contract's signature
        """Record that a call for the task is about to go out."""
        if (delivery := self._by_task.get(task)) is not None:
            delivery.sent = True

    def end(self, tasks: Iterable[Task]) -> None:
        """Record that no call of ours has put the tasks in doubt."""
        for task in tasks:
            if (delivery := self._by_task.get(task)) is not None:
                delivery.sent = False

    def still_ours(self, task: Task) -> bool:
        """Return whether no other worker can have taken the task over."""
        delivery = self._by_task.get(task)
        return delivery is not None and bool(delivery.entries) and self._clock() < delivery.ours_until

    def in_doubt(self, task: Task) -> bool:
        """Return whether a call of another worker may have stopped the task."""
        delivery = self._by_task.get(task)
        return delivery is None or delivery.in_doubt or not self.still_ours(task)

    def give_back(self, tasks: Iterable[Task]) -> None:
        """Take back rows for which no call was made. They come again if ``confirm`` finds them still ours."""
        for task in tasks:
            if (delivery := self._by_task.get(task)) is None:
                continue
            delivery.given_back = True
            if not delivery.entries:
                self._drop(delivery)

    def confirm(self, asked: Iterable[bytes], ours: Collection[bytes], *, ours_until: float) -> None:
        """Record which of the entries that Redis was asked about are still ours; the others have been taken over."""
        touched: dict[Delivery, None] = {}
        for entry_id in asked:
            if (delivery := self._by_id.get(entry_id)) is None:
                continue
            touched[delivery] = None
            if entry_id not in ours:
                self._lose(entry_id, delivery)
        for delivery in touched:
            # An entry that came while Redis was asked has its own, earlier end.
            if all(entry.id in ours for entry in delivery.entries):
                delivery.ours_until = ours_until
            if delivery.given_back and not delivery.entries:
                self._drop(delivery)
            elif delivery.given_back:
                delivery.given_back = False
                self._again.append(delivery)

    def _lose(self, entry_id: bytes, delivery: Delivery) -> None:
        del self._by_id[entry_id]
        delivery.lost += [entry for entry in delivery.entries if entry.id == entry_id]
        delivery.entries = [entry for entry in delivery.entries if entry.id != entry_id]
        delivery.in_doubt = True

    def _drop(self, delivery: Delivery) -> None:
        self.taken_over += 1
        del self._by_line[delivery.line]
        if delivery.task is not None:
            del self._by_task[delivery.task]

    def ack(self, outcomes: Iterable[Outcome]) -> None:
        """Record that these outcomes are durable. The same task may come again from now on."""
        for outcome in outcomes:
            delivery = self._by_line.pop(outcome.line or 0, None)
            if delivery is None:
                continue
            if delivery.task is not None:
                del self._by_task[delivery.task]
            self.acked.append((delivery, outcome))

    def settled(self, number: int) -> None:
        """Forget the first ``number`` acknowledged deliveries: they are out of the stream."""
        for delivery, _ in self.acked[:number]:
            for entry in delivery.entries:
                self._by_id.pop(entry.id, None)
                self._settled.add(entry.id)
        del self.acked[:number]

    def fields_back(self, entry: Entry) -> list[bytes]:
        """Return the fields of the entry that takes this one's place in the stream when it is handed back."""
        delivery = self._by_id.get(entry.id)
        fields = [b"task", entry.text]
        if entry.earlier:
            fields += [b"earlier", b"%d" % entry.earlier]
        if entry.in_doubt or (delivery is not None and (delivery.sent or delivery.in_doubt)):
            fields += [b"in_doubt", b"1"]
        return fields
