"""What one worker asks of Redis: a member of the stream's consumer group. It never decides when."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any, Final, NamedTuple

from stopcast.fleet.queue.deliveries import Entry, entry_of
from stopcast.fleet.queue.stream import GROUP, IDENTITIES_SECONDS, Stream

#: Entries taken at once. Others have their share, and a worker that dies leaves few behind.
_AT_ONCE: Final = 64
#: No asking lasts longer, so that a worker can end.
_BLOCK_MS: Final = 500
#: Entries settled or kept in one step.
STEP: Final = 500


class Ending(NamedTuple):
    """How an entry leaves the stream.

    Attributes:
        entry_id: the entry.
        words: the fields of the entry that takes its place elsewhere; none without one.
        forget: the identity of a task that may be put into the queue again, else b"".
    """

    entry_id: bytes
    words: Sequence[bytes] = ()
    forget: bytes = b""


class Member:
    """A consumer of the group.

    Every method raises what redis-py raises.
    """

    def __init__(self, stream: Stream, name: str) -> None:
        self._stream = stream
        self._name = name
        self._cursor = b"0-0"

    async def read(self) -> list[Entry]:
        """Return entries that nobody had yet, waiting a moment for some."""
        stream = self._stream
        answer = await stream.redis.xreadgroup(GROUP, self._name, {stream.name: ">"}, count=_AT_ONCE, block=_BLOCK_MS)
        return [entry_of(entry_id, fields) for _, found in answer for entry_id, fields in found]

    async def claim(self, idle_seconds: float, *, but: Container[bytes]) -> tuple[list[Entry], bool]:
        """Take over what members have that were silent for so long; return some of it, and whether it was the last."""
        stream, milliseconds = self._stream, int(idle_seconds * 1000)
        self._cursor, found, *_ = await stream.redis.xautoclaim(
            stream.name, GROUP, self._name, milliseconds, start_id=self._cursor, count=_AT_ONCE
        )
        complete = self._cursor == b"0-0"
        if complete:
            await stream.forget(keys=[stream.name], args=[GROUP, "", 2 * milliseconds])
        # Redis 6.2 tells of entries that are not there any more, as None.
        entries = {entry_id: fields for entry_id, fields in found if entry_id and entry_id not in but}
        counts = await self._each(entries, lambda pipe, it: pipe.xpending_range(stream.name, GROUP, it, it, 1))
        times = {it["message_id"]: it["times_delivered"] for it in counts}
        return [entry_of(it, fields, deliveries=times.get(it, 2)) for it, fields in entries.items()], complete

    async def keep(self, ids: Sequence[bytes]) -> None:
        """Give a sign of life, and keep these entries where they are still the member's."""
        for start in range(0, len(ids) or 1, STEP):
            arguments: list[Any] = [GROUP, self._name, *ids[start : start + STEP]]
            await self._stream.keep(keys=[self._stream.name], args=arguments)

    async def settle(self, endings: Sequence[Ending], *, elsewhere: str = "", only_mine: bool = False) -> None:
        """Take entries out of the stream for good, whoever has them, unless ``only_mine``."""
        stream = self._stream
        arguments: list[Any] = [GROUP, self._name if only_mine else "", stream.seen, IDENTITIES_SECONDS]
        for ending in endings:
            arguments += [ending.entry_id, ending.forget, len(ending.words), *ending.words]
        await stream.settle(keys=[stream.name, elsewhere or stream.name], args=arguments)

    async def hand_back(self, words_of: Callable[[Entry], Sequence[bytes]]) -> int:
        """Put all that is the member's into the stream anew, for others to have at once, and leave the group.

        Returns how many entries that were.
        """
        stream, before, number = self._stream, None, 0
        while True:
            pending = await stream.redis.xpending_range(stream.name, GROUP, "-", "+", STEP, self._name)
            if not pending or pending == before:
                break
            before = pending
            times = {it["message_id"]: it["times_delivered"] for it in pending}
            found = await self._each(times, lambda pipe, it: pipe.xrange(stream.name, it, it))
            entries = [entry_of(entry_id, fields, deliveries=times[entry_id]) for entry_id, fields in found]
            await self.settle([Ending(entry.id, words_of(entry)) for entry in entries], only_mine=True)
            number += len(entries)
        await stream.forget(keys=[stream.name], args=[GROUP, self._name, 0])
        return number

    async def is_empty(self) -> bool:
        """Whether the stream holds nothing, not even what members have."""
        return not await self._stream.redis.xlen(self._stream.name)

    async def _each(self, ids: Sequence[bytes] | dict[bytes, Any], ask: Callable[[Any, bytes], object]) -> list[Any]:
        """Ask something about each entry, at once, and return all the answers' items."""
        if not ids:
            return []
        pipeline = self._stream.redis.pipeline(transaction=False)
        for entry_id in ids:
            ask(pipeline, entry_id)
        return [item for answer in await pipeline.execute() for item in answer]
