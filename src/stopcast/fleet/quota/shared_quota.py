"""One cap for all processes and hosts of an account, kept in Redis.

Here is decided when Redis is asked, and what happens to calls while it cannot be. ``Lender`` asks it; ``SlotsInHand``
says when a slot is used.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from types import TracebackType
from typing import Final, NamedTuple, Self

from stopcast.background import Supervisor
from stopcast.errors import BackgroundTaskError, ClosedError, ConfigurationError, QuotaLostError
from stopcast.events import Event, QuotaFound, QuotaLost, QuotaSettingsAdopted
from stopcast.fleet.quota.lender import Ledger, Lender, Loan
from stopcast.fleet.quota.redis_ledger import RedisLedger
from stopcast.fleet.quota.settings import QuotaSettings
from stopcast.fleet.quota.slots_in_hand import SlotsInHand
from stopcast.limiters.clock import Sleeper, monotonic
from stopcast.limiters.pacer import ARRIVAL_JITTER, LONGEST_HOLD
from stopcast.limiters.token_bucket import TokenBucket
from stopcast.ports import Limiter

_FIRST_RETRY, _LONGEST_RETRY = 0.05, 0.25
#: No slot lies further ahead than this, so that after it no other process has any.
_HORIZON: Final = 1.0
_ENTER_WITHIN: Final = 2.0
#: The next slots are asked for this long before the last one of those in hand. With a lease of 42 ms, 70 ms in all.
_ASK_AHEAD: Final = 0.028
#: Processes that got no slot do not ask again all at once.
_SPREAD: Final = 0.25
#: While calls wait, Redis is asked within a second, even where the account is held for longer. Where Redis has lost its
#: data and a process with another cap came first, that process is corrected before its first slot, a second ahead.
_LONGEST_WAIT: Final = 0.5
_TIMER_EARLY: Final = 0.001


class State(Enum):
    """What the keeper of a shared quota does next."""

    #: The server may not know of all leases. It has to be verified before anything is leased.
    UNVERIFIED = auto()
    #: Slots are leased while calls wait.
    LEASING = auto()
    #: There is no slot for this process for now, because the account is held or all slots are taken.
    HELD = auto()
    #: Redis cannot be asked. It is tried again and again.
    LOST = auto()


class _Outage(NamedTuple):
    event: QuotaLost
    since: float
    refused: bool


class SharedQuota(Limiter):
    """At most ``max_per_second`` calls in any sliding second, of all processes that name the same account.

    An async context manager, around the Stopper that it is given to::

        async with SharedQuota("redis://host", account="main") as quota, Stopper(limiter=quota) as stopper:
            ...

    Every throttled answer to any of the processes takes one call a second off the rate of all; the full rate is back
    25 s after the last one. While Redis cannot be asked no call goes out, and observers get a
    ``stopcast.events.QuotaLost``; calls go on when it is back. Waiting is first come, first served within a process,
    and goes in turns between processes.

    The cap and the jitter are kept in Redis by the first process. A process that is given others goes by those in Redis
    (by the greater jitter), and observers get a ``stopcast.events.QuotaSettingsAdopted``; ``change_settings`` changes
    them for all. They are forgotten a day after the last call.

    Args:
        ledger: the address of a Redis 6.2 or later, or of a Valkey; see ``stopcast.fleet.connection.connected`` for its
            forms.
        account: names what is shared, whichever keys it has.
        action: of the API; each has a cap of its own.
        max_per_second: the cap of the whole account.
        arrival_jitter: seconds by which the way to the server may vary, as for ``TokenBucket``. For a Redis that is
            farther away than 5 ms, add its way to that, because its clock is known less exactly.
        lost_share: the most processes that share the account. While Redis cannot be reached, each then goes on with
            that part of the cap, instead of not at all.
        clock: returns the seconds of a monotonic clock; see ``stopcast.limiters.clock.monotonic``.

    Attributes:
        max_per_second: the cap of the whole account, as Redis has it.
        full_rate: calls a second of the whole account while nothing is throttled.

    Raises:
        ConfigurationError: a setting that cannot be used; on entering, also a login that is refused, or processes of
            another version that use the quota.
        QuotaLostError: on entering, where Redis cannot be reached and there is no ``lost_share``.
    """

    full_rate: float

    def __init__(
        self,
        ledger: str | Ledger,
        *,
        account: str,
        action: str = "StopWebcast",
        max_per_second: float = 150.0,
        arrival_jitter: float = ARRIVAL_JITTER,
        lost_share: int | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        if not account:
            raise ConfigurationError("the account of a shared quota needs a name")
        if lost_share is not None and lost_share < 1:
            raise ConfigurationError("lost_share is a number of processes, 1 or more")
        self._ledger: Ledger = RedisLedger(ledger, account, action) if isinstance(ledger, str) else ledger
        self._account = account
        self._own_settings = QuotaSettings(max_per_second=max_per_second, arrival_jitter=arrival_jitter)
        self._clock = clock
        self._sleeper = Sleeper(clock)
        self._lender = Lender(self._ledger, self._own_settings, clock=clock, on_settings=self._adopt)
        self._slots = SlotsInHand(self._own_settings)
        self._lost_share = lost_share
        self._lay_out(self._own_settings)
        self._state = State.UNVERIFIED
        self._outage: _Outage | None = None
        self._retry_seconds = _FIRST_RETRY
        self._ask_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        #: Something is to be asked or reported.
        self._due = asyncio.Event()
        #: Slots have arrived, or the state has changed.
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._observers: list[Callable[[Event], None]] = []
        self._supervisor: Supervisor | None = None
        self._closing = False
        self._failure: BackgroundTaskError | None = None

    def _lay_out(self, settings: QuotaSettings) -> None:
        self.max_per_second = self.limited_to = settings.max_per_second
        self.full_rate = settings.full_rate
        self._slots.lay_out_anew(settings)
        self._share: TokenBucket | None = None
        if self._lost_share is not None:
            share, jitter = settings.max_per_second / self._lost_share, settings.arrival_jitter
            self._share = TokenBucket(share, arrival_jitter=jitter, clock=self._clock)

    @property
    def rate(self) -> float:
        """Calls a second of the whole account now, as far as this process knows."""
        return self._lender.rate(self._clock())

    async def __aenter__(self) -> Self:
        await self._ledger.__aenter__()
        try:
            await self._enter()
        except BaseException:
            await self._ledger.__aexit__(None, None, None)
            raise
        self._closing = False
        self._supervisor = Supervisor(self._fail)
        self._supervisor.start(self._keep(), name=f"shared quota of {self._account}")
        return self

    async def _enter(self) -> None:
        last: QuotaLostError | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENTER_WITHIN):
                while self._state is not State.LEASING:
                    try:
                        await self._verify()
                    except QuotaLostError as error:
                        if error.refused:
                            raise ConfigurationError(str(error)) from None
                        last = error
                        if self._share:
                            return self._lose(error)
                        await asyncio.sleep(_LONGEST_RETRY)
                return None
        raise last or QuotaLostError("the shared quota does not answer")

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        # The keeper reads the flag, whatever swallows its cancellation.
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._slots.clear()
        self._due.set()
        self._changed.set()
        try:
            if self._supervisor is not None:
                await self._supervisor.end()
        finally:
            await self._ledger.__aexit__(exc_type, exc, tb)

    def subscribe(self, observe: Callable[[Event], None]) -> Callable[[], None]:
        """Report the quota's loss and return, and adopted settings, from now on, and at once what holds already.

        Returns:
            A function that ends the subscription.
        """
        self._observers.append(observe)
        if self._outage is not None:
            observe(self._outage.event)
        if self._lender.settings != self._own_settings:
            observe(self._adopted(self._lender.settings))
        return partial(self._observers.remove, observe)

    async def change_settings(
        self, *, max_per_second: float | None = None, arrival_jitter: float | None = None
    ) -> None:
        """Change the cap or the jitter for all processes of the account; calls pause for two seconds.

        Raises:
            ConfigurationError: the cap is not a number above 0.
            QuotaLostError: Redis cannot be asked.
        """
        kept = self._lender.settings
        wanted = QuotaSettings(
            max_per_second=kept.max_per_second if max_per_second is None else max_per_second,
            arrival_jitter=kept.arrival_jitter if arrival_jitter is None else arrival_jitter,
        )
        self._own_settings = wanted
        await self._lender.change_settings(wanted)

    def hold(self, seconds: float = 0.0) -> None:
        """Record one throttled answer: no call for ``seconds`` (60 at most), and a lower rate after that."""
        seconds = min(max(0.0, seconds), LONGEST_HOLD)
        now = self._clock()
        self._slots.hold(now + seconds)
        self._lender.throttled(now, seconds)
        self._due.set()
        if self._share:
            self._share.hold(seconds)

    async def acquire(self) -> None:
        """Return when one call may go out now. A caller that is cancelled while it waits takes no permit.

        Raises:
            ClosedError: outside the ``async with`` block.
            BackgroundTaskError: the task that leases slots ended unexpectedly; its ``__cause__`` says why.
        """
        self._waiting += 1
        self._ask_if_due()
        try:
            async with self._turn:
                while not await self._permitted():
                    pass
        finally:
            self._waiting -= 1

    async def _permitted(self) -> bool:
        """Wait for a slot, or for a change, and return whether a call may go now."""
        self._check_open()
        now = self._clock()
        wait = self._slots.wait(now)
        if wait is None:
            if self._share and self._outage and not self._outage.refused:
                return await self._permitted_by_share(self._share, self._outage)
            self._changed.clear()
            self._ask_if_due()
            await self._changed.wait()
            return False
        if wait > 0:
            await self._sleeper.sleep(wait)
            return False
        return self._slots.use(now)

    def _check_open(self) -> None:
        if self._failure is not None:
            raise BackgroundTaskError(str(self._failure)) from self._failure.__cause__
        if self._supervisor is None or self._closing:
            raise ClosedError("use the SharedQuota inside its `async with` block")

    async def _permitted_by_share(self, share: TokenBucket, outage: _Outage) -> bool:
        # Other processes may still have slots, and may have noticed later.
        await self._sleeper.sleep(outage.since + _HORIZON - self._clock())
        if self._outage is outage:
            await share.acquire()
        return self._outage is outage and not self._closing

    def _ask_if_due(self) -> None:
        """Have more slots leased, unless those in hand last for a while or it is known that there are none."""
        if self._clock() >= self._ask_at:
            self._due.set()

    async def _keep(self) -> None:
        """Keep slots in hand while calls wait, and report what was throttled."""
        while not self._closing:
            try:
                await self._step()
            except QuotaLostError as error:
                self._lose(error)
                await asyncio.sleep(self._retry_seconds * random.uniform(0.5, 1.0))
                self._retry_seconds = min(2 * self._retry_seconds, _LONGEST_RETRY)

    async def _step(self) -> None:
        """Do what the state asks for, once.

        Raises:
            QuotaLostError: Redis cannot be asked, or refuses.
        """
        match self._state:
            case State.UNVERIFIED | State.LOST:
                await self._verify()
            case State.LEASING | State.HELD:
                await self._due.wait()
                self._due.clear()
                await self._lease()

    async def _verify(self) -> None:
        if not await self._lender.verify_server():
            self._state = State.UNVERIFIED
            return
        self._retry_seconds = _FIRST_RETRY
        self._state = State.LEASING
        self._due.set()
        if self._outage is not None:
            seconds = self._clock() - self._outage.since
            self._outage = None
            self._emit(QuotaFound(seconds))

    async def _lease(self) -> None:
        now = self._clock()
        self._slots.drop_expired(now)
        # A timer may be a hair early.
        wanted = max(0, self._waiting - len(self._slots)) if now + _TIMER_EARLY >= self._ask_at else 0
        if not wanted and not self._lender.has_reports:
            return
        loan = await self._lender.lease(wanted)
        if loan is None:
            self._state = State.UNVERIFIED
        elif wanted:
            self._take(loan)

    def _take(self, loan: Loan) -> None:
        now = self._clock()
        if loan.permits:
            self._state = State.LEASING
            self._slots.add(loan.first_at, loan.slot_seconds, loan.permits)
            self._ask_at = self._slots.last - _ASK_AHEAD
            self._changed.set()
        else:
            self._state = State.HELD
            self._ask_at = now + min(loan.wait_seconds, _LONGEST_WAIT) + random.uniform(0.0, _SPREAD)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._ask_at - now, self._due.set)

    def _lose(self, error: QuotaLostError) -> None:
        self._state = State.LOST
        if self._outage is not None and self._outage.refused == error.refused:
            return
        # The others may go on with their shares for as long as they have not found it again.
        self._lender.pause_first = self._lender.pause_first or bool(self._share)
        share = 0.0 if self._share is None or error.refused else self._share.full_rate
        event = QuotaLost(str(error), share)
        self._outage = _Outage(event, self._clock(), error.refused)
        self._emit(event)
        self._changed.set()

    def _adopt(self, settings: QuotaSettings) -> None:
        self._lay_out(settings)
        self._ask_at = 0.0
        if settings != self._own_settings:
            self._emit(self._adopted(settings))

    def _adopted(self, settings: QuotaSettings) -> QuotaSettingsAdopted:
        own = self._own_settings
        return QuotaSettingsAdopted(
            account=self._account,
            max_per_second=settings.max_per_second,
            own_max_per_second=own.max_per_second,
            arrival_jitter=settings.arrival_jitter,
            own_arrival_jitter=own.arrival_jitter,
        )

    def _fail(self, error: BackgroundTaskError) -> None:
        self._failure = error
        self._slots.clear()
        self._changed.set()

    def _emit(self, event: Event) -> None:
        for observe in tuple(self._observers):
            observe(event)
