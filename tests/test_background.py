"""Background tasks end with their block, whatever they swallow, and none fails unseen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import pytest

from stopcast import virtual_clock
from stopcast.background import END_WITHIN_SECONDS, Supervisor, cancellable, end_task
from stopcast.errors import BackgroundTaskError


async def swallow(cancellations: int) -> None:
    """Wait, and go on after a number of cancellations."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if cancellations == 0:
                raise
            cancellations -= 1


async def started(task: asyncio.Task[None]) -> asyncio.Task[None]:
    await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("cancellations", [0, 1, 2, 4])
def test_a_task_that_swallows_cancellations_is_cancelled_again_until_it_ends(cancellations: int) -> None:
    async def main() -> None:
        task = await started(asyncio.create_task(swallow(cancellations)))
        assert await end_task(task)
        assert task.cancelled()

    virtual_clock.run(main())


def test_a_task_that_never_ends_is_left_after_the_bound_and_logged_by_name(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = await started(asyncio.create_task(swallow(1000), name="keeper"))
        begun = loop.time()
        assert not await end_task(task)
        assert loop.time() - begun == pytest.approx(END_WITHIN_SECONDS)
        while not task.done():  # leave nothing to the loop's own end
            task.cancel()
            await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR, "stopcast"):
        virtual_clock.run(main())
    assert "keeper" in caplog.text


def test_a_cleanup_that_awaits_is_not_cut_off() -> None:
    async def tidy() -> str:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.04)
            cleaned.append(True)
        return ""

    cleaned: list[bool] = []

    async def main() -> None:
        task = asyncio.create_task(tidy())
        await asyncio.sleep(0)
        assert await end_task(task)

    virtual_clock.run(main())
    assert cleaned == [True]


@pytest.mark.parametrize("times", [1, 2, 50])
def test_a_caller_that_is_cancelled_any_number_of_times_still_ends_the_task(times: int) -> None:
    async def main() -> None:
        task = await started(asyncio.create_task(swallow(1)))
        ending = asyncio.create_task(end_task(task))
        for _ in range(times):
            await asyncio.sleep(0)
            ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert task.done()

    virtual_clock.run(main())


async def time_is_up() -> NoReturn:
    await asyncio.sleep(5)
    raise TimeoutError("time is up")


@pytest.mark.parametrize("takes_seconds", [1, 60])
def test_a_coroutine_returns_unless_another_one_raises_before(takes_seconds: int) -> None:
    async def main() -> str:
        return await cancellable(asyncio.sleep(takes_seconds, "slept"), name="sleeper", unless=time_is_up())

    if takes_seconds < 5:
        assert virtual_clock.run(main()) == "slept"
    else:
        with pytest.raises(TimeoutError, match="time is up"):
            virtual_clock.run(main())


@pytest.mark.parametrize("times", [1, 2, 50])
def test_a_cancellation_ends_a_coroutine_and_what_would_end_it_first(times: int) -> None:
    async def main() -> None:
        waiting = asyncio.create_task(cancellable(swallow(2), name="swallowing", unless=time_is_up()))
        await asyncio.sleep(0.1)
        for _ in range(times):
            waiting.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtual_clock.run(main())


@asynccontextmanager
async def supervisor() -> AsyncIterator[tuple[Supervisor, list[BackgroundTaskError]]]:
    failures: list[BackgroundTaskError] = []
    supervisor = Supervisor(failures.append)
    try:
        yield supervisor, failures
    finally:
        await supervisor.end()


async def fail() -> None:
    raise OSError("disk")


async def return_at_once() -> None:
    return


@pytest.mark.parametrize("cut_off", [False, True])
async def test_a_task_that_ends_before_its_time_is_reported_with_its_cause(*, cut_off: bool) -> None:
    async with supervisor() as (owner, failures):
        task = owner.start(swallow(0) if cut_off else fail(), name="syncing")
        await asyncio.sleep(0)
        if cut_off:
            task.cancel()
        await asyncio.wait((task,))
        await asyncio.sleep(0)
        (failure,) = failures
        assert "syncing" in str(failure)
        assert isinstance(failure.__cause__, OSError) != cut_off


@pytest.mark.parametrize("may_return", [False, True])
async def test_a_return_is_a_failure_unless_it_was_expected(*, may_return: bool) -> None:
    async with supervisor() as (owner, failures):
        task = owner.start(return_at_once(), name="reader", may_return=may_return)
        await asyncio.wait((task,))
        await asyncio.sleep(0)
        assert (failures == []) == may_return


async def test_tasks_that_were_asked_to_end_are_no_failures() -> None:
    async with supervisor() as (owner, failures):
        first, second = owner.start(swallow(0), name="first"), owner.start(swallow(0), name="second")
        await asyncio.sleep(0)
        await owner.end(first)
        assert (first.done(), second.done()) == (True, False)
    assert second.done()
    assert failures == []
