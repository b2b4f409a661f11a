"""The shared quota on virtual time, where clocks are set and processes stand still."""

from __future__ import annotations

import asyncio
import random
from copy import deepcopy
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stopcast.fleet.quota.redis_ledger import LedgerRequest, ledger_keys
from stopcast.fleet.quota.shared_quota import SharedQuota
from stopcast.fleet.quota.slots import QuotaSettings
from stopcast.limiters.pacer import ARRIVAL_JITTER, recovered_rate, slowed_rate
from stopcast.virtual_clock import VirtualClock
from support.simulated_redis import SimulatedLedger, SimulatedRedis
from support.virtual import cancelled, keep_asking, most_within, on_virtual_clock, up_to

bounded = partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Fleet:
    """Processes that share a quota, and every permit that any of them had."""

    def __init__(self, clock: VirtualClock, redis: SimulatedRedis, *, way_seconds: float, seed: int) -> None:
        self.clock = clock
        self.redis = redis
        self.permits: list[float] = []
        self._way = partial(random.Random(seed).uniform, 0.0001, way_seconds)
        # What the clock of a Redis farther away is not known by has to be allowed for.
        self._arrival_jitter = ARRIVAL_JITTER + (way_seconds if way_seconds > 0.005 else 0.0)
        self._quotas: list[SharedQuota] = []
        self._asking: list[list[asyncio.Task[None]]] = []

    async def join(
        self, waiting: int = 20, *, lost_share: int | None = None, max_per_second: float = 150.0, coarse: bool = False
    ) -> list[float]:
        """Let one more process ask over and over; return its own permits.

        ``coarse`` gives it a clock of whole milliseconds, as uvloop's loop has.
        """
        own: list[float] = []

        def granted(moment: float) -> None:
            own.append(moment)
            self.permits.append(moment)

        quota = SharedQuota(
            SimulatedLedger(self.redis, "account", self._way),
            account="account",
            lost_share=lost_share,
            arrival_jitter=self._arrival_jitter + (0.002 if coarse else 0.0),
            max_per_second=max_per_second,
            clock=(lambda: int(self.clock.time() * 1000) / 1000) if coarse else self.clock.time,
        )
        await quota.__aenter__()
        self._quotas.append(quota)
        self._asking.append([keep_asking(self.clock, quota, granted) for _ in range(waiting)])
        return own

    def throttled(self, place: int, times: int, seconds: float = 0.0) -> None:
        for _ in range(times):
            self._quotas[place % len(self._quotas)].hold(seconds)

    async def change(self, place: int, max_per_second: float) -> None:
        await self._quotas[place % len(self._quotas)].change_settings(max_per_second=max_per_second)

    async def leave(self, place: int = 0) -> None:
        """Let a process die: what it had leased goes with it."""
        await cancelled(*self._asking.pop(place))
        await self._quotas.pop(place).__aexit__(None, None, None)

    async def end(self) -> None:
        while self._quotas:
            await self.leave()


shares = st.floats(0.0, 1.0)
steps = st.tuples(
    st.sampled_from(
        [
            "pass",
            "join",
            "join with another cap",
            "join with a coarse clock",
            "leave",
            "stall",
            "throttled",
            "change the cap",
            "set back",
            "flush",
            "restart",
            "fail over",
            "another version",
        ]
    ),
    shares,
)


async def trouble(clock: VirtualClock, redis: SimulatedRedis, step: str, share: float) -> None:
    match step:
        case "stall":
            clock.advance(share * 3 if share > 0.5 else share / 10)
        case "set back":
            redis.clock_set_by -= share * 3600 if share > 0.5 else share
        case "flush":
            redis.hashes.clear()
        case "another version":
            # A process of version 0.1 uses its own key of the account for a while.
            keys = ledger_keys("account", "StopWebcast")
            redis.hashes[keys[1]] = {"seen": str(int(redis.now() * 1e6))}
            await asyncio.sleep(share)
            redis.hashes.pop(keys[1], None)
        case "fail over":
            # To a replica that has not got the newest.
            kept = deepcopy(redis.hashes)
            await asyncio.sleep(share / 2)
            redis.hashes, redis.server = kept, redis.server + "s"
        case "restart":
            redis.up = False
            await asyncio.sleep(share)
            redis.up, redis.server = True, redis.server + "s"


