"""The pacer on plain numbers: whatever the moments are at which it is asked."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from limiters.test_limiter import CAPS, allowed
from stopcast.errors import ConfigurationError
from stopcast.limiters.pacer import (
    ARRIVAL_JITTER,
    FULL_RATE_AFTER_SECONDS,
    LATE_TIMERS,
    Pacer,
    full_rate,
    least_rate,
    recovered_rate,
    slowed_rate,
)
from support.virtual import most_within

bounded = partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(slots=True)
class Driver:
    """Asks a pacer as one task does that always has a call waiting: it sleeps, wakes up late, and admits a call."""

    pacer: Pacer
    late: random.Random
    late_seconds: float
    now: float = 1000.0
    #: When each call left: after its permit, by what the process stood still in between.
    left: list[float] = field(default_factory=list)

    def call(self, *, stands_still_seconds: float = 0.0) -> None:
        while (wait := self.pacer.wait(self.now)) > 0:
            # A clock moves on by more than a rounding error.
            self.now += max(wait, 1e-6) + self.late.uniform(0.0, self.late_seconds)
        admitted_at = self.now
        self.pacer.admit(admitted_at)
        self.now += stands_still_seconds
        self.left.append(self.now)
        self.pacer.sent(admitted_at, self.now)

    def calls(self, number: int) -> None:
        for _ in range(number):
            self.call()

    def throttled(self, times: int) -> None:
        for _ in range(times):
            self.pacer.throttled(self.now)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def restart(self, jitter: float) -> None:
        self.pacer = Pacer(self.pacer.max_per_second, arrival_jitter=jitter)
        self.pacer.start(self.now)


def live_through(cap: float, story: list[tuple[str, float]], jitter: float, late_seconds: float) -> list[float]:
    driver = Driver(Pacer(cap, arrival_jitter=jitter), random.Random(len(story)), late_seconds)
    driver.restart(jitter)
    do: dict[str, Callable[[float], object]] = {
        "call": lambda share: driver.calls(int(share * 2 * allowed(cap))),
        "stand still": lambda share: driver.call(stands_still_seconds=share * 3 if share > 0.5 else share / 25),
        "be silent": lambda share: driver.pass_time(share * 3 if share > 0.5 else share / 25),
        "throttle": lambda share: driver.throttled(int(share * cap)),
        "hold": lambda share: driver.pacer.throttled(driver.now, share * 100),
        "limit": lambda share: driver.pacer.limit_to(max(share * cap, min(1.0, cap / 10))),
        "restart": lambda _: driver.restart(jitter),
    }
    for step, share in story:
        do[step](share)
    driver.calls(allowed(cap) + 5)
    return driver.left


steps = st.tuples(
    st.sampled_from(["call", "call", "stand still", "be silent", "throttle", "hold", "limit", "restart"]),
    st.floats(0.0, 1.0),
)


@bounded(max_examples=300)
@example(cap=150.0, story=[("call", 1.0), ("stand still", 0.1), ("call", 1.0)], jitter=0.0, late_seconds=0.003)
@given(
    cap=st.sampled_from(CAPS[:-1]),
    story=st.lists(steps, max_size=12),
    jitter=st.sampled_from([0.0, ARRIVAL_JITTER, 0.020, 0.050]),
    late_seconds=st.sampled_from([0.0, 0.003, 0.009, 0.020]),
)
def test_no_sliding_second_and_its_jitter_hold_more_than_the_cap_whatever_the_moments_are(
    cap: float, story: list[tuple[str, float]], jitter: float, late_seconds: float
) -> None:
    left = live_through(cap, story, jitter, late_seconds)
    # A call that left late by no more than the jitter counts at its permit, which the jitter allows for.
    assert most_within(left) <= allowed(cap)


@pytest.mark.parametrize("late_seconds", [0.0, 0.001, 0.003])
def test_the_mean_is_at_least_99_3_percent_of_the_cap_with_timers_up_to_3_ms_late(late_seconds: float) -> None:
    driver = Driver(Pacer(150.0), random.Random(0), late_seconds)
    for _ in range(150 * 60):
        driver.call()
    assert (len(driver.left) - 1) / (driver.left[-1] - driver.left[0]) >= 0.993 * 150
    assert most_within(driver.left, 1.0 + ARRIVAL_JITTER) <= 150


def test_wait_and_rate_change_nothing() -> None:
    asked, not_asked = Pacer(10.0), Pacer(10.0)
    for now in (0.0, 0.5, 0.7):
        for moment in (now, now + 9.0, now):
            asked.wait(moment)
            asked.rate(moment)
        assert asked.wait(now) == not_asked.wait(now)
        for pacer in (asked, not_asked):
            pacer.admit(now)


def test_lateness_is_made_good_up_to_what_timers_are_late_by_and_no_further() -> None:
    pacer = Pacer(100.0)
    slot = 1 / pacer.full_rate
    pacer.start(0.0)
    now = pacer.wait(0.0)
    assert now == pytest.approx(2 * slot)
    pacer.admit(now)
    assert pacer.wait(now) == pytest.approx(slot - LATE_TIMERS)
    now += slot - LATE_TIMERS + 0.002
    pacer.admit(now)
    assert pacer.wait(now) == pytest.approx(slot - 0.002)
    now += slot - 0.002 + LATE_TIMERS + 0.004
    pacer.admit(now)
    assert pacer.wait(now) == pytest.approx(slot - LATE_TIMERS)


def test_a_call_after_a_silence_leaves_two_slots_free() -> None:
    pacer = Pacer(100.0)
    pacer.admit(0.0)
    pacer.admit(10.0)
    assert pacer.wait(10.0) == pytest.approx(2 / pacer.full_rate)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_a_limited_rate_counts_at_once_and_until_it_is_changed(share: float) -> None:
    pacer = Pacer(150.0)
    pacer.limit_to(150.0 * share)
    assert pacer.rate(0.0) == pytest.approx(full_rate(150.0) * share)
    driver = Driver(pacer, random.Random(0), 0.003)
    for _ in range(100):
        driver.call()
    # Up to the lateness that is made good.
    assert 99 / (driver.left[-1] - driver.left[0]) <= 150.0 * share
    pacer.limit_to(150.0)
    assert pacer.rate(driver.now) == full_rate(150.0)


@pytest.mark.parametrize("rate", [0.0, 0.5, 150.5, -1.0, float("nan"), float("inf")])
def test_a_limit_outside_of_the_cap_is_refused(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="from 1 to 150"):
        Pacer(150.0).limit_to(rate)


def test_each_throttled_answer_takes_one_call_a_second_off_and_25_seconds_bring_it_back() -> None:
    pacer = Pacer(150.0)
    for _ in range(40):
        pacer.throttled(0.0)
    assert pacer.rate(0.0) == pytest.approx(pacer.full_rate - 40)
    assert pacer.rate(1.0) == pytest.approx(pacer.full_rate - 40 + pacer.full_rate / 25)
    assert pacer.rate(FULL_RATE_AFTER_SECONDS) == pacer.full_rate


@given(
    full=st.floats(0.1, 1e5), rate_share=st.floats(0.0, 1.0), answers=st.integers(0, 10**6), seconds=st.floats(0, 1e6)
)
def test_the_law_stays_between_the_least_and_the_full_rate(
    full: float, rate_share: float, answers: int, seconds: float
) -> None:
    least = least_rate(full)
    rate = least + rate_share * (full - least)
    slowed = slowed_rate(rate, full_rate=full, answers=answers)
    assert least <= slowed <= max(rate, least)
    recovered = recovered_rate(slowed, full_rate=full, seconds=seconds)
    assert slowed <= recovered <= full
    assert recovered_rate(slowed, full_rate=full, seconds=FULL_RATE_AFTER_SECONDS) == pytest.approx(full)
