"""Asks the ledger for slots, and reads its answers: in local time, by the settings that all have agreed on.

When it is asked, and what happens to calls while it cannot be, is decided in ``shared_quota``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple, Protocol

from stopcast.fleet.quota.redis_ledger import Lease, Request
from stopcast.fleet.quota.remote_clock import RemoteClock
from stopcast.fleet.quota.settings import QuotaSettings
from stopcast.limiters.throttling import recovered_rate, slowed_rate

#: Redis' clock is to be known this well before slots are leased, unless this number of answers in a row were slow.
_EXACT_SECONDS: Final = 0.005
_INEXACT_ANSWERS: Final = 8
#: Of a round trip: the way back, and a little for a timer.
_REACH: Final = 0.6


class Ledger(AbstractAsyncContextManager["Ledger"], Protocol):
    """Where slots are leased. See ``RedisLedger``, which fills it."""

    unverified: bool

    async def ask(self, request: Request) -> Lease | None:
        """Return the answer; None means that the server has to be verified."""


class Loan(NamedTuple):
    """Slots in local time.

    Attributes:
        permits: how many; 0 for none.
        first_at: the moment of the first slot.
        slot_seconds: from one slot to the next.
        wait_seconds: before it makes sense to ask again, where there are none.
    """

    permits: int
    first_at: float
    slot_seconds: float
    wait_seconds: float


class Lender:
    """Turns requests for permits into answers of the ledger in local time.

    Attributes:
        settings: by which all processes go, as far as the ledger has answered.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: QuotaSettings,
        *,
        clock: Callable[[], float],
        on_settings: Callable[[QuotaSettings], None],
    ) -> None:
        self.settings = settings
        self._pause_first = False
        self._ledger = ledger
        self._clock = clock
        self._on_settings = on_settings
        #: The state of Redis that the settings were agreed on with, 0 for none.
        self._made = 0
        self._remote_clock = RemoteClock()
        self._round_trip_seconds = 0.0
        #: Slow answers since the beginning, or since Redis' clock was set; after an exact one, the most of them.
        self._inexact_answers = 0
        self._rate, self._rate_at = settings.full_rate, 0.0
        #: Throttled answers that the ledger does not know of, and for how long they hold the account.
        self._throttled, self._hold_seconds = 0, 0.0

    def rate(self, now: float) -> float:
        """Return the calls a second of the whole account, as far as it is known here."""
        seconds = max(0.0, now - self._rate_at)
        return recovered_rate(self._rate, full_rate=self.settings.full_rate, seconds=seconds)

    def throttled(self, now: float, hold_seconds: float) -> None:
        """Record one throttled answer, to be reported with the next request."""
        self._throttled += 1
        self._hold_seconds = max(self._hold_seconds, hold_seconds)
        self._rate, self._rate_at = slowed_rate(self.rate(now), full_rate=self.settings.full_rate), now

    def pause_before_next_lease(self) -> None:
        """Let the ledger give nothing out for a second before the next lease."""
        self._pause_first = True

    @property
    def has_reports(self) -> bool:
        """Whether there are throttled answers to report."""
        return self._throttled > 0

    async def verify_server(self) -> bool:
        """Let the server check that it knows of all leases, and return whether it does now.

        Raises:
            QuotaLostError: the ledger cannot be asked, or refuses.
        """
        asked_at, pause = self._clock(), self._pause_first
        lease = await self._ledger.ask(Request(settings=self.settings, verify=True, pause=pause))
        self._pause_first = False
        return await self._read(asked_at, lease) is not None

    async def lease(self, permits: int) -> Loan | None:
        """Lease slots, and report what was throttled. None means that the server has to be verified first.

        Raises:
            QuotaLostError: the ledger cannot be asked, or refuses.
        """
        asked_at, throttled, hold_seconds = self._clock(), self._throttled, self._hold_seconds
        request = Request(
            settings=self.settings,
            permits=permits,
            throttled=throttled,
            hold_seconds=hold_seconds,
            reach_seconds=_REACH * self._round_trip_seconds,
        )
        lease = await self._read(asked_at, await self._ledger.ask(request))
        if lease is None:
            return None
        self._throttled -= throttled
        self._hold_seconds = 0.0 if hold_seconds == self._hold_seconds else self._hold_seconds
        return Loan(lease.permits, self._remote_clock.local(lease.first_at), lease.slot_seconds, lease.wait_seconds)

    async def change_settings(self, settings: QuotaSettings) -> None:
        """Change the settings for all processes of the account.

        Raises:
            QuotaLostError: the ledger cannot be asked, or refuses.
        """
        # The script gives nothing out for two seconds, until the slots by the old settings are over.
        await self._ledger.ask(Request(settings=settings, change=True))
        self._go_by(settings)

    async def _read(self, asked_at: float, lease: Lease | None) -> Lease | None:
        """Return the lease if it can be relied on."""
        answered_at = self._clock()
        if lease is None or self._ledger.unverified:
            return None
        if lease.settings != self.settings:
            adopted = self.settings.adopted(lease.settings, forgotten=self._made not in {0, lease.made})
            self._made = lease.made
            if adopted == lease.settings:
                self._go_by(adopted)
            else:
                await self.change_settings(adopted)
            # Nothing was leased to other settings.
            return lease
        self._made = lease.made
        self._round_trip_seconds = answered_at - asked_at
        self._rate, self._rate_at = lease.rate, answered_at
        if self._remote_clock.read(lease.now, asked_at=asked_at, answered_at=answered_at):
            return lease if self._is_exact(answered_at) else None
        # Redis' clock was set. Slots that were leased by the old one may be those of the new one.
        self._pause_first, self._inexact_answers = True, 0
        return None

    def _is_exact(self, now: float) -> bool:
        """Return whether Redis' clock is known well enough, or a slow answer is not the exception here.

        One slow answer at the beginning would otherwise move all slots by half of what it took.
        """
        if self._inexact_answers < _INEXACT_ANSWERS:
            exact = self._remote_clock.known_within(now) <= _EXACT_SECONDS
            self._inexact_answers = _INEXACT_ANSWERS if exact else self._inexact_answers + 1
            return exact
        return True

    def _go_by(self, settings: QuotaSettings) -> None:
        if settings != self.settings:
            self.settings = settings
            self._rate = min(self._rate, settings.full_rate)
            self._on_settings(settings)
