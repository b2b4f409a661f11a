"""Requests slots from the ledger, and translates its answers into local time.

``keeper`` decides when to ask, and ``shared_quota`` what calls do while the ledger cannot be asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final, Protocol

from stopcast.fleet.quota.redis_ledger import Lease, LedgerRequest
from stopcast.fleet.quota.slots import QuotaSettings
from stopcast.limiters.pacer import recovered_rate, slowed_rate

#: Slots are leased once Redis' clock is known to this many seconds.
_EXACT_SECONDS: Final = 0.005
#: They are leased anyway after this number of slow answers in a row.
_INEXACT_ANSWERS: Final = 8
#: The part of a round trip that an answer needs: the way back, and some time for a timer.
_REACH: Final = 0.6
#: Two clocks that are being steered gain on one another by up to this.
_DRIFT: Final = 0.001
#: An answer that seems to come back in no time shows that the local clock is coarse, not that the way is short.
_LEAST_ERROR_SECONDS: Final = 0.001


class Ledger(AbstractAsyncContextManager["Ledger"], Protocol):
    """Where slots are leased. See ``RedisLedger``, which fills it."""

    unverified: bool

    async def ask(self, request: LedgerRequest) -> Lease | None:
        """Return the answer; None means that the server has to be verified."""


class RemoteClock:
    """Translates moments of a remote clock into those of the local, monotonic one.

    An answer shows what the remote clock was at some moment between its request and its arrival. The quickest answer
    is the most exact, until drift has made it worse than a later one.
    """

    __slots__ = ("_ahead", "_error", "_read_at")

    def __init__(self) -> None:
        self._ahead = 0.0
        self._error = math.inf
        self._read_at = 0.0

    def read(self, remote: float, *, asked_at: float, answered_at: float) -> bool:
        """Take an answer, and return whether it agrees with those before it.

        An answer that does not agree means that a clock was set or stood still.
        """
        ahead, error = remote - (asked_at + answered_at) / 2, (answered_at - asked_at) / 2
        known_within = self.known_within(answered_at)
        agrees = abs(ahead - self._ahead) <= known_within + error + _LEAST_ERROR_SECONDS
        if error <= known_within or not agrees:
            self._ahead, self._error, self._read_at = ahead, error, answered_at
        return agrees

    def known_within(self, now: float) -> float:
        """Return the seconds by which a translated moment may be wrong."""
        return self._error + _DRIFT * (now - self._read_at)

    def local(self, remote: float) -> float:
        """Return the local moment of a remote one."""
        return remote - self._ahead


class Lender:
    """Turns requests for permits into answers of the ledger in local time.

    Attributes:
        settings: those that all processes use, as the last answer of the ledger had them.
        unreported: throttled answers that the ledger does not know of.
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
        self.unreported = 0
        #: Whether the ledger has to lease nothing for a second before the next lease.
        self._pause_first = False
        self._ledger = ledger
        self._clock = clock
        self._on_settings = on_settings
        #: The number of Redis' state in which the settings were agreed, 0 before that.
        self._made = 0
        self._remote_clock = RemoteClock()
        self._round_trip_seconds = 0.0
        #: Slow answers since the beginning, or since Redis' clock was set; the maximum after an exact answer.
        self._inexact_answers = 0
        self._rate, self._rate_at = settings.full_rate, 0.0
        #: For how long the unreported answers hold the account.
        self._hold_seconds = 0.0

    def rate(self, now: float) -> float:
        """Return the calls a second of the whole account, as far as this process knows."""
        seconds = max(0.0, now - self._rate_at)
        return recovered_rate(self._rate, full_rate=self.settings.full_rate, seconds=seconds)

    def throttled(self, now: float, hold_seconds: float) -> None:
        """Record one throttled answer, to be reported with the next request."""
        self.unreported += 1
        self._hold_seconds = max(self._hold_seconds, hold_seconds)
        self._rate, self._rate_at = slowed_rate(self.rate(now), full_rate=self.settings.full_rate), now

    def pause_first(self) -> None:
        """Let the ledger lease nothing for a second before the next lease."""
        self._pause_first = True

    async def verify_server(self) -> bool:
        """Let the server check that it knows of all leases, and return whether it does now.

        Raises:
            QuotaLostError: the ledger cannot be asked, or refuses.
        """
        asked_at, pause = self._clock(), self._pause_first
        lease = await self._ledger.ask(LedgerRequest(settings=self.settings, verify=True, pause=pause))
        self._pause_first = False
        return await self._read(asked_at, lease) is not None

    async def lease(self, permits: int) -> Lease | None:
        """Lease slots, whose moments are local, and report what was throttled. None: verify the server first.

        Raises:
            QuotaLostError: the ledger cannot be asked, or refuses.
        """
        asked_at, throttled, hold_seconds = self._clock(), self.unreported, self._hold_seconds
        request = LedgerRequest(
            settings=self.settings,
            permits=permits,
            throttled=throttled,
            hold_seconds=hold_seconds,
            reach_seconds=_REACH * self._round_trip_seconds,
        )
        lease = await self._read(asked_at, await self._ledger.ask(request))
        if lease is None:
            return None
        self.unreported -= throttled
        self._hold_seconds = 0.0 if hold_seconds == self._hold_seconds else self._hold_seconds
        return replace(lease, first_at=self._remote_clock.local(lease.first_at))

    async def change_settings(self, settings: QuotaSettings) -> None:
        """Change the settings for all processes of the account.

        Raises:
            QuotaLostError: the ledger cannot be asked, or refuses.
        """
        # The script leases nothing for two seconds, until the slots that follow from the old settings have passed.
        await self._ledger.ask(LedgerRequest(settings=settings, change=True))
        self._go_by(settings)

    async def _read(self, asked_at: float, lease: Lease | None) -> Lease | None:
        """Return the lease if its slots may be used."""
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
            # A process with other settings got no slots.
            return lease
        self._made = lease.made
        self._round_trip_seconds = answered_at - asked_at
        self._rate, self._rate_at = lease.rate, answered_at
        if self._remote_clock.read(lease.now, asked_at=asked_at, answered_at=answered_at):
            return lease if self._is_exact(answered_at) else None
        # Redis' clock was set. Slots that were leased before may be leased again by the new time.
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
