"""Keeps leased slots ready while calls wait: a state machine with one step. ``shared_quota`` gives them to calls."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple

from stopcast.errors import QuotaLostError
from stopcast.events import Event, QuotaFound, QuotaLost
from stopcast.fleet.quota.lender import Lender
from stopcast.fleet.quota.redis_ledger import Lease
from stopcast.fleet.quota.slots import LATE_SLOTS, QuotaSettings, SlotsInHand

_FIRST_RETRY, _LONGEST_RETRY = 0.05, 0.25
#: The next slots are requested this long before the last leased slot. With a lease of 42 ms, a process holds slots for
#: 70 ms at most.
_ASK_AHEAD: Final = 0.028
#: Processes that got no slot ask again at different times within this.
_SPREAD: Final = 0.25
#: While calls wait, Redis is asked within a second, even where the account is held for longer. Where Redis has lost its
#: data and a process with another cap came first, that process is corrected before its first slot, a second ahead.
_LONGEST_WAIT: Final = 0.5
_TIMER_EARLY: Final = 0.001
#: One slow answer is an accident, and this number of them in a row is how Redis is.
_OVERDUE_LOANS: Final = 3


class State(Enum):
    """What the keeper does next."""

    #: The server may not know of all leases. It has to be verified before anything is leased.
    UNVERIFIED = auto()
    #: Slots are leased while calls wait.
    LEASING = auto()
    #: There is no slot for this process for now, because the account is held or all slots are taken.
    HELD = auto()
    #: Redis cannot be asked. It is tried again and again.
    LOST = auto()


class Outage(NamedTuple):
    """A time in which Redis cannot be asked.

    Attributes:
        event: what observers get.
        since: when it was noticed.
        refused: whether Redis answers, and refuses.
    """

    event: QuotaLost
    since: float
    refused: bool


class Keeper:
    """Leases slots, reports what was throttled, and notices when Redis is away.

    Args:
        lender: leases the slots.
        clock: returns the seconds of a monotonic clock.
        share_rate: returns the calls a second that are made while Redis is away.
        emit: gets the events.

    Attributes:
        slots: the slots in hand.
        state: what it does next.
        outage: the present one, None while Redis answers.
    """

    def __init__(
        self,
        lender: Lender,
        *,
        clock: Callable[[], float],
        share_rate: Callable[[], float],
        emit: Callable[[Event], None],
    ) -> None:
        self.slots = SlotsInHand(lender.settings)
        self.state = State.UNVERIFIED
        self.outage: Outage | None = None
        self._lender = lender
        self._clock = clock
        self._share_rate = share_rate
        self._emit = emit
        #: Calls that wait.
        self._waiting = 0
        #: Slots have arrived, or the state has changed.
        self._changed = asyncio.Event()
        #: Something is to be asked or reported.
        self._due = asyncio.Event()
        self._ask_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        #: Loans in a row whose slots were over when they arrived.
        self._overdue_loans = 0

    def open(self) -> None:
        """Begin anew: on this event loop, with a server that is not verified yet."""
        self._changed, self._due = asyncio.Event(), asyncio.Event()
        self.state = State.UNVERIFIED
        self._closing = False

    def close(self) -> None:
        """Make ``run`` return at its next turn, even if its cancellation is swallowed, and wake the callers."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self.drop()
        self._due.set()

    def drop(self) -> None:
        """Drop the slots in hand, and wake the callers."""
        self.slots.clear()
        self._changed.set()

    def lay_out_anew(self, settings: QuotaSettings) -> None:
        """Drop the slots in hand, and lease by these settings from now on."""
        self.slots.lay_out_anew(settings)
        self._ask_at = 0.0

    def throttled(self, hold_seconds: float) -> None:
        """Record one throttled answer, and report it soon."""
        now = self._clock()
        self.slots.hold(now + hold_seconds)
        self._lender.throttled(now, hold_seconds)
        self._due.set()

    def arrived(self) -> None:
        """Count a call that waits for a slot from now on."""
        self._waiting += 1
        self._ask_if_due()

    def left(self) -> None:
        """Count a call that waits no longer."""
        self._waiting -= 1

    async def change(self) -> None:
        """Return when slots have arrived, or the state has changed."""
        self._changed.clear()
        self._ask_if_due()
        await self._changed.wait()

    def _ask_if_due(self) -> None:
        # There is no need while leased slots last, or while it is known that there are none.
        if self._clock() >= self._ask_at:
            self._due.set()

    async def run(self) -> None:
        """Keep slots in hand until ``close``."""
        retry_seconds = _FIRST_RETRY
        while not self._closing:
            try:
                await self._step()
            except QuotaLostError as error:
                self.lose(error)
                await asyncio.sleep(retry_seconds * random.uniform(0.5, 1.0))
                retry_seconds = min(2 * retry_seconds, _LONGEST_RETRY)
            else:
                retry_seconds = _FIRST_RETRY

    async def _step(self) -> None:
        """Do what the state asks for, once.

        Raises:
            QuotaLostError: Redis cannot be asked, or refuses.
        """
        match self.state:
            case State.UNVERIFIED | State.LOST:
                await self.verify()
            case State.LEASING | State.HELD:
                await self._due.wait()
                self._due.clear()
                await self._lease()

    async def verify(self) -> None:
        """Let the server check that it knows of all leases.

        Raises:
            QuotaLostError: Redis cannot be asked, or refuses.
        """
        if not await self._lender.verify_server():
            self.state = State.UNVERIFIED
            return
        self.state = State.LEASING
        self._due.set()
        if self._overdue_loans < _OVERDUE_LOANS:
            self._end_outage()

    def _end_outage(self) -> None:
        if self.outage is not None:
            seconds = self._clock() - self.outage.since
            self.outage = None
            self._emit(QuotaFound(seconds))

    async def _lease(self) -> None:
        now = self._clock()
        self.slots.drop_expired(now)
        # A timer may fire slightly early.
        wanted = max(0, self._waiting - len(self.slots)) if now + _TIMER_EARLY >= self._ask_at else 0
        if not wanted and not self._lender.unreported:
            return
        lease = await self._lender.lease(wanted)
        if lease is None:
            self.state = State.UNVERIFIED
        elif wanted:
            self._take(lease)

    def _take(self, lease: Lease) -> None:
        now = self._clock()
        if lease.permits:
            self.state = State.LEASING
            self.slots.add(lease.first_at, lease.slot_seconds, lease.permits)
            self._ask_at = self.slots.last - _ASK_AHEAD
            self._changed.set()
            self._see_whether_usable(now)
        else:
            self.state = State.HELD
            self._ask_at = now + min(lease.wait_seconds, _LONGEST_WAIT) + random.uniform(0.0, _SPREAD)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._ask_at - now, self._due.set)

    def _see_whether_usable(self, now: float) -> None:
        """Say so where Redis answers, but so late that no call can go."""
        if self.slots.last + LATE_SLOTS >= now:
            self._overdue_loans = 0
            self._end_outage()
            return
        self._overdue_loans += 1
        if self._overdue_loans == _OVERDUE_LOANS:
            self.lose(QuotaLostError("the shared quota answers so late that its slots are over by then"))

    def lose(self, error: QuotaLostError) -> None:
        """Go on without Redis."""
        self.state = State.LOST
        if self.outage is not None and self.outage.refused == error.refused:
            return
        share_rate = self._share_rate()
        # The others may go on with their shares for as long as they have not found it again.
        if share_rate:
            self._lender.pause_first()
        # Beside processes of another version, a share would come on top of what those do.
        event = QuotaLost(str(error), 0.0 if error.refused else share_rate)
        self.outage = Outage(event, self._clock(), error.refused)
        self._emit(event)
        self._changed.set()
