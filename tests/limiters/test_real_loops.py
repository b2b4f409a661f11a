"""The token bucket on the event loops that programs use."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest
from aiolimiter import AsyncLimiter

from stopcast import ConfigurationError, Stopper, Task
from stopcast.limiters import TokenBucket
from stopcast.limiters.clock import Sleeper, monotonic
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator
from stopcast.tasks.outcome import Status
from support.loops import on_both_loops, run_on
from support.virtual import most_within


@on_both_loops
def test_the_cap_holds(loop: str) -> None:
    async def main() -> list[float]:
        bucket, permits = TokenBucket(150), []

        async def ask() -> None:
            for _ in range(20):
                await bucket.acquire()
                permits.append(time.monotonic())

        await asyncio.gather(*(ask() for _ in range(15)))
        return permits

    assert most_within(run_on(loop, main())) <= 150


@on_both_loops
def test_a_permit_takes_a_few_looks_at_the_clock_and_one_at_the_bucket(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Asking for the rest of a millisecond again and again took hundreds of each on uvloop's loop.
    counted: Counter[str] = Counter()

    def clock() -> float:
        counted["clock"] += 1
        return time.monotonic()

    has_capacity = AsyncLimiter.has_capacity

    def counting(bucket: AsyncLimiter, amount: float = 1) -> bool:
        counted["bucket"] += 1
        return has_capacity(bucket, amount)

    monkeypatch.setattr(AsyncLimiter, "has_capacity", counting)

    async def main() -> None:
        bucket = TokenBucket(150, clock=clock)
        await asyncio.gather(*(bucket.acquire() for _ in range(100)))

    run_on(loop, main())
    assert counted["clock"] <= 10 * 100
    assert counted["bucket"] == 100


@on_both_loops
def test_a_sleep_never_ends_early(loop: str) -> None:
    async def main() -> float:
        sleeper = Sleeper(monotonic)
        shortest = 1.0
        for number in range(30):
            seconds = 0.0011 + number / 10_000
            began = time.monotonic()
            await sleeper.sleep(seconds)
            shortest = min(shortest, time.monotonic() - began - seconds)
        return shortest

    assert run_on(loop, main()) >= 0


@on_both_loops
def test_the_clock_is_finer_than_a_millisecond(loop: str) -> None:
    async def main() -> set[float]:
        return {monotonic() * 1000 % 1 for _ in range(100)}

    assert len(run_on(loop, main())) > 1


def test_without_a_loop_the_clock_is_the_monotonic_one() -> None:
    assert time.monotonic() <= monotonic() <= time.monotonic()


@on_both_loops
def test_a_service_keeps_the_cap_and_stops_every_task(loop: str) -> None:
    async def main() -> list[float]:
        async with Emulator(quota_per_second=None) as api:
            tasks = [Task("app", "room", f"task-{number}") for number in range(250)]
            async with Stopper(SANDBOX_CREDENTIALS, endpoint=api.url, limiter=TokenBucket(150)) as stopper:
                outcomes = [outcome async for outcome in stopper.stop_all(tasks)]
            assert {outcome.status for outcome in outcomes} == {Status.STOPPED}
            assert len(outcomes) == 250
            assert stopper.meter.worst_second <= 150
            return list(api.arrivals)

    assert len(run_on(loop, main())) == 250


def test_a_limiter_serves_one_loop_after_another_within_its_cap() -> None:
    bucket = TokenBucket(150)
    permits: list[float] = []

    async def ask() -> None:
        while True:
            await bucket.acquire()
            permits.append(time.monotonic())

    async def main(calls: int) -> None:
        # The loop ends while they wait for their turns.
        asking = [asyncio.ensure_future(ask()) for _ in range(10)]
        while len(permits) < calls:
            await asyncio.sleep(0.001)
            assert not any(task.done() for task in asking)

    for number in range(1, 9):
        asyncio.run(main(30 * number))
    assert most_within(permits) <= 150


def test_a_limiter_that_two_loops_use_at_once_says_so() -> None:
    bucket = TokenBucket(150)

    async def main() -> None:
        await bucket.acquire()
        with pytest.raises(ConfigurationError, match="serves another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(bucket.acquire()))
        await bucket.acquire()

    asyncio.run(main())
