"""A shared quota ends within a bound, whatever swallows a cancellation, and never leaves a caller waiting."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest

from stopcast.errors import BackgroundTaskError, ClosedError
from stopcast.fleet.quota.redis_ledger import Lease, LedgerRequest
from stopcast.fleet.quota.shared_quota import SharedQuota
from stopcast.virtual_clock import VirtualClock
from support.loops import on_both_loops, run_on
from support.simulated_redis import SimulatedLedger, SimulatedRedis
from support.virtual import on_virtual_clock


def way() -> float:
    return 0.001


class SwallowsCancellations(SimulatedLedger):
    """Goes on after the first cancellations, as ``asyncio.timeout`` does when it takes one for its own."""

    def __init__(self, times: int) -> None:
        super().__init__(SimulatedRedis(), "account", way)
        self.times = times
        self.asked = 0

    async def ask(self, request: LedgerRequest) -> Lease | None:
        self.asked += 1
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            if not self.times:
                raise
            self.times -= 1
        return await super().ask(request)


class Failing(SimulatedLedger):
    """Raises ``error`` once it is set."""

    def __init__(self) -> None:
        super().__init__(SimulatedRedis(), "account", way)
        self.error: BaseException | None = None

    async def ask(self, request: LedgerRequest) -> Lease | None:
        if self.error is not None:
            raise self.error
        return await super().ask(request)


def tasks_left() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]


@pytest.mark.parametrize("times", [1, 2, 5])
def test_closing_ends_a_keeper_that_swallows_cancellations(times: int) -> None:
    async def main(clock: VirtualClock) -> float:
        ledger = SwallowsCancellations(times)
        async with SharedQuota(ledger, account="account") as quota:
            asking = [asyncio.create_task(quota.acquire()) for _ in range(20)]
            asked = ledger.asked
            while ledger.asked == asked:
                await asyncio.sleep(0.001)
            closing_at = clock.time()
        took = clock.time() - closing_at
        await asyncio.gather(*asking, return_exceptions=True)
        assert tasks_left() == []
        return took

    assert on_virtual_clock(main) < 2


def test_a_keeper_that_never_ends_is_left_after_two_seconds_and_logged_by_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stuck(SwallowsCancellations):
        async def ask(self, request: LedgerRequest) -> Lease | None:
            if request.permits:
                while self.times:
                    try:
                        await asyncio.sleep(3600)
                    except asyncio.CancelledError:
                        self.times -= 1
            return await super().ask(request)

    async def main(clock: VirtualClock) -> float:
        ledger = Stuck(1000)
        async with SharedQuota(ledger, account="account") as quota:
            asking = asyncio.create_task(quota.acquire())
            await asyncio.sleep(0.1)
            closing_at = clock.time()
        took = clock.time() - closing_at
        with pytest.raises(ClosedError):
            await asking
        ledger.times = 1
        return took

    with caplog.at_level(logging.ERROR):
        assert on_virtual_clock(main) <= 2.1
    assert "shared quota of account" in caplog.text


@on_both_loops
def test_closing_at_any_moment_beside_callers_ends(loop: str, redis_url: str) -> None:
    moment = random.Random(0)

    async def ask(quota: SharedQuota) -> None:
        while True:
            await quota.acquire()

    async def main() -> None:
        for _ in range(40):
            async with asyncio.timeout(10):
                async with SharedQuota(redis_url, account="account") as quota:
                    asking = [asyncio.create_task(ask(quota)) for _ in range(20)]
                    await asyncio.sleep(moment.uniform(0.0, 0.12))
                for ended in await asyncio.gather(*asking, return_exceptions=True):
                    assert isinstance(ended, ClosedError)
            assert tasks_left() == []

    run_on(loop, main())


@pytest.mark.parametrize("error", [RuntimeError("broken"), asyncio.CancelledError()])
def test_callers_get_the_cause_when_the_keeper_ends_unexpectedly(error: BaseException) -> None:
    async def main(_: VirtualClock) -> list[Any]:
        ledger = Failing()
        async with SharedQuota(ledger, account="account") as quota:
            await quota.acquire()
            ledger.error = error
            async with asyncio.timeout(10):
                return await asyncio.gather(*(quota.acquire() for _ in range(20)), return_exceptions=True)

    ended = [outcome for outcome in on_virtual_clock(main) if outcome is not None]
    assert ended
    for failure in ended:
        assert isinstance(failure, BackgroundTaskError)
        assert "shared quota of account" in str(failure)
        assert failure.__cause__ is (error if isinstance(error, RuntimeError) else None)


def test_a_quota_can_be_entered_again() -> None:
    async def main(_: VirtualClock) -> None:
        quota = SharedQuota(SimulatedLedger(SimulatedRedis(), "account", way), account="account")
        for _again in range(2):
            async with quota:
                await quota.acquire()
        with pytest.raises(ClosedError):
            await quota.acquire()

    on_virtual_clock(main)


def whole_milliseconds(clock: VirtualClock) -> Callable[[], float]:
    return lambda: int(clock.time() * 1000) / 1000


def test_a_clock_of_whole_milliseconds_costs_none_of_the_rate() -> None:
    async def main(clock: VirtualClock) -> float:
        redis, requests = SimulatedRedis(), []

        class Noting(SimulatedLedger):
            async def ask(self, request: LedgerRequest) -> Lease | None:
                requests.append(request)
                return await super().ask(request)

        ledger = Noting(redis, "account", lambda: 0.0001)
        async with SharedQuota(ledger, account="account", clock=whole_milliseconds(clock)) as quota:
            permits: list[float] = []

            async def ask() -> None:
                while True:
                    await quota.acquire()
                    permits.append(clock.time())

            asking = [asyncio.create_task(ask()) for _ in range(20)]
            await asyncio.sleep(11)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        # A clock that seems to be set would make the script pause for a second.
        assert not any(request.pause for request in requests)
        return sum(permit >= 1.0 for permit in permits) / 10

    assert on_virtual_clock(main) >= 0.97 * 150


@on_both_loops
def test_no_clock_seems_to_be_set_on_a_real_loop(loop: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[LedgerRequest] = []
    arguments = LedgerRequest.arguments

    def noting(request: LedgerRequest, account: str, action: str) -> list[float | str]:
        requests.append(request)
        return arguments(request, account, action)

    monkeypatch.setattr(LedgerRequest, "arguments", noting)

    async def main() -> None:
        async with SharedQuota(redis_url, account="account") as quota:
            await asyncio.gather(*(quota.acquire() for _ in range(150)))

    run_on(loop, main())
    assert len(requests) > 20
    assert not any(request.pause for request in requests)
