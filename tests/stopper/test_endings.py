"""How streams and Stoppers end, and that they leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
import pytest

from stopcast import ClosedError, Outcome, Task
from stopcast.sandbox import Emulator, Faults
from support.processes import HANGS_AFTER_SECONDS, tasks
from support.streams import eventually, everything, one_by_one, stopper_at
from support.virtual import Api, in_virtual_time, stopped, virtual_stopper

TASK = Task("app", "room", "task")


async def test_breaking_out_leaves_nothing_behind(complaints: list[str]) -> None:
    async with Emulator(quota_per_second=None, faults=Faults(latency_seconds=0.01)) as emulator:
        async with stopper_at(emulator) as stopper:
            async for _ in stopper.stop_all(tasks(500)):
                break
            assert (await stopper.stop(Task("app", "room", "other"))).good
        assert emulator.calls < 500
    assert complaints == []


async def test_closing_a_stream_sends_no_more_of_it(complaints: list[str]) -> None:
    async with Emulator(quota_per_second=None) as emulator, stopper_at(emulator) as stopper:
        outcomes = stopper.stop_all(tasks(500))
        await anext(outcomes)
        await outcomes.aclose()
        while stopper.dispatcher.in_flight:
            await asyncio.sleep(0.001)
        calls = emulator.calls
        await everything(stopper, tasks(10, app="other"))
        assert emulator.calls == calls + 10
    assert complaints == []


async def test_a_program_whose_end_cancels_every_task_ends_an_open_stopper_without_an_error(
    api: Emulator, complaints: list[str]
) -> None:
    stopper, was_called = stopper_at(api), asyncio.Event()

    async def serve() -> None:
        async with stopper:
            await stopper.stop(TASK)
            was_called.set()
            await asyncio.Event().wait()

    service = asyncio.create_task(serve())
    await was_called.wait()
    # As asyncio.run does at its end; its order is random.
    for task in [service, *asyncio.all_tasks() - {service, asyncio.current_task()}]:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await service
    assert complaints == []


async def test_a_producers_error_after_its_stream_was_closed_is_not_logged(complaints: list[str]) -> None:
    may_fail, failing = asyncio.Event(), asyncio.Event()

    async def broken() -> AsyncIterator[Task]:
        yield TASK
        await may_fail.wait()
        failing.set()
        raise LookupError

    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        outcomes = stopper.stop_all(broken())
        await anext(outcomes)
        may_fail.set()
        await failing.wait()
        await outcomes.aclose()
    assert complaints == []


def test_cancelling_a_stream_waits_two_seconds_for_its_producer_and_does_not_cut_its_clean_up_off() -> None:
    async def main() -> None:
        may_end, ended = asyncio.Event(), asyncio.Event()

        async def produced() -> AsyncIterator[Task]:
            try:
                yield TASK
                await asyncio.Event().wait()
            finally:
                await may_end.wait()
                ended.set()

        loop = asyncio.get_running_loop()
        async with virtual_stopper(Api(stopped)) as stopper:
            stopping = asyncio.create_task(everything(stopper, produced()))
            await asyncio.sleep(1)
            cancelled_at = loop.time()
            for _ in range(3):
                stopping.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([stopping])
            assert stopping.cancelled()
            assert loop.time() - cancelled_at == pytest.approx(2.0, abs=0.1)
            may_end.set()
            await ended.wait()

    in_virtual_time(main)


@pytest.mark.parametrize("turns", [*range(12), 15, 20, 30, 40, 60, 80, 120, 200])
async def test_cancelling_stop_leaves_nothing_behind(turns: int, complaints: list[str]) -> None:
    async with Emulator(faults=Faults({"internal": 0.5})) as emulator, stopper_at(emulator) as stopper:
        stopping = asyncio.create_task(stopper.stop(TASK))
        for _ in range(turns):
            await asyncio.sleep(0)
        stopping.cancel()
        await asyncio.wait([stopping])
        assert (await stopper.stop(Task("app", "room", "other"))).good
    assert complaints == []


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("times", [1, 2])
async def test_cancelling_stop_all_leaves_nothing_behind(seconds: float, times: int, complaints: list[str]) -> None:
    faults = Faults({"internal": 0.2}, latency_seconds=0.005)
    async with (
        Emulator(quota_per_second=None, faults=faults) as emulator,
        stopper_at(emulator, limiter=None, max_per_second=1000) as stopper,
    ):
        stopping = asyncio.create_task(everything(stopper, one_by_one(tasks(1000))))
        await asyncio.sleep(seconds)
        for _ in range(times):
            stopping.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([stopping])
        assert stopping.cancelled()
        assert (await stopper.stop(Task("app", "room", "other"))).good
    assert complaints == []


@pytest.mark.parametrize("times", [1, 2, 30])
async def test_a_block_that_is_cancelled_any_number_of_times_cuts_its_calls_off_and_leaves_nothing_behind(
    times: int, complaints: list[str]
) -> None:
    async with Emulator(faults=Faults({"hang": 1.0})) as emulator:
        streams: list[asyncio.Task[list[Outcome]]] = []

        async def work() -> None:
            async with stopper_at(emulator) as stopper:
                streams.append(asyncio.create_task(everything(stopper, tasks(20))))
                await asyncio.Event().wait()

        working = asyncio.create_task(work())
        await eventually(lambda: emulator.calls)
        async with asyncio.timeout(5):
            for _ in range(times):
                working.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await working
            with pytest.raises(ClosedError):
                await streams[0]
    assert complaints == []


async def test_a_block_inside_a_cancelled_scope_of_anyio_is_closed(complaints: list[str]) -> None:
    async with Emulator(faults=Faults({"hang": 1.0})) as emulator:
        stopper = stopper_at(emulator)
        with anyio.move_on_after(0.2) as scope:
            async with stopper:
                await everything(stopper, tasks(20))
        assert scope.cancelled_caught
        assert not stopper.is_open
    assert complaints == []


async def test_a_stream_whose_producer_waits_ends_with_the_block(complaints: list[str]) -> None:
    async def produced() -> AsyncIterator[Task]:
        yield TASK
        await asyncio.Event().wait()

    async with Emulator() as emulator:
        async with stopper_at(emulator, drain_seconds=0.05) as stopper:
            stopping = asyncio.create_task(everything(stopper, produced()))
            while not emulator.stopped:
                await asyncio.sleep(0.001)
        async with asyncio.timeout(HANGS_AFTER_SECONDS):
            with pytest.raises(ClosedError):
                await stopping
    assert complaints == []


def test_a_drain_ends_after_drain_seconds() -> None:
    async def main() -> float:
        async with virtual_stopper(
            Api(stopped, latency_seconds=1e6), timeout_seconds=1e6, drain_seconds=5.0
        ) as stopper:
            stopping = asyncio.create_task(stopper.stop(TASK))
            await asyncio.sleep(1)
        with pytest.raises(ClosedError):
            await stopping
        return asyncio.get_running_loop().time()

    assert in_virtual_time(main) == pytest.approx(6.0, abs=0.1)


async def test_a_stopper_is_closed_outside_its_block() -> None:
    async with Emulator() as emulator:
        stopper = stopper_at(emulator)
        with pytest.raises(ClosedError):
            await stopper.stop(TASK)
        async with stopper:
            assert (await stopper.stop(TASK)).good
        with pytest.raises(ClosedError):
            await stopper.stop(TASK)
