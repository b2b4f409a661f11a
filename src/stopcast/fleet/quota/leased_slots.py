"""Permits from slots on Redis' clock that no other process has.

Slots (``reserve.lua``) are leased a few at a time, while calls wait, and each is used at its moment or not at all: a
process that stood still has lost its slots, so that what it does late is never more than what it may do then. What
becomes of calls while Redis cannot be asked is not decided here.

Why the numbers. Slots at r a second, each used up to L seconds late, put fewer than 1 + r (1 + L) calls into any
second, and that has to stay below cap + 1: r is 148.5 for a cap of 150, with 3.3 ms for the way to the API and 6.6 ms
for timers and for what is not known of Redis' clock.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Protocol, Self

from stopcast.fleet.quota.redis_ledger import Lease
from stopcast.fleet.quota.remote_clock import RemoteClock
from stopcast.limiters.pacer import LONGEST_HOLD, SLOTS_AFTER_STANDSTILL, STANDSTILL, bounds
from stopcast.limiters.rolling_window import RollingWindow

_LATE: Final = 0.0066
#: The next slots are asked for this long before the last one of those in hand. With a lease of 42 ms, 70 ms in all.
_ASK_AHEAD: Final = 0.028
#: Those who were told to come again do not come all at once.
_SPREAD: Final = 0.25
#: Of a round trip: the way back, and a little for a timer.
_REACH: Final = 0.6
_TIMER_EARLY: Final = 0.001


class Ledger(AbstractAsyncContextManager["Ledger"], Protocol):
    """Where slots are leased. See ``RedisLedger``, which fills it."""

    strange: bool

    async def introduce(self, *, full_rate: float, pause: bool) -> Lease | None:
        """Let the other side look whether it knows of all leases; lease nothing."""

    async def lease(
        self, permits: int, *, full_rate: float, throttled: int, hold_seconds: float, reach_seconds: float
    ) -> Lease | None:
        """Reserve up to so many slots, and tell of throttled answers."""


class LeasedSlots:
    """The slots that one process has in hand. An async context manager, around its ledger.

    One task leases: it waits for ``due``, clears it, and calls ``introduce`` and ``lease``. One other at a time waits
    in ``permitted``.

    Attributes:
        full_rate: calls a second of the whole account while nothing is throttled.
        rate: calls a second of the whole account now.
        due: set when there is something to ask or to tell the ledger.
        pause: whether the ledger is to give nothing out for a second before the next lease.

    Raises:
        ConfigurationError: a cap that is no number above 0.
    """

    def __init__(self, ledger: Ledger, max_per_second: float, *, arrival_jitter: float) -> None:
        self._most, self.full_rate = bounds(max_per_second, arrival_jitter + _LATE)
        self.rate = self.full_rate
        self.due = asyncio.Event()
        self.pause = False
        self._ledger = ledger
        self._clock = RemoteClock()
        self._round_trip_seconds = 0.0
        self._window = RollingWindow(1 + arrival_jitter)
        #: Local moments.
        self._in_hand: deque[float] = deque()
        self._left_out = 0
        self._changed = asyncio.Event()
        self._ask_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._throttled = 0
        self._hold_seconds = 0.0
        self._held_until = 0.0

    def __len__(self) -> int:
        return len(self._in_hand)

    async def __aenter__(self) -> Self:
        await self._ledger.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.wake()
        await self._ledger.__aexit__(exc_type, exc, tb)

    def hold(self, seconds: float) -> None:
        """Use no slot for ``seconds`` (60 at most), and tell the ledger of one throttled answer."""
        seconds = min(max(0.0, seconds), LONGEST_HOLD)
        self._throttled += 1
        # Redis' word comes with the next lease.
        self.rate = max(self.rate - 1, min(self.rate, 1.0))
        self._hold_seconds = max(self._hold_seconds, seconds)
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)
        self.due.set()

    def want(self) -> None:
        """Have more slots leased, unless those in hand last for a while or it is known that there are none."""
        if asyncio.get_running_loop().time() >= self._ask_at:
            self.due.set()

    def wake(self) -> None:
        """Let ``permitted`` return though no slots have arrived."""
        self._changed.set()

    async def permitted(self) -> bool:
        """Wait for a slot, or for something to change, and return whether a call may go now."""
        loop = asyncio.get_running_loop()
        if not self._in_hand:
            self._changed.clear()
            self.want()
            await self._changed.wait()
            return False
        slot = self._in_hand[0]
        if (wait := slot - loop.time()) > 0:
            await asyncio.sleep(wait)
            if not self._in_hand or self._in_hand[0] != slot:
                return False
        return self._use(self._in_hand.popleft(), loop.time())

    def _use(self, slot: float, now: float) -> bool:
        late = now - slot
        if late > STANDSTILL:
            self._in_hand.clear()
            self._left_out = SLOTS_AFTER_STANDSTILL
        if self._left_out:
            self._left_out -= late <= STANDSTILL
            return False
        if late > _LATE or slot < self._held_until or self._window.wait(now, self._most) > 0:
            return False
        self._window.add(now)
        return True

    async def introduce(self) -> None:
        """Make sure that the ledger knows of all leases.

        Raises:
            QuotaLostError: the ledger cannot be asked.
        """
        loop = asyncio.get_running_loop()
        while self._ledger.strange or self.pause:
            asked_at = loop.time()
            answer = await self._ledger.introduce(full_rate=self.full_rate, pause=self.pause)
            self.pause = False
            self._read(asked_at, answer)

    async def lease(self, waiting: int) -> None:
        """Have a slot in hand for each waiting call, if it is time to ask for more, and pass on what was throttled.

        Raises:
            QuotaLostError: the ledger cannot be asked.
        """
        now = asyncio.get_running_loop().time()
        # A timer may be a hair early.
        due = now + _TIMER_EARLY >= self._ask_at
        while self._in_hand and self._in_hand[0] < now - _LATE:
            self._in_hand.popleft()
        permits = max(0, waiting - len(self._in_hand)) if due else 0
        throttled, hold_seconds = self._throttled, self._hold_seconds
        if not permits and not throttled:
            return
        lease = self._read(
            now,
            await self._ledger.lease(
                permits,
                full_rate=self.full_rate,
                throttled=throttled,
                hold_seconds=hold_seconds,
                reach_seconds=_REACH * self._round_trip_seconds,
            ),
        )
        self._throttled -= throttled
        self._hold_seconds = 0.0
        if lease is None:
            self.due.set()
        elif permits:
            self._take(lease)

    def _read(self, asked_at: float, lease: Lease | None) -> Lease | None:
        """Return the lease if it can be relied on."""
        answered_at = asyncio.get_running_loop().time()
        if lease is None or self._ledger.strange:
            return None
        self._round_trip_seconds = answered_at - asked_at
        self.rate = lease.rate
        if self._clock.read(lease.now, asked_at=asked_at, answered_at=answered_at):
            return lease
        # Redis' clock was set. Slots that were leased by the old one may be those of the new one.
        self.pause = True
        return None

    def _take(self, lease: Lease) -> None:
        loop = asyncio.get_running_loop()
        if lease.permits:
            first_at = self._clock.local(lease.first_at)
            self._in_hand.extend(first_at + place * lease.slot_seconds for place in range(lease.permits))
            self._ask_at = self._in_hand[-1] - _ASK_AHEAD
            self._changed.set()
        else:
            self._ask_at = loop.time() + lease.wait_seconds + random.uniform(0.0, _SPREAD)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._ask_at, self.due.set)
