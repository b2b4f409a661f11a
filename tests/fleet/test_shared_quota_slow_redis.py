"""A shared quota over a slow Redis, on virtual time: what a call waits for, and what is reported."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from itertools import chain, repeat

import pytest

from stopcast.events import Event, QuotaFound, QuotaLost
from stopcast.fleet.quota.shared_quota import SharedQuota
from stopcast.fleet.quota.slots import QuotaSettings
from stopcast.virtual_clock import VirtualClock
from support.simulated_redis import SimulatedLedger, SimulatedRedis
from support.virtual import cancelled, in_virtual_time, keep_asking, most_within, on_virtual_clock, up_to


@pytest.mark.parametrize("way_seconds", [0.001, 0.020, 0.050])
def test_a_caller_now_and_then_waits_for_the_way_to_redis_and_no_longer(way_seconds: float) -> None:
    async def main(clock: VirtualClock) -> list[float]:
        waits: list[float] = []
        ledger = SimulatedLedger(SimulatedRedis(), "account", lambda: way_seconds)
        async with SharedQuota(ledger, account="account") as quota:
            for _ in range(20):
                asked_at = clock.time()
                await quota.acquire()
                waits.append(clock.time() - asked_at)
                await asyncio.sleep(0.5)
        return waits

    # The first of all waits for what is not known of the account.
    assert max(on_virtual_clock(main, lateness=up_to(0.003))[1:]) < 3 * way_seconds + 0.010


@pytest.mark.parametrize("lost_share", [None, 2])
def test_a_redis_that_answers_after_its_slots_are_over_is_reported_once_until_it_is_faster(
    lost_share: int | None,
) -> None:
    async def main(clock: VirtualClock) -> None:
        way_seconds, events, permits = [0.45], list[Event](), list[float]()
        ledger = SimulatedLedger(SimulatedRedis(), "account", lambda: way_seconds[0])
        async with SharedQuota(ledger, account="account", lost_share=lost_share) as quota:
            unsubscribe = quota.subscribe(events.append)
            asking = keep_asking(clock, quota, permits.append)
            await asyncio.sleep(20)
            assert [type(event) for event in events] == [QuotaLost]
            assert bool(permits) is (lost_share is not None)
            way_seconds[0] = 0.001
            await asyncio.sleep(20)
            assert [type(event) for event in events] == [QuotaLost, QuotaFound]
            assert sum(moment > clock.time() - 10 for moment in permits) > 1400
            assert most_within(permits) <= 150
            unsubscribe()
            await cancelled(asking)

    on_virtual_clock(main)


@pytest.mark.parametrize("way_seconds", [0.15, 0.45])
def test_a_quota_over_a_long_way_is_entered(way_seconds: float) -> None:
    async def main() -> None:
        ledger = SimulatedLedger(SimulatedRedis(), "account", lambda: way_seconds)
        async with SharedQuota(ledger, account="account"):
            pass

    in_virtual_time(main)


@pytest.mark.parametrize("cap", [0.3, 0.5, 0.7, 0.9, 1.3, 1.9])
def test_the_slots_of_a_slow_cap_come_at_its_rate(cap: float) -> None:
    async def main(clock: VirtualClock) -> list[float]:
        permits: list[float] = []
        ledger = SimulatedLedger(SimulatedRedis(), "account", lambda: 0.0005)
        async with SharedQuota(ledger, account="account", max_per_second=cap) as quota:
            while len(permits) < 10:
                await quota.acquire()
                permits.append(clock.time())
        return permits

    permits = on_virtual_clock(main)
    assert permits[-1] - permits[0] == pytest.approx(9 / QuotaSettings(max_per_second=cap).full_rate, rel=0.01)


def test_first_answers_that_are_slow_on_one_way_do_not_move_the_slots_of_a_process() -> None:
    async def main(clock: VirtualClock) -> list[float]:
        redis, permits = SimulatedRedis(), list[float]()
        async with AsyncExitStack() as stack:
            for slow in ((0.4, 0.0005), (0.0005, 0.4)):
                ways = chain(slow * 4, repeat(0.0005))
                ledger = SimulatedLedger(redis, "account", partial(next, ways))
                quota = await stack.enter_async_context(SharedQuota(ledger, account="account", max_per_second=5))
                asking = [keep_asking(clock, quota, permits.append) for _ in range(10)]
                stack.push_async_callback(cancelled, *asking)
            await asyncio.sleep(20)
        return sorted(permits)

    assert most_within(on_virtual_clock(main)) <= 5
