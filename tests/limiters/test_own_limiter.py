"""A limiter of the user's own: with what it has, and with the defaults for what it lacks."""

from __future__ import annotations

import math

import pytest

from stopcast.errors import ConfigurationError
from stopcast.limiters import Unlimited
from stopcast.limiters.own_limiter import as_limiter
from stopcast.ports import Limiter


class Bare:
    """Has the two methods that a limiter needs, and inherits from nothing."""

    def __init__(self) -> None:
        self.acquired = 0
        self.held: list[float] = []

    async def acquire(self) -> None:
        self.acquired += 1

    def hold(self, seconds: float = 0.0) -> None:
        self.held.append(seconds)


class Adjustable(Bare):
    """Has some more, under the names that ``Limiter`` has."""

    max_per_second = 10.0
    full_rate = 9.0
    rate = 8.0

    def limit_to(self, calls_per_second: float) -> None:
        self.rate = calls_per_second


async def test_a_class_with_acquire_and_hold_is_a_limiter() -> None:
    bare = Bare()
    limiter = as_limiter(bare)
    await limiter.acquire()
    limiter.hold(3.0)
    assert bare.acquired == 1
    assert bare.held == [3.0]
    assert (limiter.max_per_second, limiter.limited_to) == (math.inf, math.inf)
    assert (limiter.rate, limiter.full_rate) == (None, None)
    limiter.subscribe(lambda _: None)()


def test_a_limiter_without_limit_to_says_that_its_rate_is_fixed() -> None:
    for limiter in (as_limiter(Bare()), Unlimited()):
        assert not limiter.adjustable
        with pytest.raises(ConfigurationError, match="cannot be changed"):
            limiter.limit_to(1.0)


def test_what_a_limiter_of_your_own_has_is_used() -> None:
    limiter = as_limiter(Adjustable())
    assert (limiter.max_per_second, limiter.limited_to, limiter.full_rate, limiter.rate) == (10.0, 10.0, 9.0, 8.0)
    assert limiter.adjustable
    limiter.limit_to(5.0)
    assert (limiter.limited_to, limiter.rate) == (5.0, 5.0)


def test_a_limiter_that_inherits_is_used_as_it_is() -> None:
    limiter: Limiter = Unlimited()
    assert as_limiter(limiter) is limiter