async def live_through(
    clock: VirtualClock, story: list[tuple[str, float]], way_seconds: float, seed: int
) -> list[float]:
    redis = SimulatedRedis()
    fleet = Fleet(clock, redis, way_seconds=way_seconds, seed=seed)
    processes = [await fleet.join(), await fleet.join()]
    await asyncio.sleep(1.5)
    for step, share in story:
        await asyncio.sleep(share / 4)
        match step:
            case "pass":
                await asyncio.sleep(share)
            case "join" if len(processes) < 8:
                processes.append(await fleet.join(1 + int(share * 30)))
            case "join with another cap" if len(processes) < 8:
                processes.append(await fleet.join(max_per_second=1 + int(share * 300)))
            case "join with a coarse clock" if len(processes) < 8:
                processes.append(await fleet.join(coarse=True))
            case "change the cap":
                await fleet.change(int(share * 8), 100 + int(share * 50))
            case "leave" if len(processes) > 1:
                await fleet.leave()
                processes.pop()
            case "throttled":
                fleet.throttled(int(share * 8), int(share * 40), share if share > 0.5 else 0.0)
            case _:
                await trouble(clock, redis, step, share)
    before = len(fleet.permits)
    await asyncio.sleep(4)
    assert len(fleet.permits) > before, "nothing goes any more"
    await fleet.end()
    return sorted(fleet.permits)


@bounded(max_examples=60)
@example(story=[], lateness=0.003, way_seconds=0.020, seed=36)
@given(
    story=st.lists(steps, max_size=12),
    lateness=st.sampled_from([0.0, 0.003, 0.009, 0.020]),
    way_seconds=st.sampled_from([0.0005, 0.005, 0.020]),
    seed=st.integers(0, 1000),
)
def test_no_second_of_all_processes_holds_more_than_the_cap_whatever_happens(
    story: list[tuple[str, float]], lateness: float, way_seconds: float, seed: int
) -> None:
    permits = on_virtual_clock(
        lambda clock: live_through(clock, story, way_seconds, seed), lateness=up_to(lateness, seed)
    )
    assert most_within(permits) <= 150


@pytest.mark.parametrize(("processes", "way_seconds"), [(1, 0.001), (4, 0.001), (12, 0.001), (4, 0.005), (60, 0.005)])
def test_together_they_use_98_and_a_half_percent_of_the_cap_in_even_shares(processes: int, way_seconds: float) -> None:
    async def main(clock: VirtualClock) -> list[int]:
        fleet = Fleet(clock, SimulatedRedis(), way_seconds=way_seconds, seed=1)
        own = [await fleet.join() for _ in range(processes)]
        await asyncio.sleep(3)
        before = [len(permits) for permits in own]
        await asyncio.sleep(10)
        had = [len(permits) - earlier for permits, earlier in zip(own, before, strict=True)]
        await fleet.end()
        assert most_within(sorted(fleet.permits)) <= 150
        return had

    had = on_virtual_clock(main, lateness=up_to(0.003))
    assert sum(had) >= 0.985 * 1500
    even = sum(had) / processes
    assert max(abs(each - even) for each in had) <= max(0.15 * even, 7)


