"""What a worker does in the background: signs of life, acknowledgements, and the settings that all workers share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from stopcast.events import Event, QueueOldWorker, QueueSettingsAdopted
from stopcast.fleet.queue.deliveries import WorkerDeliveries
from stopcast.fleet.queue.endings import endings_of
from stopcast.fleet.queue.failures import LONGEST_PAUSE_SECONDS, Availability
from stopcast.fleet.queue.member import STEP, Member
from stopcast.fleet.queue.stream import Agreed, Settings

#: The part of claim-after for which entries are ours after a sign of life. The rest is for a call that is on its way:
#: it has to arrive before the call of the worker that takes the task over.
_OURS: Final = 0.9
#: The others have given a sign of life so long after Redis is back.
_OTHERS_BACK_SECONDS: Final = LONGEST_PAUSE_SECONDS + 0.5


class Tending:
    """Keeps a worker's entries its own, and takes those with a durable outcome out of the stream.

    Args:
        member: the worker in the consumer group.
        deliveries: what it has.
        availability: whether Redis is away.
        own: the settings that the worker was given.
        agreed: those of the queue.
        results: the stream that outcomes are appended to, "" for none.
        clock: seconds that go on while the machine sleeps.
        emit: gets the events.

    Attributes:
        settings: those of the queue.
    """

    def __init__(
        self,
        member: Member,
        deliveries: WorkerDeliveries,
        availability: Availability,
        *,
        own: Settings,
        agreed: Agreed,
        results: str,
        clock: Callable[[], float],
        emit: Callable[[Event], None],
    ) -> None:
        self._member = member
        self._deliveries = deliveries
        self._availability = availability
        self._results = results
        self._clock = clock
        self._emit = emit
        self._wake = asyncio.Event()
        self._closing = False
        self._keep_at = self._read_at = self._now()
        self._ours_until = 0.0
        self._old_workers: set[str] = set()
        self.settings = own
        # Others may have been silent only because Redis was: they have time to give a sign of life first.
        self._claim_at = self._now() + agreed.settings.claim_after_seconds / 3
        self._adopt(agreed)

    async def run(self) -> None:
        """Give signs of life and acknowledge what is durable, until ``close``.

        Raises:
            StopcastError: the queue cannot be used any more.
        """
        while not self._closing:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._keep_at):
                    await self._wake.wait()
            self._wake.clear()
            try:
                if self._now() >= self._keep_at:
                    await self.keep()
                await self.settle_acked()
                self.succeeded("writing")
            except self._availability.errors as error:
                await self._availability.failed("writing", error)
                # The first thing to do when Redis is back: the others watch for a worker that is silent.
                self._keep_at = self._now()

    def close(self) -> None:
        """Let ``run`` return soon."""
        self._closing = True
        self._wake.set()

    def wake(self, *, confirm: bool = False) -> None:
        """Acknowledge soon what is durable; with ``confirm``, also ask which entries are still ours."""
        if confirm:
            self._keep_at = self._now()
        self._wake.set()

    async def before_reading(self) -> None:
        """After Redis was away give a sign of life before anything is read, and give the others time for theirs.

        Redis may have lost its last writes. It learns that from those who had the entries, and they learn that they
        have them no longer.
        """
        if self._availability.away_seconds("reading"):
            await self.keep()
            # It may have been away since the worker last read: what is lost while nothing is asked is noticed later.
            await self._availability.pause(min(self._now() - self._read_at, _OTHERS_BACK_SECONDS))

    def ours_until(self) -> float:
        """Return until when entries are ours, at the least, if Redis is asked about them now."""
        return self._clock() + _OURS * self.settings.claim_after_seconds

    @property
    def may_claim(self) -> bool:
        """Whether it is time to take over entries of silent workers.

        After a standstill a sign of life comes first: our own entries were silent as well.
        """
        return self._now() >= self._claim_at and self._clock() < self._ours_until

    async def claimed_all(self) -> None:
        """Record that the entries of all silent workers were taken over, and look at who is in the group."""
        claim_after = self.settings.claim_after_seconds
        self._claim_at = self._now() + claim_after / 3
        # An error here must not lose the entries that were just taken over.
        with suppress(*self._availability.errors):
            await self._member.adopt()
            await self._member.forget(2 * claim_after)
            for name in await self._member.old_workers(claim_after):
                if name not in self._old_workers:
                    self._old_workers.add(name)
                    self._emit(QueueOldWorker(name))

    def succeeded(self, activity: str) -> None:
        """Record that Redis has answered."""
        if activity == "reading":
            self._read_at = self._now()
        if away_seconds := self._availability.succeeded(activity):
            # The others were silent as well, for as long: they have time to give a sign of life first. Always waiting
            # for claim-after would leave the tasks of dead workers where they are while a connection is lost from time
            # to time.
            wait_seconds = min(away_seconds, self.settings.claim_after_seconds)
            self._claim_at = max(self._claim_at, self._now() + wait_seconds)

    async def settle_acked(self) -> None:
        """Take out of the stream what was acknowledged."""
        while some := self._deliveries.acked[:STEP]:
            await self._member.settle(endings_of(some, results=bool(self._results)), elsewhere=self._results)
            self._deliveries.settled(len(some))

    async def keep(self) -> None:
        """Give a sign of life, and learn which entries are still ours."""
        # A row that is given back while Redis is asked asks again, and the answer counts from before the question.
        self._keep_at = self._now() + self.settings.claim_after_seconds / 4
        ids, ours_until = self._deliveries.ids, self.ours_until()
        agreed, ours = await self._member.keep(ids, self.settings)
        self._adopt(agreed)
        self._deliveries.confirm(ids, ours, ours_until=ours_until)
        self._ours_until = ours_until

    def _adopt(self, agreed: Agreed) -> None:
        for name, own, adopted in zip(Settings._fields, self.settings, agreed.settings, strict=True):
            if own != adopted:
                self._emit(QueueSettingsAdopted(name, own, adopted))
        self.settings = agreed.settings
        if agreed.wait_seconds:
            self._claim_at = max(self._claim_at, self._now() + agreed.wait_seconds)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
