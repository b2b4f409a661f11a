"""One cap for all processes and hosts of an account, kept in Redis.

Here is when Redis is asked, and what becomes of calls while it cannot be; ``LeasedSlots`` is what it is asked for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Final, Self

from stopcast.errors import ClosedError, ConfigurationError, QuotaLostError
from stopcast.events import Event, QuotaFound, QuotaLost
from stopcast.fleet.quota.leased_slots import LeasedSlots, Ledger
from stopcast.fleet.quota.redis_ledger import RedisLedger
from stopcast.limiters.pacer import ARRIVAL_JITTER
from stopcast.limiters.token_bucket import TokenBucket
from stopcast.ports import Limiter

_FIRST_RETRY, _LONGEST_RETRY = 0.05, 0.25
#: No slot lies further ahead than this, so that after it nobody else has any.
_HORIZON: Final = 1.0
_ENTER_WITHIN: Final = 2.0


class SharedQuota(Limiter):
    """At most ``max_per_second`` calls in any sliding second, of all processes that name the same account.

    An async context manager, around the Stopper that it is given to::

        async with SharedQuota("redis://host", account="main") as quota, Stopper(limiter=quota) as stopper:
            ...

    Every throttled answer to any of the processes takes one call a second off the rate of all; the full rate is back
    25 s after the last one. While Redis cannot be asked no call goes out, which observers are told
    (``stopcast.events.QuotaLost``); calls go on when it is back. Waiting is first come, first served within a process,
    and goes in turns between processes.

    Args:
        ledger: the address of a Redis 6.2 or later, or of a Valkey; ``stopcast.redis_connection.connected`` tells the
            forms.
        account: names what is shared, whichever keys it has.
        action: of the API; each has a cap of its own.
        max_per_second: the cap of the whole account; every process gives the same.
        arrival_jitter: seconds by which the way to the server may vary, as for ``TokenBucket``. A Redis that is farther
            away than 5 ms adds its way to that, because its clock is known the less well.
        lost_share: the most processes that share the account. While Redis cannot be asked, each then goes on with that
            part of the cap, instead of not at all.

    Attributes:
        full_rate: calls a second of the whole account while nothing is throttled.
        rate: calls a second of the whole account now.

    Raises:
        ConfigurationError: a setting that cannot be used; on entering, also a login that is refused.
        QuotaLostError: on entering, where Redis cannot be reached and there is no ``lost_share``.
    """

    def __init__(
        self,
        ledger: str | Ledger,
        *,
        account: str,
        action: str = "StopWebcast",
        max_per_second: float = 150.0,
        arrival_jitter: float = ARRIVAL_JITTER,
        lost_share: int | None = None,
    ) -> None:
        if not account:
            raise ConfigurationError("the account of a shared quota needs a name")
        if lost_share is not None and lost_share < 1:
            raise ConfigurationError("lost_share is a number of processes, 1 or more")
        slots_from: Ledger = RedisLedger(ledger, account, action) if isinstance(ledger, str) else ledger
        self._slots = LeasedSlots(slots_from, max_per_second, arrival_jitter=arrival_jitter)
        self.max_per_second = self.limited_to = max_per_second
        self.full_rate: float = self._slots.full_rate
        self._share = lost_share and TokenBucket(max_per_second / lost_share, arrival_jitter=arrival_jitter)
        self._observers: list[Callable[[Event], None]] = []
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._lost: QuotaLost | None = None
        self._lost_at = 0.0
        self._keeper: asyncio.Task[None] | None = None

    @property
    def rate(self) -> float:
        """Calls a second of the whole account now."""
        return self._slots.rate

    async def __aenter__(self) -> Self:
        await self._slots.__aenter__()
        try:
            await self._enter()
        except BaseException:
            await self._slots.__aexit__(None, None, None)
            raise
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def _enter(self) -> None:
        last: QuotaLostError | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENTER_WITHIN):
                while True:
                    try:
                        return await self._slots.introduce()
                    except QuotaLostError as error:
                        if error.refused:
                            raise ConfigurationError(str(error)) from None
                        last = error
                        if self._share:
                            return self._lose(error)
                        await asyncio.sleep(_LONGEST_RETRY)
        raise last or QuotaLostError("the shared quota does not answer")

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._slots.__aexit__(exc_type, exc, tb)

    def subscribe(self, observe: Callable[[Event], None]) -> Callable[[], None]:
        """Report the quota's loss and return from now on, and at once if it is lost. Return what ends it."""
        self._observers.append(observe)
        if self._lost is not None:
            observe(self._lost)
        return partial(self._observers.remove, observe)

    def hold(self, seconds: float = 0.0) -> None:
        """Take note of one throttled answer: no call for ``seconds`` (60 at most), and a lower rate after that."""
        self._slots.hold(seconds)
        if self._share:
            self._share.hold(seconds)

    async def acquire(self) -> None:
        """Return when one call may go out now. Cancelling costs no permit.

        Raises:
            ClosedError: outside the ``async with`` block.
        """
        self._waiting += 1
        self._slots.want()
        try:
            async with self._turn:
                while not await self._permitted():
                    pass
        finally:
            self._waiting -= 1

    async def _permitted(self) -> bool:
        """Wait for a permit, or for something to change, and return whether a call may go now."""
        if not self._slots:
            if self._share and self._lost:
                return await self._permitted_by_share(self._share)
            if self._keeper is None or self._keeper.done():
                cause = None if self._keeper is None or self._keeper.cancelled() else self._keeper.exception()
                raise ClosedError("use the SharedQuota inside its `async with` block") from cause
        return await self._slots.permitted()

    async def _permitted_by_share(self, share: TokenBucket) -> bool:
        # Others may still have slots, and may have noticed later.
        await asyncio.sleep(self._lost_at + _HORIZON - asyncio.get_running_loop().time())
        if self._lost:
            await share.acquire()
        return self._lost is not None

    async def _keep(self) -> None:
        """Keep slots in hand while calls wait, and pass on what was throttled."""
        retry = _FIRST_RETRY
        try:
            while True:
                if self._lost is None:
                    await self._slots.due.wait()
                self._slots.due.clear()
                try:
                    await self._slots.introduce()
                    await self._slots.lease(self._waiting)
                except QuotaLostError as error:
                    self._lose(error)
                    await asyncio.sleep(retry * random.uniform(0.5, 1.0))
                    retry = min(2 * retry, _LONGEST_RETRY)
                else:
                    self._find()
                    retry = _FIRST_RETRY
        finally:
            self._slots.wake()

    def _lose(self, error: QuotaLostError) -> None:
        if self._lost is None:
            self._lost_at = asyncio.get_running_loop().time()
            # The others may go on with their shares for as long as they have not found it again.
            self._slots.pause = self._slots.pause or bool(self._share)
            self._lost = QuotaLost(str(error), self._share.full_rate if self._share else 0.0)
            self._tell(self._lost)
            self._slots.wake()

    def _find(self) -> None:
        if self._lost is not None:
            self._lost = None
            self._tell(QuotaFound(asyncio.get_running_loop().time() - self._lost_at))

    def _tell(self, event: Event) -> None:
        for observe in self._observers:
            observe(event)
