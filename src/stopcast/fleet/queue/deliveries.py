"""The entries that a worker has, the tasks that they name, and until when the worker owns them. Without Redis.

An entry is kept from the time it is taken until its outcome is acknowledged. Entries that name the same task in that
time share one row, one call and one outcome.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stopcast.tasks.checks import why_bad
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import ID_PATTERN, Batch, BrokenRow, RawRow, Task

_BOOTTIME: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_IDS: Final = 3
_SHOWN_CHARACTERS: Final = 200


def lease_clock() -> float:
    """Return the seconds of a clock that continues while the machine sleeps, and that cannot be set.

    Where there is no CLOCK_BOOTTIME (macOS), CLOCK_MONOTONIC continues as well.
    """
    return time.clock_gettime(_BOOTTIME)


class Entry(NamedTuple):
    """An entry of the stream.

    Attributes:
        id: the id that Redis gave it.
        fields: its fields.
        earlier: how often it was delivered before.
    """

    id: bytes
    fields: Mapping[bytes, bytes]
    earlier: int = 0

    @property
    def text(self) -> bytes:
        """The field that names the task: three ids with commas between."""
        return self.fields.get(b"task", b"")

    @property
    def task(self) -> Task | None:
        """The task, whose ids are not checked yet; None if the entry names none."""
        ids = self.text.decode("utf-8", "backslashreplace").split(",")
        return Task(*ids) if len(ids) == _IDS else None

    @property
    def in_doubt(self) -> bool:
        """Whether a call of an earlier delivery may have stopped the task."""
        return self.earlier > 0 or b"in_doubt" in self.fields

    def doubted(self) -> Entry:
        """Return the entry in doubt."""
        return self._replace(fields={**self.fields, b"in_doubt": b"1"})

    @property
    def why_bad(self) -> str:
        """Why no call can be made for it, with its id for XRANGE; "" if one can."""
        if b"task" not in self.fields:
            reason = "it has no field named task"
        elif (task := self.task) is None:
            reason = "the field task is not AppId,RoomId,TaskId"
        elif all(map(ID_PATTERN.fullmatch, task)):
            return ""
        else:
            reason = why_bad(RawRow(*task, 0))
        text = ascii(self.text.decode("utf-8", "backslashreplace")[:_SHOWN_CHARACTERS]) if self.text else "nothing"
        return f"entry {self.id.decode()} of the queue names no task: {reason} (found {text})"


def place_of(entry_id: bytes) -> tuple[int, int]:
    """Return the place of an entry among those of a stream; that of no entry is before all."""
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds or 0), int(number or 0)


def entry_of(entry_id: bytes, fields: Mapping[bytes, bytes], *, deliveries: int = 1) -> Entry:
    """Return an entry that was delivered this often, and before that as the entry whose place it took."""
    earlier = fields.get(b"earlier", b"0")
    return Entry(entry_id, fields, deliveries - 1 + (int(earlier[:9]) if earlier.isdigit() else 0))


@dataclass(slots=True, eq=False)
class Delivery:
    """A row: one entry, or several entries that name the same task.

    Attributes:
        line: the row's number, counted from 1 over all rows of the worker.
        entries: the entries that this worker owns, as far as is known.
        task: the task that the entries name, or None if they name no task.
        ours_until: the time from which another worker may take the entries over, on the clock of WorkerDeliveries.
        lost: the entries that another worker has taken over.
        sent: whether a call of this worker may have stopped the task, and its answer is unknown or not durable yet.
        in_doubt: whether a call of another worker may have stopped it.
        given_back: whether the engine has returned the row and Redis has not confirmed yet who owns it.
    """

    line: int
    entries: list[Entry]
    task: Task | None
    ours_until: float
    lost: list[Entry] = field(default_factory=list)
    sent: bool = False
    in_doubt: bool = False
    given_back: bool = False


class WorkerDeliveries:
    """The deliveries of a worker. Implements ``stopcast.ports.Flights`` and ``Ownership``.

    Args:
        source: the list name that the rows get.
        clock: returns the time in seconds, and continues while the machine sleeps.

    Attributes:
        acked: durable outcomes whose entries are still in the stream.
    """

    def __init__(self, source: str, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._lines = 0
        self._by_line: dict[int, Delivery] = {}
        self._by_task: dict[Task, Delivery] = {}
        self._by_id: dict[bytes, Delivery] = {}
        self._returned: list[Delivery] = []
        self._settled: set[bytes] = set()
        #: The newest entry that was taken. That of the stream was read: what was read and not taken is not in doubt.
        self._newest = b""
        self.acked: list[tuple[Delivery, Outcome]] = []

    @property
    def ids(self) -> list[bytes]:
        """The entries that the worker has."""
        return list(self._by_id)

    def begin_request(self) -> None:
        """Record that Redis is asked for entries. Its answer may contain entries that are settled in the meantime."""
        self._settled.clear()

    def take(self, entries: Iterable[Entry], *, ours_until: float) -> Batch:
        """Return the rows of the new entries, and rows that were given back and are still owned by this worker."""
        rows: list[Delivery] = []
        broken: list[BrokenRow] = []
        self._returned, returned = [], self._returned
        for entry in entries:
            self._newest = max(self._newest, entry.id, key=place_of)
            if entry.id in self._settled:
                continue
            task = None if (reason := entry.why_bad) else entry.task
            if self._is_known(entry, task, ours_until):
                continue
            delivery = self._begin(entry, task, ours_until)
            if task is None:
                broken.append(BrokenRow(reason, delivery.line))
            else:
                rows.append(delivery)
        rows += returned
        raw = [RawRow(*delivery.task, delivery.line) for delivery in rows if delivery.task is not None]
        doubts = [delivery.in_doubt or delivery.sent for delivery in rows]
        return Batch(self._source, raw, broken, in_doubt=doubts, already_unique=True)

    def _is_known(self, entry: Entry, task: Task | None, ours_until: float) -> bool:
        """Record an entry of a row that the worker has already, and return whether it is one."""
        if (known := self._by_id.get(entry.id)) is not None:
            # The entry was idle for so long that it was claimed, and another worker may have owned it in between.
            known.in_doubt = True
            return True
        if task is None or (same := self._by_task.get(task)) is None:
            return False
        # The row is ours until any of its entries may be taken over. If it had lost them all, it is ours again.
        same.ours_until = min(same.ours_until, ours_until) if same.entries else ours_until
        same.entries.append(entry)
        same.in_doubt = same.in_doubt or entry.in_doubt
        self._by_id[entry.id] = same
        return True

    def _begin(self, entry: Entry, task: Task | None, ours_until: float) -> Delivery:
        """Return the delivery of a new row."""
        self._lines += 1
        delivery = Delivery(self._lines, [entry], task, ours_until, in_doubt=entry.in_doubt)
        self._by_id[entry.id] = self._by_line[delivery.line] = delivery
        if task is not None:
            self._by_task[task] = delivery
        return delivery

    def begin(self, task: Task, identity: bytes) -> None:  # noqa: ARG002 - the protocol's signature
        """Record that a call for the task is about to go out."""
        if (delivery := self._by_task.get(task)) is not None:
            delivery.sent = True

    def end(self, tasks: Iterable[Task]) -> None:
        """Record that no call of this worker leaves the tasks in doubt."""
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
        """Take back rows that were not sent. ``take`` returns them again if ``confirm`` finds them still ours."""
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
            # Another worker may have had it in the meantime, although Redis does not know: it may have lost that.
            delivery.in_doubt = delivery.in_doubt or self._clock() >= delivery.ours_until
            # An entry that was added while Redis was being asked may be taken over earlier.
            if all(entry.id in ours for entry in delivery.entries):
                delivery.ours_until = ours_until
            if delivery.given_back and not delivery.entries:
                self._drop(delivery)
            elif delivery.given_back:
                delivery.given_back = False
                self._returned.append(delivery)

    def _lose(self, entry_id: bytes, delivery: Delivery) -> None:
        del self._by_id[entry_id]
        delivery.lost += [entry for entry in delivery.entries if entry.id == entry_id]
        delivery.entries = [entry for entry in delivery.entries if entry.id != entry_id]
        delivery.in_doubt = True

    def _drop(self, delivery: Delivery) -> None:
        del self._by_line[delivery.line]
        if delivery.task is not None:
            del self._by_task[delivery.task]

    def ack(self, outcomes: Iterable[Outcome]) -> None:
        """Record that these outcomes are durable. From now on, an entry that names the same task is a new row."""
        for outcome in outcomes:
            delivery = self._by_line.pop(outcome.line or 0, None)
            if delivery is None:
                continue
            if delivery.task is not None:
                del self._by_task[delivery.task]
            self.acked.append((delivery, outcome))

    def settled(self, number: int) -> None:
        """Forget the first ``number`` acknowledged deliveries, whose entries have been removed from the stream."""
        for delivery, _ in self.acked[:number]:
            for entry in delivery.entries:
                self._by_id.pop(entry.id, None)
                self._settled.add(entry.id)
        del self.acked[:number]

    def fields_back(self, entry: Entry) -> list[bytes]:
        """Return the fields of the entry that replaces this one in the stream when it is handed back."""
        fields = [b"task", entry.text]
        if entry.earlier:
            fields += [b"earlier", b"%d" % entry.earlier]
        if (delivery := self._by_id.get(entry.id)) is not None:
            in_doubt = delivery.sent or delivery.in_doubt
        else:
            # One that was settled is there again where Redis has lost its last writes.
            in_doubt = place_of(entry.id) <= place_of(self._newest)
        if in_doubt or entry.in_doubt:
            fields += [b"in_doubt", b"1"]
        return fields
