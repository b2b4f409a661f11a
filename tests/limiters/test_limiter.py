"""The cap of a limiter is kept and used, and callers go in their order."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stopcast.limiters import TokenBucket
from stopcast.limiters.pacer import ARRIVAL_JITTER
from stopcast.limiters.rolling_window import RollingWindow
from stopcast.virtual_clock import VirtualClock
from support.virtual import cancelled, keep_asking, most_within, on_virtual_clock, up_to
from support.waiters import Waiters

T = TypeVar("T")

CAPS = [0.5, 1.0, 1.5, 2.5, 10.0, 149.9, 150.0, 1000.0]
bounded = partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def allowed(cap: float) -> int:
    return max(1, int(cap))


shares = st.floats(0.0, 1.0)
steps = st.one_of(
    st.tuples(st.just("come"), shares),
    st.tuples(st.just("come"), shares),
    st.tuples(st.just("pass"), shares),
    st.tuples(st.just("pass"), shares),
    st.tuples(st.just("stall"), shares),
    st.tuples(st.just("leave"), shares),
    st.tuples(st.just("hold"), shares),
    st.tuples(st.just("throttled"), shares),
    st.tuples(st.just("restart"), shares),
)


async def live_through(clock: VirtualClock, cap: float, story: list[tuple[str, float]], jitter: float) -> list[float]:
    waiters = Waiters(clock, TokenBucket(cap, arrival_jitter=jitter))
    waiters.come(int(2 * cap) + 2)
    for step, share in story:
        match step:
            case "come":
                waiters.come(int(share * (cap + 3)))
            case "pass":
                await asyncio.sleep(share * 2)
            case "stall":
                clock.advance(share * 3 if share > 0.5 else share / 10)
                await asyncio.sleep(0)
            case "leave":
                every = 1 + int(share * 5)
                await waiters.leave(lambda place, every=every: place % every == 0)  # type: ignore[misc]
            case "hold":
                waiters.limiter.hold(share * 2)
            case "throttled":
                for _ in range(int(share * 40)):
                    waiters.limiter.hold()
            case "restart":
                await waiters.leave()
                waiters.limiter = TokenBucket(cap, arrival_jitter=jitter)
                waiters.come(int(share * (cap + 3)) + 1)
    await asyncio.sleep(1.5)
    await waiters.leave()
    return waiters.grants


@bounded(max_examples=300)
@given(
    cap=st.sampled_from(CAPS[:-1]),
    story=st.lists(steps, max_size=12),
    lateness=st.sampled_from([0.0, 0.003, 0.009, 0.020]),
    seed=st.integers(0, 1000),
)
def test_no_second_holds_more_than_the_cap_whatever_happens(
    cap: float, story: list[tuple[str, float]], lateness: float, seed: int
) -> None:
    grants = on_virtual_clock(
        lambda clock: live_through(clock, cap, story, ARRIVAL_JITTER), lateness=up_to(lateness, seed)
    )
    assert most_within(grants) <= allowed(cap)


@bounded(max_examples=200)
@given(
    cap=st.sampled_from(CAPS[:-1]),
    story=st.lists(steps, max_size=8),
    jitter=st.sampled_from([0.0, ARRIVAL_JITTER, 0.020, 0.050]),
    lateness=st.sampled_from([0.0, 0.003, 0.020]),
)
def test_no_second_at_the_server_holds_more_than_the_cap_where_calls_come_late_by_what_is_allowed_for(
    cap: float, story: list[tuple[str, float]], jitter: float, lateness: float
) -> None:
    grants = on_virtual_clock(lambda clock: live_through(clock, cap, story, jitter), lateness=up_to(lateness))
    # The worst that delays of up to the jitter can do: the first call of the window comes late, the last one does not.
    assert most_within(grants, 1.0 + jitter) <= allowed(cap)


@pytest.mark.parametrize("cap", CAPS)
def test_every_cap_is_kept_and_used(cap: float) -> None:
    async def main(clock: VirtualClock) -> list[float]:
        grants: list[float] = []
        asking = keep_asking(clock, TokenBucket(cap), grants.append)
        await asyncio.sleep(10)
        await cancelled(asking)
        return grants

    grants = on_virtual_clock(main, lateness=up_to(0.003))
    assert most_within(grants, 1.0 + ARRIVAL_JITTER) <= allowed(cap)
    # 2 slots go to a limiter that may have been there before, 1 to where the window ends.
    assert len(grants) >= 0.95 * min(cap, allowed(cap)) * 10 - 3


@pytest.mark.parametrize("lateness", [0.0, 0.001, 0.003])
def test_the_rate_stays_within_one_percent_of_the_cap_with_timers_up_to_3_ms_late(lateness: float) -> None:
    async def main(clock: VirtualClock) -> list[float]:
        grants: list[float] = []
        asking = keep_asking(clock, TokenBucket(150), grants.append)
        await asyncio.sleep(60)
        await cancelled(asking)
        return grants

    grants = on_virtual_clock(main, lateness=up_to(lateness, seed=7))
    assert len(grants) / 60 >= 0.99 * 150
    assert most_within(grants) <= 150


def test_timers_that_are_always_3_ms_late_cost_no_more_than_one_percent() -> None:
    async def main(clock: VirtualClock) -> int:
        grants: list[float] = []
        asking = keep_asking(clock, TokenBucket(150), grants.append)
        await asyncio.sleep(60)
        await cancelled(asking)
        return len(grants)

    assert on_virtual_clock(main, lateness=lambda: 0.003) / 60 >= 0.99 * 150


@pytest.mark.parametrize(("jitter", "least"), [(0.005, 148), (0.010, 147), (0.020, 146), (0.050, 142)])
def test_the_rate_loses_what_is_allowed_for_the_way_and_no_more(jitter: float, least: int) -> None:
    async def main(clock: VirtualClock) -> int:
        grants: list[float] = []
        asking = keep_asking(clock, TokenBucket(150, arrival_jitter=jitter), grants.append)
        await asyncio.sleep(20)
        await cancelled(asking)
        assert most_within(grants, 1.0 + jitter) <= 150
        return len(grants)

    assert on_virtual_clock(main, lateness=up_to(0.003)) / 20 >= least


@pytest.mark.parametrize("standstill", [0.004, 0.006, 0.008, 0.0099, 0.0101, 0.013, 0.0165, 0.02, 0.3, 0.9, 0.995, 2.0])
@pytest.mark.parametrize("every", [40, 149])
def test_a_call_that_reaches_the_wire_only_after_a_standstill_does_not_break_the_cap(
    standstill: float, every: int
) -> None:
    async def main(clock: VirtualClock) -> list[float]:
        bucket = TokenBucket(150)
        arrivals: list[float] = []
        granted = 0

        async def call() -> None:
            nonlocal granted
            await bucket.acquire()
            granted += 1
            if granted % every == 0:
                clock.advance(standstill)
            arrivals.append(clock.time())

        await asyncio.gather(*(call() for _ in range(600)))
        return arrivals

    assert most_within(on_virtual_clock(main)) <= 150


@pytest.mark.parametrize("cap", [0.5, 1.0, 2.5])
def test_a_call_that_a_blocked_loop_delays_counts_before_the_next_one_is_let_through(cap: float) -> None:
    async def main(clock: VirtualClock) -> list[float]:
        bucket = TokenBucket(cap)
        arrivals: list[float] = []

        async def call(place: int) -> None:
            await bucket.acquire()
            if place % 2 == 0:
                # The next caller is woken already, and looks before the event loop's second turn.
                clock.advance(2.9)
            arrivals.append(clock.time())

        await asyncio.gather(*(call(place) for place in range(20)))
        return arrivals

    assert most_within(on_virtual_clock(main)) <= max(1, int(cap))


@pytest.mark.parametrize("rate", [1.0, 10.0, 30.0, 75.0, 149.0])
def test_a_limited_rate_is_kept_and_used(rate: float) -> None:
    async def main(clock: VirtualClock) -> list[float]:
        limiter = TokenBucket(150)
        waiters = Waiters(clock, limiter)
        waiters.come(20)
        limiter.limit_to(rate)
        await waiters.all_served()
        return waiters.grants

    grants = on_virtual_clock(main, lateness=up_to(0.003))
    assert 0.97 * rate <= 18 / (grants[-1] - grants[1]) <= rate


def test_callers_go_in_the_order_in_which_they_came() -> None:
    async def main(clock: VirtualClock) -> list[int]:
        waiters = Waiters(clock, TokenBucket(10))
        for _ in range(10):
            waiters.come(3)
            await asyncio.sleep(0.05)
        await waiters.all_served()
        return waiters.order

    assert on_virtual_clock(main, lateness=up_to(0.02)) == list(range(30))


def test_callers_that_leave_the_queue_do_not_change_the_order_of_the_others() -> None:
    async def main(clock: VirtualClock) -> list[int]:
        waiters = Waiters(clock, TokenBucket(10))
        waiters.come(30)
        await asyncio.sleep(1)
        await waiters.leave(lambda place: place % 3 == 0)
        await waiters.all_served()
        return waiters.order

    order = on_virtual_clock(main)
    assert order == sorted(order)
    assert len(order) in {22, 23}


def test_a_caller_that_is_cancelled_while_it_waits_costs_no_permit() -> None:
    async def main(clock: VirtualClock) -> int:
        waiters = Waiters(clock, TokenBucket(150))
        waiters.come(2000)
        for _ in range(20):
            await asyncio.sleep(0.05)
            await waiters.leave(lambda place: place == 0)
        served = len(waiters.grants)
        await waiters.leave()
        return served

    # One second less the two slots at the beginning.
    assert on_virtual_clock(main) >= 149 - 2


def test_the_mean_rate_of_a_few_calls_within_a_moment_is_not_above_their_number() -> None:
    window = RollingWindow()
    for now in (0.0, 0.005, 0.01):
        window.add(now)
    assert window.mean_per_second == window.worst_second == 3
    window.add(10.0)
    assert window.mean_per_second == pytest.approx(0.3)