@pytest.mark.parametrize("seconds", [-7200.0, -0.7, 0.3, 0.7, 7200.0])
def test_a_clock_that_is_set_while_all_call_breaks_nothing_and_stops_no_process_for_long(seconds: float) -> None:
    async def main(clock: VirtualClock) -> list[float]:
        redis = SimulatedRedis()
        fleet = Fleet(clock, redis, way_seconds=0.001, seed=2)
        for _ in range(4):
            await fleet.join()
        await asyncio.sleep(4)
        redis.clock_set_by = seconds
        await asyncio.sleep(4)
        await fleet.end()
        return sorted(fleet.permits)

    permits = on_virtual_clock(main, lateness=up_to(0.002))
    assert most_within(permits) <= 150
    assert max(after - before for before, after in pairwise(permits)) < 1.6


def permits_around_an_outage(*processes: dict[str, Any], seconds: float) -> list[float]:
    """Return the permits of processes with these settings, which lose Redis for some seconds after about four."""

    async def main(clock: VirtualClock) -> list[float]:
        redis = SimulatedRedis()
        fleet = Fleet(clock, redis, way_seconds=0.001, seed=3)
        for process in processes:
            await fleet.join(**process)
        await asyncio.sleep(4)
        redis.up = False
        await asyncio.sleep(seconds)
        redis.up = True
        await asyncio.sleep(4)
        await fleet.end()
        return sorted(fleet.permits)

    return on_virtual_clock(main, lateness=up_to(0.002))


def test_processes_that_lose_redis_together_use_their_shares_of_the_cap_and_no_more_when_it_is_back() -> None:
    permits = permits_around_an_outage(*[{"lost_share": 4}] * 4, seconds=5)
    assert most_within(permits) <= 150
    assert sum(7 <= moment < 8 for moment in permits) > 130


def test_no_process_calls_without_redis_where_the_cap_of_the_others_has_no_share_for_it() -> None:
    permits = permits_around_an_outage({"max_per_second": 2.5}, *[{"lost_share": 5}] * 4, seconds=8)
    assert most_within(permits) <= 2
    assert not [moment for moment in permits if 4.5 < moment < 12]
    assert [moment for moment in permits if moment > 12]


def test_a_process_that_dies_leaves_its_part_to_the_others() -> None:
    async def main(clock: VirtualClock) -> list[float]:
        fleet = Fleet(clock, SimulatedRedis(), way_seconds=0.001, seed=4)
        await fleet.join()
        own = await fleet.join()
        await asyncio.sleep(3)
        await fleet.leave()
        await asyncio.sleep(2)
        await fleet.end()
        return own

    own = on_virtual_clock(main, lateness=up_to(0.003))
    # The first slots are a second away, and the leases of the one that died were 42 ms at most.
    assert sum(3.2 <= moment < 4.2 for moment in own) >= 0.985 * 148.5


@bounded(max_examples=50)
@given(
    cap=st.sampled_from([0.5, 1.0, 2.5, 10.0, 60.0, 150.0, 1000.0]),
    story=st.lists(st.tuples(st.integers(0, 200), st.floats(0.0, 30.0)), max_size=20),
)
def test_the_script_slows_the_rate_by_the_law_of_throttling(cap: float, story: list[tuple[int, float]]) -> None:
    async def main(clock: VirtualClock) -> None:
        redis, settings = SimulatedRedis(), QuotaSettings(max_per_second=cap)
        full = settings.full_rate
        ledger = SimulatedLedger(redis, "account", lambda: 0.0)
        await ledger.ask(LedgerRequest(settings=settings, verify=True))
        rate = full
        for answers, seconds in story:
            before = clock.time()
            await asyncio.sleep(seconds)
            ledger.unverified = False
            lease = await ledger.ask(LedgerRequest(settings=settings, throttled=answers))
            assert lease is not None
            rate = recovered_rate(rate, full_rate=full, seconds=clock.time() - before)
            rate = slowed_rate(rate, full_rate=full, answers=answers)
            # Redis counts in microseconds, and the script answers in thousandths of a call.
            assert lease.rate == pytest.approx(rate, abs=0.0011 + full * 1e-5)

    on_virtual_clock(main)
