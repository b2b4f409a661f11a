"""The queue from a worker's side: a source of tasks that are delivered anew until their outcome is durable.

What flows in is entries of the stream, fresh ones and those of workers that died; what flows out is batches of rows,
and, once outcomes are durable, their acknowledgements. Where Redis does not answer, all of this waits, and nothing of
it is lost: the worker's tasks are its own until another worker takes it for dead.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Container, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Final, Self

from stopcast.errors import ConfigurationError
from stopcast.events import DeadLettered, QueueFound, QueueLost
from stopcast.fleet.queue.deliveries import Deliveries, Entry
from stopcast.fleet.queue.member import STEP, Ending, Member
from stopcast.fleet.queue.stream import Stream, connected_stream, split_address, telling_errors, words_of
from stopcast.logs import Observers
from stopcast.ports import Observer
from stopcast.report.line import LineWriter
from stopcast.tasks.identities import Identities, identity
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Batch, Task

_CLOSE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0


class RedisConsumer:
    """Takes tasks out of a queue. Used as an async context manager, and given to one ``Stopper.stop_all``.

        async for outcome in stopper.stop_all(consumer):
            await keep(outcome)
            consumer.ack([outcome])

    A task is the worker's own while it lives, however long it takes, and stays in the queue until it is acknowledged.
    Leaving the block hands back what has no outcome yet. What a worker that died had is taken over by another one, as a
    task in doubt: "no such running task" then is ``presumed_stopped``.

    Args:
        url: ``redis://host:6379/0/NAME``, or any that ``stopcast.redis_connection`` knows with ``?queue=NAME``.
        claim_after_seconds: without a sign of life, after which a worker is taken for dead. The same for all workers.
        max_deliveries: workers that may die over a task before it goes to the dead letters.
        results: whether each outcome is also appended to the results stream, in the same step as it is acknowledged.
        until_empty: whether the tasks end when the queue is empty, those that other workers have included.
        observers: functions of an event: ``QueueLost``, ``QueueFound``, ``DeadLettered``.

    Attributes:
        handed_back: after the end, how many tasks were handed back.
        name: the worker's, told by ``stopcast status``.
        left: after the end, how many tasks could not be acknowledged or handed back, because Redis was away.

    Raises:
        ConfigurationError: a setting that cannot be used, or redis-py is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        claim_after_seconds: float = 60.0,
        max_deliveries: int = 10,
        results: bool = False,
        until_empty: bool = False,
        observers: Sequence[Observer] = (),
    ) -> None:
        if not claim_after_seconds > 0 or max_deliveries < 1:
            raise ConfigurationError("claim_after_seconds must be above 0, and max_deliveries at least 1")
        _, source = split_address(url)
        self._url = url
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.left = self.handed_back = 0
        self._stack = AsyncExitStack()
        self._stream: Stream
        self._member: Member
        self._claim_after = claim_after_seconds
        self._max_deliveries = max_deliveries
        self._results = results
        self._until_empty = until_empty
        self._tell = Observers(observers).emit
        self._deliveries = Deliveries(source)
        self.begin, self.end = self._deliveries.begin, self._deliveries.end
        self.still_ours, self.in_doubt = self._deliveries.still_ours, self._deliveries.in_doubt
        self.give_back = self._deliveries.give_back
        self._acked = asyncio.Event()
        self._ending = self._closing = False
        self._away = False
        self._pause = _PAUSE_SECONDS
        self._claim_at = 0.0
        self._asking: asyncio.Task[list[Entry]] | None = None
        self._tending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        from redis import RedisError  # noqa: PLC0415 - slow to import

        self._errors = (RedisError, OSError)
        async with AsyncExitStack() as stack:
            self._stream = await stack.enter_async_context(connected_stream(self._url))
            self._member = Member(self._stream, self.name)
            with telling_errors():
                await self._stream.open()
                await self._member.keep([])
            self._stack = stack.pop_all()
        # Others may have been silent only because Redis was: they have time to give a sign of life first.
        self._claim_at = self._now() + self._claim_after / 3
        self._tending = asyncio.create_task(self._tend())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._ending = True
        try:
            if self._asking is not None:
                await asyncio.wait([self._asking])
                self._asking.exception()
            if self._tending is not None:
                # Not cancelled: redis-py may keep a cancellation to itself.
                self._closing = True
                self._acked.set()
                await self._tending
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._settle_acked()
                self.handed_back = await self._member.hand_back(self._deliveries.words_back)
        except self._errors as error:
            self.left = len(self._deliveries.ids)
            if self.left:
                self._tell(QueueLost(words_of(error)))
        finally:
            await self._stack.aclose()

    def stop(self) -> None:
        """End the taking: what was taken is worked on to its end."""
        self._ending = True

    def ack(self, outcomes: Iterable[Outcome]) -> None:
        """Take note that these outcomes are durable: their tasks leave the queue soon, and for good."""
        self._deliveries.ack(outcomes)
        self._acked.set()

    def __aiter__(self) -> AsyncIterator[Batch]:
        return self.take()

    async def take(self, *, settled: Container[bytes] | Identities = frozenset()) -> AsyncGenerator[Batch, None]:
        """Yield tasks as they come, until the end.

        Args:
            settled: identities of tasks whose outcome is durable already, from before this worker began: a delivery
                that was not acknowledged any more then is acknowledged now, and not worked on again.
        """
        while not self._ending:
            if self._tending is not None and self._tending.done():
                # Nothing would be acknowledged any more.
                self._tending.result()
            try:
                entries = await self._next_entries()
                batch = self._deliveries.take(await self._sift(entries, settled))
                ended = self._until_empty and not entries and await self._member.is_empty()
                self._back()
            except self._errors as error:
                await self._lost(error)
                continue
            if batch.rows or batch.broken:
                yield batch
            if ended:
                return

    async def _next_entries(self) -> list[Entry]:
        # What an asking brings is ours; if it were cut off, nobody here would know of it.
        self._asking = self._asking or asyncio.create_task(self._ask())
        await asyncio.wait([self._asking])
        asked, self._asking = self._asking, None
        return asked.result()

    async def _ask(self) -> list[Entry]:
        if self._now() >= self._claim_at:
            entries, complete = await self._member.claim(self._claim_after, but=self._deliveries)
            if complete:
                self._claim_at = self._now() + self._claim_after / 3
            if entries:
                return entries
        return await self._member.read()

    async def _sift(self, entries: list[Entry], settled: Container[bytes] | Identities) -> list[Entry]:
        """Return what there is to work on: neither settled already nor delivered too often."""
        left: list[Entry] = []
        done: list[Ending] = []
        dead: list[Ending] = []
        for entry in entries:
            known = identity(entry.task) if entry.earlier and entry.task is not None else b""
            if known and known in settled:
                done.append(Ending(entry.id))
            elif entry.earlier >= self._max_deliveries:
                dead.append(Ending(entry.id, [b"task", entry.text, b"earlier", b"%d" % entry.earlier], known))
                self._tell(DeadLettered(entry.task or Task("", "", ""), entry.earlier))
            else:
                left.append(entry)
        if done:
            await self._member.settle(done)
        if dead:
            await self._member.settle(dead, elsewhere=self._stream.dead, only_mine=True)
        return left

    async def _tend(self) -> None:
        """Acknowledge what is durable, and give signs of life."""
        keep_at = self._now()
        while not self._closing:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(keep_at):
                    await self._acked.wait()
            try:
                if self._now() >= keep_at:
                    await self._member.keep(self._deliveries.ids)
                    keep_at = self._now() + self._claim_after / 4
                await self._settle_acked()
                self._back()
            except self._errors as error:
                await self._lost(error)
                # The first thing to do when Redis is back: others look out for who is silent.
                keep_at = self._now()

    async def _settle_acked(self) -> None:
        self._acked.clear()
        writer = LineWriter()
        while some := self._deliveries.acked[:STEP]:
            endings: list[Ending] = []
            for delivery, outcome in some:
                # What ended badly may be put in again.
                forget = b"" if outcome.good or delivery.task is None else identity(delivery.task)
                line = [b"line", writer.line(outcome)[:-1]] if self._results else []
                first, *others = delivery.entries
                endings += [Ending(first.id, line, forget), *(Ending(other.id) for other in others)]
            await self._member.settle(endings, elsewhere=self._stream.results)
            self._deliveries.settled(len(some))

    async def _lost(self, error: BaseException) -> None:
        if not self._away:
            self._away = True
            self._tell(QueueLost(words_of(error)))
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        with suppress(*self._errors):
            # It may have come back with nothing.
            await self._stream.open()

    def _back(self) -> None:
        if self._away:
            self._away = False
            self._pause = _PAUSE_SECONDS
            self._claim_at = self._now() + self._claim_after
            self._tell(QueueFound())

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
