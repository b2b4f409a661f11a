"""One cap for all processes and hosts of an account, kept in Redis.

A call's permit is a slot on Redis' clock that no other process has (``reserve.lua``). Slots are leased a few at a time,
while calls wait, and each is used at its moment or not at all: a process that stood still has lost its slots, so that
what it does late is never more than what it may do then.

Why the numbers. Slots at r a second, each used up to L seconds late, put fewer than 1 + r (1 + L) calls into any
second, and that has to stay below cap + 1: r is 148.5 for a cap of 150, with 3.3 ms for the way to the API and 6.6 ms
for timers and for what is not known of Redis' clock.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from types import TracebackType
from typing import Final, Protocol, Self

from stopcast.errors import ClosedError, ConfigurationError, QuotaLostError
from stopcast.events import Event, QuotaFound, QuotaLost
from stopcast.limiters.redis_ledger import Lease, RedisLedger
from stopcast.limiters.remote_clock import RemoteClock
from stopcast.limiters.token_bucket import ARRIVAL_JITTER, TokenBucket, bounds
from stopcast.rolling_window import RollingWindow

_LATE: Final = 0.0066
#: The next slots are asked for this long before the last one of those in hand. With a lease of 42 ms, 70 ms in all.
_ASK_AHEAD: Final = 0.028
#: A slot missed by this means that the process stood still, and calls that had their permit may leave only now.
_STANDSTILL: Final = 0.010
_SLOTS_AFTER_STANDSTILL: Final = 2
#: Those who were told to come again do not come all at once.
_SPREAD: Final = 0.25
_FIRST_RETRY, _LONGEST_RETRY = 0.05, 0.25
#: Of a round trip: the way back, and a little for a timer.
_REACH: Final = 0.6
_TIMER_EARLY: Final = 0.001
_LONGEST_HOLD: Final = 60.0
#: No slot lies further ahead than this, so that after it nobody else has any.
_HORIZON: Final = 1.0
_ENTER_WITHIN: Final = 2.0


class Ledger(AbstractAsyncContextManager["Ledger"], Protocol):
    """Where slots are leased. See ``RedisLedger``, which fills it."""

    strange: bool

    async def introduce(self, *, full_rate: float, pause: bool) -> Lease | None:
        """Let the other side look whether it knows of all leases; lease nothing."""

    async def lease(
        self, permits: int, *, full_rate: float, throttled: int, hold_seconds: float, reach_seconds: float
    ) -> Lease | None:
        """Reserve up to so many slots, and tell of throttled answers."""


class SharedQuota:
    """At most ``max_per_second`` calls in any sliding second, of all processes that name the same account.

    Fills ``stopcast.Limiter``. An async context manager, around the Stopper that it is given to::

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
        arrival_jitter: seconds by which the way to the server may vary, as for ``TokenBucket``.
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
        self._most, self.full_rate = bounds(max_per_second, arrival_jitter + _LATE)
        self.rate = self.full_rate
        self._ledger: Ledger = RedisLedger(ledger, account, action) if isinstance(ledger, str) else ledger
        self._share = lost_share and TokenBucket(max_per_second / lost_share, arrival_jitter=arrival_jitter)
        self._window = RollingWindow(1 + arrival_jitter)
        self._clock = RemoteClock()
        self._round_trip_seconds = 0.0
        self._observers: list[Callable[[Event], None]] = []
        self._turn = asyncio.Lock()
        self._waiting = 0
        #: Local moments of the slots in hand.
        self._slots: deque[float] = deque()
        self._left_out = 0
        self._arrived = asyncio.Event()
        self._asked = asyncio.Event()
        self._ask_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._throttled = 0
        self._hold_seconds = 0.0
        self._held_until = 0.0
        self._pause = False
        self._lost: QuotaLost | None = None
        self._lost_at = 0.0
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._ledger.__aenter__()
        try:
            await self._enter()
        except BaseException:
            await self._ledger.__aexit__(None, None, None)
            raise
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def _enter(self) -> None:
        last: QuotaLostError | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENTER_WITHIN):
                while True:
                    try:
                        return await self._introduce()
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
        if self._timer is not None:
            self._timer.cancel()
        self._arrived.set()
        await self._ledger.__aexit__(exc_type, exc, tb)

    def tell(self, observe: Callable[[Event], None]) -> Callable[[], None]:
        """Tell of the quota's loss and return from now on, and at once if it is lost. Return what ends it."""
        self._observers.append(observe)
        if self._lost is not None:
            observe(self._lost)
        return partial(self._observers.remove, observe)

    def hold(self, seconds: float = 0.0) -> None:
        """Take note of one throttled answer: no call for ``seconds`` (60 at most), and a lower rate after that."""
        seconds = min(max(0.0, seconds), _LONGEST_HOLD)
        self._throttled += 1
        # Redis' word comes with the next lease.
        self.rate = max(self.rate - 1, min(self.rate, 1.0))
        self._hold_seconds = max(self._hold_seconds, seconds)
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)
        self._asked.set()
        if self._share:
            self._share.hold(seconds)

    async def acquire(self) -> None:
        """Return when one call may go out now. Cancelling costs no permit.

        Raises:
            ClosedError: outside the ``async with`` block.
        """
        self._waiting += 1
        self._want(asyncio.get_running_loop().time())
        try:
            async with self._turn:
                while not await self._permitted():
                    pass
        finally:
            self._waiting -= 1

    async def _permitted(self) -> bool:
        """Wait for a slot, or for something to change, and return whether a call may go now."""
        loop = asyncio.get_running_loop()
        if not self._slots:
            if self._share and self._lost:
                return await self._permitted_by_share(self._share)
            if self._keeper is None or self._keeper.done():
                cause = None if self._keeper is None or self._keeper.cancelled() else self._keeper.exception()
                raise ClosedError("use the SharedQuota inside its `async with` block") from cause
            self._arrived.clear()
            self._want(loop.time())
            await self._arrived.wait()
            return False
        slot = self._slots[0]
        if (wait := slot - loop.time()) > 0:
            await asyncio.sleep(wait)
            if not self._slots or self._slots[0] != slot:
                return False
        self._slots.popleft()
        now = loop.time()
        late = now - slot
        if late > _STANDSTILL:
            self._slots.clear()
            self._left_out = _SLOTS_AFTER_STANDSTILL
        if self._left_out:
            self._left_out -= late <= _STANDSTILL
            return False
        if late > _LATE or slot < self._held_until or self._window.wait(now, self._most) > 0:
            return False
        self._window.add(now)
        return True

    async def _permitted_by_share(self, share: TokenBucket) -> bool:
        # Others may still have slots, and may have noticed later.
        await asyncio.sleep(self._lost_at + _HORIZON - asyncio.get_running_loop().time())
        if self._lost:
            await share.acquire()
        return self._lost is not None

    def _want(self, now: float) -> None:
        if now >= self._ask_at:
            self._asked.set()

    async def _keep(self) -> None:
        """Keep slots in hand while calls wait, and pass on what was throttled."""
        retry = _FIRST_RETRY
        try:
            while True:
                if self._lost is None:
                    await self._asked.wait()
                self._asked.clear()
                try:
                    await self._ask()
                except QuotaLostError as error:
                    self._lose(error)
                    await asyncio.sleep(retry * random.uniform(0.5, 1.0))
                    retry = min(2 * retry, _LONGEST_RETRY)
                else:
                    self._find()
                    retry = _FIRST_RETRY
        finally:
            self._arrived.set()

    async def _ask(self) -> None:
        await self._introduce()
        loop = asyncio.get_running_loop()
        now = loop.time()
        # A timer may be a hair early.
        due = now + _TIMER_EARLY >= self._ask_at
        while self._slots and self._slots[0] < now - _LATE:
            self._slots.popleft()
        permits = max(0, self._waiting - len(self._slots)) if due else 0
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
            self._asked.set()
            return
        if permits:
            self._take(lease)

    async def _introduce(self) -> None:
        loop = asyncio.get_running_loop()
        while self._ledger.strange or self._pause:
            asked_at = loop.time()
            answer = await self._ledger.introduce(full_rate=self.full_rate, pause=self._pause)
            self._pause = False
            self._read(asked_at, answer)

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
        self._pause = True
        return None

    def _take(self, lease: Lease) -> None:
        loop = asyncio.get_running_loop()
        if lease.permits:
            first_at = self._clock.local(lease.first_at)
            self._slots.extend(first_at + place * lease.slot_seconds for place in range(lease.permits))
            self._ask_at = self._slots[-1] - _ASK_AHEAD
            self._arrived.set()
        else:
            self._ask_at = loop.time() + lease.wait_seconds + random.uniform(0.0, _SPREAD)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._ask_at, self._asked.set)

    def _lose(self, error: QuotaLostError) -> None:
        if self._lost is None:
            self._lost_at = asyncio.get_running_loop().time()
            # The others may go on with their shares for as long as they have not found it again.
            self._pause = self._pause or bool(self._share)
            self._lost = QuotaLost(str(error), self._share.full_rate if self._share else 0.0)
            self._tell(self._lost)
            self._arrived.set()

    def _find(self) -> None:
        if self._lost is not None:
            self._lost = None
            self._tell(QuotaFound(asyncio.get_running_loop().time() - self._lost_at))

    def _tell(self, event: Event) -> None:
        for observe in self._observers:
            observe(event)
