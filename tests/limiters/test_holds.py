"""A limiter while the account is held or throttled, and beside other programs."""

from __future__ import annotations

import asyncio
import time
from collections import deque

import pytest

from stopcast.errors import ConfigurationError
from stopcast.limiters import TokenBucket, Unlimited
from stopcast.limiters.pacer import ARRIVAL_JITTER
from stopcast.virtual_clock import VirtualClock
from support.virtual import cancelled, keep_asking, most_within, on_virtual_clock, up_to
from support.waiters import Waiters


@pytest.mark.parametrize("seconds", [0.5, 3.0, 60.0])
def test_no_call_goes_while_the_account_is_held(seconds: float) -> None:
    async def main(clock: VirtualClock) -> list[float]:
        waiters = Waiters(clock, TokenBucket(150))
        waiters.come(400)
        await asyncio.sleep(0.5)
        held_at = clock.time()
        waiters.limiter.hold(seconds)
        before = len(waiters.grants)
        await waiters.all_served()
        return [moment - held_at for moment in waiters.grants[before:]]

    after = on_virtual_clock(main, lateness=up_to(0.003))
    assert seconds <= after[0] <= seconds + 0.1
    assert most_within(after) <= 150


def held_for(seconds: float) -> float:
    """Return how long the next call waits after a hold of this many seconds."""

    async def main(clock: VirtualClock) -> float:
        bucket = TokenBucket(150)
        await bucket.acquire()
        held_at = clock.time()
        bucket.hold(seconds)
        await bucket.acquire()
        return clock.time() - held_at

    return on_virtual_clock(main)


@pytest.mark.parametrize("seconds", [61.0, 1e9, float("inf")])
def test_a_hold_lasts_a_minute_at_most(seconds: float) -> None:
    assert 60 <= held_for(seconds) <= 60.1


@pytest.mark.parametrize("seconds", [-1.0, 0.0, float("nan")])
def test_a_hold_without_seconds_that_make_sense_only_slows(seconds: float) -> None:
    assert held_for(seconds) <= 0.1


def test_a_hold_before_the_first_call_holds_it() -> None:
    async def main(clock: VirtualClock) -> float:
        bucket = TokenBucket(150)
        bucket.hold(5.0)
        await bucket.acquire()
        return clock.time()

    assert on_virtual_clock(main) >= 5.0


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    async def main(clock: VirtualClock) -> float:
        bucket = TokenBucket(150)
        await bucket.acquire()
        held_at = clock.time()
        bucket.hold(10.0)
        bucket.hold(1.0)
        await bucket.acquire()
        return clock.time() - held_at

    assert on_virtual_clock(main) >= 10.0


def test_the_rate_falls_at_once_and_is_back_within_30_seconds_of_the_last_throttled_answer() -> None:
    async def main(clock: VirtualClock) -> tuple[int, int, int]:
        grants: list[float] = []
        bucket = TokenBucket(150)
        asking = keep_asking(clock, bucket, grants.append)
        await asyncio.sleep(5)
        for _ in range(75):
            bucket.hold()
        throttled_at = clock.time()
        await asyncio.sleep(31)
        await cancelled(asking)
        within = [sum(begin <= moment - throttled_at < begin + 1 for moment in grants) for begin in (0, 1, 30)]
        return within[0], within[1], within[2]

    first, second, thirtieth = on_virtual_clock(main, lateness=up_to(0.003))
    assert first <= 82
    assert second <= 88
    assert thirtieth >= 148


def test_a_few_calls_still_go_when_every_answer_is_throttled() -> None:
    async def main(clock: VirtualClock) -> int:
        grants: list[float] = []
        bucket = TokenBucket(150)

        def throttle(now: float) -> None:
            grants.append(now)
            bucket.hold()

        asking = keep_asking(clock, bucket, throttle)
        await asyncio.sleep(60)
        await cancelled(asking)
        return len(grants)

    served = on_virtual_clock(main)
    # Each call takes off one call a second and each second gives six back.
    assert 4 * 60 <= served <= 20 * 60


class Account:
    """The quota of an account that others use as well: calls that pass in any sliding second."""

    def __init__(self, quota: int) -> None:
        self._quota = quota
        self._passed: deque[float] = deque()

    def passes(self, now: float) -> bool:
        while self._passed and now - self._passed[0] >= 1:
            self._passed.popleft()
        if len(self._passed) >= self._quota:
            return False
        self._passed.append(now)
        return True


def test_beside_a_program_that_takes_75_a_second_both_get_their_share() -> None:
    async def main(clock: VirtualClock) -> tuple[float, float, float]:
        account, bucket = Account(150), TokenBucket(150)
        ours: list[float] = []
        theirs: list[float] = []

        def call(now: float) -> None:
            if account.passes(now):
                ours.append(now)
            else:
                clock.call_later(0.02, bucket.hold)

        async def compete() -> None:
            beginning = clock.time()
            for number in range(75 * 90):
                await asyncio.sleep(beginning + number / 75 - clock.time())
                if account.passes(clock.time()):
                    theirs.append(clock.time())

        asking, competing = keep_asking(clock, bucket, call), clock.create_task(compete())
        await competing
        ended = clock.time()
        await asyncio.sleep(31)
        await cancelled(asking)
        return (
            sum(30 <= moment < 90 for moment in ours) / 60,
            sum(30 <= moment < 90 for moment in theirs) / 60,
            sum(ended + 30 <= moment < ended + 31 for moment in ours),
        )

    ours, theirs, afterwards = on_virtual_clock(main, lateness=up_to(0.002))
    assert 65 <= ours <= 90
    assert 60 <= theirs <= 75
    assert afterwards >= 148


def test_the_wall_clock_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = iter(time.time() + hours * 3600 for hours in (0, 1, -1) * 10_000)
    monkeypatch.setattr(time, "time", lambda: next(wall))

    async def main(clock: VirtualClock) -> list[float]:
        grants: list[float] = []
        asking = keep_asking(clock, TokenBucket(150), grants.append)
        await asyncio.sleep(5)
        await cancelled(asking)
        return grants

    grants = on_virtual_clock(main)
    assert most_within(grants) <= 150
    assert len(grants) / 5 >= 147


def test_a_second_limiter_right_after_the_first_keeps_the_cap_of_both() -> None:
    async def main(clock: VirtualClock) -> list[float]:
        grants: list[float] = []
        for seconds in (1.0, 0.3, 0.1, 0.05, 1.5):
            asking = keep_asking(clock, TokenBucket(150), grants.append)
            await asyncio.sleep(seconds)
            await cancelled(asking)
        return grants

    assert most_within(on_virtual_clock(main), 1.0 + ARRIVAL_JITTER) <= 150


@pytest.mark.parametrize("cap", [0.0, -1.0, float("nan"), float("inf"), float("-inf")])
def test_a_cap_that_is_not_a_positive_number_is_a_configuration_error(cap: float) -> None:
    with pytest.raises(ConfigurationError):
        TokenBucket(cap)


def test_no_cap_means_no_waiting() -> None:
    async def main(clock: VirtualClock) -> float:
        limiter = Unlimited()
        began = clock.time()
        for _ in range(1000):
            await limiter.acquire()
        limiter.hold(60)
        await limiter.acquire()
        return clock.time() - began

    assert on_virtual_clock(main) == 0
