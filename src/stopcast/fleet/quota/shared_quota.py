"""One cap for all processes and hosts of an account, kept in Redis.

Here callers wait for the slots that ``Keeper`` has in hand, and go on with a share while Redis is away.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import Final, Self

from stopcast.background import Block, Supervisor
from stopcast.checks import check_methods, check_whole_number
from stopcast.errors import BackgroundTaskError, ClosedError, ConfigurationError, QuotaLostError
from stopcast.events import Event, QuotaSettingsAdopted
from stopcast.fleet.quota.keeper import Keeper, Outage, State
from stopcast.fleet.quota.lender import Ledger, Lender
from stopcast.fleet.quota.redis_ledger import RedisLedger, quota_name
from stopcast.fleet.quota.slots import QuotaSettings
from stopcast.limiters.clock import Sleeper, monotonic
from stopcast.limiters.pacer import ARRIVAL_JITTER, LONGEST_HOLD
from stopcast.limiters.token_bucket import TokenBucket
from stopcast.ports import Limiter

#: No slot lies further ahead than this, so that after it no other process has any.
_HORIZON: Final = 1.0
#: For each answer, and for all of them where they are slow.
_ENTER_WITHIN: Final = 2.0
_ENTER_SLOWLY_WITHIN: Final = 12.0
_RETRY_SECONDS: Final = 0.25
#: Each has a quota of its own. Another spelling would be another cap.
_ACTIONS: Final = ("StopWebcast", "GetWebCastTask")


class SharedQuota(Limiter):
    """At most ``max_per_second`` calls in any sliding second, of all processes that name the same account.

    An async context manager, around the Stopper that it is given to::

        async with SharedQuota("redis://host", account="main") as quota, Stopper(limiter=quota) as stopper:
            ...

    Every throttled answer to any of the processes takes one call a second off the rate of all; the full rate is back
    25 s after the last one. While Redis cannot be asked no call goes out, and observers get a
    ``stopcast.events.QuotaLost``; calls go on when it is back. Waiting is first come, first served within a process,
    and goes in turns between processes.

    The first process puts the cap and the jitter into Redis. A process that was given other values uses those in Redis
    (and the greater jitter), and observers get a ``stopcast.events.QuotaSettingsAdopted``; ``change_settings`` changes
    them for all. They are forgotten a day after the last call.

    Args:
        ledger: the address of a Redis 6.2 or later, or of a Valkey; see ``stopcast.fleet.connection.connected`` for its
            forms.
        account: names what is shared, whichever keys it has. Text that can be printed, without spaces around it.
        action: of the API; each has a cap of its own.
        max_per_second: the cap of the whole account.
        arrival_jitter: seconds by which the way to the server may vary, as for ``TokenBucket``. For a Redis that is
            farther away than 5 ms, add its way to that, because its clock is known less exactly.
        lost_share: the most processes that share the account, and no more than ``max_per_second``. While Redis cannot
            be reached, each then goes on with that part of the cap, instead of not at all.
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
        self._account = account = quota_name(account)
        if action not in _ACTIONS:
            raise ConfigurationError(f"action must be {' or '.join(_ACTIONS)}, not {action!r:.80}")
        self._ledger: Ledger = RedisLedger(ledger, account, action) if isinstance(ledger, str) else ledger
        check_methods("ledger", self._ledger, "ask", "__aenter__", "__aexit__")
        self._own_settings = QuotaSettings(max_per_second=max_per_second, arrival_jitter=arrival_jitter)
        if lost_share is not None:
            check_whole_number("lost_share", lost_share, least=1)
            if lost_share > max_per_second:
                raise ConfigurationError(
                    f"the cap of {max_per_second:g} a second has no share for {lost_share} processes: a share is one "
                    f"call a second at least"
                )
        self._lost_share = lost_share
        self._clock = clock
        self._sleeper = Sleeper(clock)
        self._lender = Lender(self._ledger, self._own_settings, clock=clock, on_settings=self._adopt)
        self._keeper = Keeper(self._lender, clock=clock, share_rate=self._share_rate, emit=self._emit)
        self._lay_out(self._own_settings)
        # One call waits for its slot, the others in their order behind it.
        self._turn = asyncio.Lock()
        self._observers: list[Callable[[Event], None]] = []
        self._block = Block(type(self).__name__)
        #: When the slot of the permit that was given last is over.
        self._usable_until = math.inf
        self._supervisor: Supervisor | None = None
        self._failure: BackgroundTaskError | None = None

    def _lay_out(self, settings: QuotaSettings) -> None:
        self.max_per_second = self.limited_to = settings.max_per_second
        self.full_rate = settings.full_rate
        self._share: TokenBucket | None = None
        # A smaller share would still be one call in some second, and those of all processes more than the cap.
        if self._lost_share is not None and self._lost_share <= settings.max_per_second:
            share, jitter = settings.max_per_second / self._lost_share, settings.arrival_jitter
            self._share = TokenBucket(share, arrival_jitter=jitter, clock=self._clock)

    def _share_rate(self) -> float:
        return 0.0 if self._share is None else self._share.full_rate

    @property
    def permit_seconds(self) -> float:
        """Seconds until the slot of the last permit is over. No other process knows of a call that goes later."""
        return self._usable_until - self._clock()

    @property
    def rate(self) -> float:
        """Calls a second of the whole account now, as far as this process knows."""
        return self._lender.rate(self._clock())

    async def __aenter__(self) -> Self:
        with self._block.entering():
            self._turn = asyncio.Lock()
            self._keeper.open()
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._ledger)
                await self._enter()
                self._stack = stack.pop_all()
        self._supervisor = Supervisor(self._fail)
        self._supervisor.start(self._keeper.run(), name=f"shared quota of {self._account}")
        self._stack.push_async_callback(self._supervisor.end)
        return self

    async def _enter(self) -> None:
        last: QuotaLostError | None = None
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + _ENTER_SLOWLY_WITHIN
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENTER_WITHIN) as patience:
                while self._keeper.state is not State.LEASING:
                    if (error := await self._verify_once()) is None:
                        # Where the way is long, it takes several answers to know the other clock.
                        patience.reschedule(min(loop.time() + _ENTER_WITHIN, ends_at))
                        continue
                    last = error
                    if self._share:
                        return self._keeper.lose(error)
                    await asyncio.sleep(_RETRY_SECONDS)
                return None
        raise last or QuotaLostError("the shared quota does not answer")

    async def _verify_once(self) -> QuotaLostError | None:
        """Let the server be verified, and return why it could not be asked.

        Raises:
            ConfigurationError: Redis refuses.
        """
        try:
            await self._keeper.verify()
        except QuotaLostError as error:
            if error.refused:
                raise ConfigurationError(str(error)) from None
            return error
        return None

    async def __aexit__(self, *_error: object) -> None:
        with self._block.leaving():
            self._supervisor = None
            self._keeper.close()
            await self._stack.aclose()

    def subscribe(self, observe: Callable[[Event], None]) -> Callable[[], None]:
        """Report the quota's loss and return, and adopted settings, from now on, and at once what holds already.

        Returns:
            A function that ends the subscription.

        Raises:
            ClosedError: inside the ``async with`` block, on another event loop.
        """
        self._block.check_loop()
        self._observers.append(observe)
        if self._keeper.outage is not None:
            observe(self._keeper.outage.event)
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
        self._block.check()
        given = {"max_per_second": max_per_second, "arrival_jitter": arrival_jitter}
        wanted = {name: value for name, value in given.items() if value is not None}
        self._own_settings = replace(self._lender.settings, **wanted)
        await self._lender.change_settings(self._own_settings)

    def hold(self, seconds: float = 0.0) -> None:
        """Record one throttled answer: no call for ``seconds`` (60 at most), and a lower rate after that."""
        self._keeper.throttled(min(max(0.0, seconds), LONGEST_HOLD))
        if self._share:
            self._share.hold(seconds)

    async def acquire(self) -> None:
        """Return when one call may go out now. A caller that is cancelled while it waits takes no permit.

        Raises:
            ClosedError: outside the ``async with`` block.
            BackgroundTaskError: the task that leases slots ended unexpectedly; its ``__cause__`` says why.
        """
        keeper = self._keeper
        keeper.arrived()
        try:
            async with self._turn:
                while not await self._permitted(keeper):
                    pass
        finally:
            keeper.left()

    async def _permitted(self, keeper: Keeper) -> bool:
        """Wait for a slot, or for a change, and return whether a call may go now."""
        self._check_open()
        now = self._clock()
        wait = keeper.slots.wait(now)
        if wait is None:
            if self._share and keeper.outage and not keeper.outage.refused:
                return await self._permitted_by_share(self._share, keeper.outage)
            self._block.check_loop()
            await keeper.change()
            return False
        if wait > 0:
            await self._sleeper.sleep(wait)
            return False
        permitted = keeper.slots.use(now)
        self._usable_until = keeper.slots.usable_until
        return permitted

    def _check_open(self) -> None:
        if self._failure is not None:
            raise BackgroundTaskError(str(self._failure)) from self._failure.__cause__
        if self._supervisor is None:
            raise ClosedError("use the SharedQuota inside its `async with` block")

    async def _permitted_by_share(self, share: TokenBucket, outage: Outage) -> bool:
        # Other processes may still have slots, and may have noticed later.
        await self._sleeper.sleep(outage.since + _HORIZON - self._clock())
        if self._keeper.outage is outage:
            await share.acquire()
        self._usable_until = math.inf  # a share counts late calls by itself
        return self._keeper.outage is outage and self._supervisor is not None

    def _adopt(self, settings: QuotaSettings) -> None:
        self._lay_out(settings)
        self._keeper.lay_out_anew(settings)
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
        self._keeper.drop()

    def _emit(self, event: Event) -> None:
        for observe in tuple(self._observers):
            observe(event)
