"""The virtual clock, as users' tests have it."""

from __future__ import annotations

import asyncio
import time

import pytest

from stopcast import RetryPolicy, Stopper, Task, virtual_clock
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from stopcast.tasks.outcome import Status


def test_an_hour_takes_no_time_and_the_result_comes_back() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert virtual_clock.run(main()) == pytest.approx(3600, abs=0.1)
    assert time.monotonic() - began < 60


def test_an_exception_is_passed_on() -> None:
    async def main() -> None:
        async with asyncio.timeout(10):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        virtual_clock.run(main())


def test_the_sandbox_s_quota_and_latency_use_the_same_clock() -> None:
    async def main() -> tuple[float, int, int, int]:
        async with (
            Emulator(faults=Faults(latency_seconds=0.5)) as api,
            Stopper(SANDBOX_CREDENTIALS, endpoint=api.url) as stopper,
        ):
            outcomes = [it async for it in stopper.stop_all(Task("app", "room", f"task-{n}") for n in range(600))]
            seconds = asyncio.get_running_loop().time()
            return seconds, sum(it.good for it in outcomes), api.throttled, api.worst_second()

    seconds, good, throttled, worst = virtual_clock.run(main())
    assert (good, throttled) == (600, 0)
    assert worst <= 150
    assert 4 <= seconds <= 5.5


def test_waiting_minutes_for_retries_takes_no_time() -> None:
    async def main() -> tuple[Status, int, float]:
        retry = RetryPolicy(max_attempts=100, give_up_after_seconds=900)
        async with (
            Emulator(faults=Faults({"unavailable": 1.0})) as api,
            Stopper(SANDBOX_CREDENTIALS, endpoint=api.url, retry=retry) as stopper,
        ):
            outcome = await stopper.stop(Task("app", "room", "task"))
            return outcome.status, api.calls - outcome.attempts, outcome.seconds

    status, unseen, seconds = virtual_clock.run(main())
    assert (status, unseen) == (Status.GAVE_UP, 0)
    assert 850 < seconds < 960


def test_run_waits_for_threads_that_are_still_at_work_when_the_coroutine_ends() -> None:
    ended: list[str] = []

    def work() -> None:
        time.sleep(0.2)
        ended.append("work")

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, work)

    virtual_clock.run(main())
    assert ended == ["work"]
