"""What one worker asks of Redis as a member of the stream's consumer group. When to ask is not decided here."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from stopcast.errors import QueueError
from stopcast.fleet.queue.deliveries import Entry, entry_of
from stopcast.fleet.queue.endings import Ending
from stopcast.fleet.queue.failures import STATE_VERSION, data_lost
from stopcast.fleet.queue.stream import GROUP, Agreed, Settings, Stream
from stopcast.tasks.identities import identity

#: Entries taken at once. Others have their share, and a worker that dies leaves few behind.
_AT_ONCE: Final = 64
#: The oldest entries of the stream: those that workers have are fewer.
_LOOKED_AT: Final = 1000
#: Tasks of a worker that are in doubt after Redis has lost its last writes: those of a minute, and 0.5 MB.
_RECENT: Final = 10_000
#: Entries settled or kept in one step.
STEP: Final = 500
#: The name that version 0.1 gave its workers. It knows neither the queue's id nor its settings.
_OLD_WORKER: Final = re.compile(r".+-\d+-[0-9a-f]{6}")


def new_name() -> str:
    """Return a name for a worker of this process."""
    # The end says which version of the data the worker knows.
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}.{STATE_VERSION}"


class Member:
    """A consumer of the group.

    Every method raises what redis-py raises, and QueueDataLostError where the queue is not the one that was joined.
    """

    def __init__(self, stream: Stream, name: str) -> None:
        self._stream = stream
        self._name = name
        self._cursor = b"0-0"
        self._recent: deque[bytes] = deque(maxlen=_RECENT)

    async def read(self, *, wait_seconds: float) -> list[Entry]:
        """Return entries that no worker had yet, waiting for some at most this long."""
        stream, milliseconds = self._stream, max(1, int(wait_seconds * 1000))
        answer = await self._ask(
            lambda pipe: pipe.xreadgroup(GROUP, self._name, {stream.name: ">"}, count=_AT_ONCE, block=milliseconds)
        )
        entries = [entry_of(entry_id, fields) for _, found in answer for entry_id, fields in found]
        self._delivered(entries)
        return entries

    async def claim(self, idle_seconds: float) -> tuple[list[Entry], bool]:
        """Take over entries of workers that were silent this long; return them, and whether these were the last."""
        stream, milliseconds = self._stream, int(idle_seconds * 1000)
        self._cursor, found, *_ = await self._ask(
            lambda pipe: pipe.xautoclaim(
                stream.name, GROUP, self._name, milliseconds, start_id=self._cursor, count=_AT_ONCE
            )
        )
        complete = self._cursor == b"0-0"
        # Redis 6.2 returns None for entries that do not exist any more.
        entries = {entry_id: fields for entry_id, fields in found if entry_id}
        counts = await self._each(entries, lambda pipe, entry: pipe.xpending_range(stream.name, GROUP, entry, entry, 1))
        times = {pending["message_id"]: pending["times_delivered"] for pending in counts}
        claimed = [entry_of(entry, fields, deliveries=times.get(entry, 2)) for entry, fields in entries.items()]
        self._delivered(claimed, first_time=False)
        return claimed, complete

    def _delivered(self, entries: Sequence[Entry], *, first_time: bool = True) -> None:
        """Record entries before anything is asked about them: that may show that Redis has lost this delivery."""
        self._stream.saw((entry.id for entry in entries), first_time=first_time)
        self._recent.extend(identity(entry.task) for entry in entries if entry.task)

    async def with_doubts(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries, in doubt where the queue remembers that their task is."""
        asked = [identity(entry.task) if entry.task else b"" for entry in entries]
        if not any(asked):
            return list(entries)
        doubts = set(await self._run("doubts", *filter(None, asked)))
        return [entry.doubted() if known in doubts else entry for entry, known in zip(entries, asked, strict=True)]

    async def _run(self, script: str, *arguments: Any, keys: tuple[str, ...] = ()) -> Any:
        try:
            return await self._stream.run(script, *arguments, keys=keys)
        except Exception:
            # At once, because others may read soon.
            await self._doubt_recent()
            raise

    async def _doubt_recent(self) -> None:
        """Have Redis remember that the worker's last tasks are in doubt, if it has lost its last writes.

        It may deliver them as if for the first time, or they may be put in again.
        """
        if self._stream.went_back:
            recent = list(self._recent)
            for start in range(0, len(recent), STEP):
                await self._stream.run("doubt", *recent[start : start + STEP])
            self._stream.has_caught_up()

    async def forget(self, silent_seconds: float) -> None:
        """Remove from the group the workers that have nothing and were silent this long."""
        await self._stream.run("forget", "", int(silent_seconds * 1000))

    async def adopt(self) -> None:
        """Put entries into the stream again that no worker has any more, although one had them."""
        await self._stream.run("adopt", _LOOKED_AT)

    async def keep(self, ids: Sequence[bytes], settings: Settings) -> tuple[Agreed, set[bytes]]:
        """Give a sign of life; return the queue's settings, and which of these entries are still the member's.

        ``settings`` are those that the member knows.
        """
        await self._doubt_recent()
        ours: set[bytes] = set()
        for start in range(0, len(ids) or 1, STEP):
            agreed, kept = await self._run("keep", self._name, *settings.words, *ids[start : start + STEP])
            ours.update(kept)
        return Agreed.of(agreed), ours

    async def settle(self, endings: Sequence[Ending], *, elsewhere: str = "") -> None:
        """Take entries out of the stream for good."""
        stream = self._stream
        arguments: list[Any] = [self._name]
        for ending in endings:
            arguments += [ending.entry_id, int(ending.only_mine), ending.forget, int(ending.in_doubt)]
            arguments += [len(ending.fields), *ending.fields]
        await self._run("settle", *arguments, keys=(elsewhere or stream.name,))

    async def hand_back(self, fields_of: Callable[[Entry], Sequence[bytes]]) -> int:
        """Put the member's entries into the stream again, for others to have at once, and leave the group.

        Returns the number of entries.
        """
        stream, before, number = self._stream, None, 0
        while True:
            pending = await stream.redis.xpending_range(stream.name, GROUP, "-", "+", STEP, self._name)
            if not pending or pending == before:
                break
            before = pending
            times = {entry["message_id"]: entry["times_delivered"] for entry in pending}
            found = await self._each(times, lambda pipe, entry: pipe.xrange(stream.name, entry, entry))
            entries = [entry_of(entry_id, fields, deliveries=times[entry_id]) for entry_id, fields in found]
            # Also what the stream does not hold any more, so that it is not pending for ever.
            gone = times.keys() - {entry.id for entry in entries}
            endings = [Ending(entry.id, fields_of(entry), only_mine=True) for entry in entries]
            await self.settle([*endings, *(Ending(entry_id, only_mine=True) for entry_id in gone)])
            number += len(entries)
        await stream.run("forget", self._name, 0)
        return number

    async def is_empty(self) -> bool:
        """Return whether the stream holds nothing, not even what members have."""
        return not await self._ask(lambda pipe: pipe.xlen(self._stream.name))

    async def old_workers(self, silent_seconds: float) -> list[str]:
        """Return the workers of version 0.1 that take tasks, as far as they were not silent for this long."""
        consumers = await self._stream.consumers()
        alive = (each["name"].decode() for each in consumers if each["idle"] < silent_seconds * 1000)
        return [name for name in alive if _OLD_WORKER.fullmatch(name)]

    async def refuse_old_workers(self, silent_seconds: float) -> None:
        """Refuse to work beside a worker of version 0.1.

        Raises:
            QueueError: there is one.
        """
        if old := await self.old_workers(silent_seconds):
            raise QueueError(
                f"the worker {old[0]} of the queue {self._stream.name} is stopcast 0.1, which cannot work beside this "
                f"version. End all workers of version 0.1 first (SIGTERM lets them hand their tasks back)"
            )

    async def _ask(self, command: Callable[[Any], object]) -> Any:
        """Send a command that no script can, and return its answer if it is of the queue that was joined."""
        stream = self._stream
        pipeline = stream.redis.pipeline(transaction=False)
        command(pipeline)
        pipeline.hget(stream.state, "id")
        answer, queue_id = await pipeline.execute(raise_on_error=False)
        for outcome in (queue_id, answer):
            if isinstance(outcome, Exception):
                raise outcome
        if queue_id != stream.id.encode():
            raise data_lost(stream.name)
        return answer

    async def _each(self, ids: Iterable[bytes], ask: Callable[[Any, bytes], object]) -> list[Any]:
        """Ask about each entry, all at once, and return the items of all answers."""
        pipeline = self._stream.redis.pipeline(transaction=False)
        for entry_id in ids:
            ask(pipeline, entry_id)
        return [item for answer in await pipeline.execute() for item in answer] if len(pipeline) else []
