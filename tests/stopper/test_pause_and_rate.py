"""Pausing a Stopper and changing its rate while calls wait."""

from __future__ import annotations

import asyncio

import pytest

from stopcast import ClosedError, ConfigurationError, Outcome, Status, Task, TokenBucket, Unlimited
from stopcast.sandbox import Emulator
from stopcast.sandbox.answers import ok, refusal
from support.processes import tasks
from support.streams import counted, everything, stopper_at
from support.virtual import Api, in_virtual_time, stopped, virtual_stopper

TASK = Task("app", "room", "task")


def test_a_pause_holds_back_every_call_and_resuming_makes_each_once() -> None:
    api = Api(stopped)

    async def main() -> list[Outcome]:
        async with virtual_stopper(api) as stopper, asyncio.TaskGroup() as group:
            stopping = group.create_task(everything(stopper, tasks(600)))
            await asyncio.sleep(2)
            stopper.pause()
            assert stopper.paused
            made = len(api.sent)
            await asyncio.sleep(1)
            assert (len(api.sent), api.in_flight) == (made, 0)
            await asyncio.sleep(3600)
            assert len(api.sent) == made
            stopper.resume()
            assert not stopper.paused
        return stopping.result()

    assert counted(in_virtual_time(main)) == {Status.STOPPED: 600}
    assert len(api.sent) == len({task for _, task in api.sent}) == 600
    assert api.sent[-1][0] <= 3603 + 600 / 148 + 1


def test_a_retry_that_falls_due_while_paused_waits_too() -> None:
    answers = iter([refusal({}, "InternalError")._replace(headers={"Retry-After": "20"})])
    api = Api(lambda _: next(answers, ok({})))

    async def main() -> Outcome:
        async with virtual_stopper(api) as stopper, asyncio.TaskGroup() as group:
            stopping = group.create_task(stopper.stop(TASK))
            await asyncio.sleep(1)
            stopper.pause()
            await asyncio.sleep(100)
            stopper.resume()
        return stopping.result()

    assert in_virtual_time(main).status is Status.STOPPED
    assert [moment > 100 for moment, _ in api.sent] == [False, True]


@pytest.mark.usefixtures("complaints")
async def test_leaving_a_paused_stopper_leaves_nothing_behind() -> None:
    async with Emulator() as emulator, stopper_at(emulator, drain_seconds=0.01) as stopper:
        stopper.pause()
        stopping = asyncio.create_task(stopper.stop(TASK))
        await asyncio.sleep(0)
    with pytest.raises(ClosedError):
        await stopping
    assert not emulator.calls


def test_the_rate_can_be_changed_while_calls_wait() -> None:
    api = Api(stopped)

    async def main() -> list[Outcome]:
        async with virtual_stopper(api) as stopper, asyncio.TaskGroup() as group:
            stopping = group.create_task(everything(stopper, tasks(3000)))
            await asyncio.sleep(5)
            stopper.limit_to(30)
            await asyncio.sleep(10)
            stopper.limit_to(150)
        return stopping.result()

    assert counted(in_virtual_time(main)) == {Status.STOPPED: 3000}
    slow = sum(5.1 <= moment < 14.9 for moment, _ in api.sent)
    assert 0.98 * 30 * 9.8 <= slow <= 30 * 9.8
    assert api.sent[-1][0] <= 15 + (3000 - 150 * 5 - 300) / 148 + 1


@pytest.mark.parametrize("rate", [0, -1, 0.5, 150.1, float("nan"), float("inf")])
async def test_a_rate_above_the_cap_or_near_zero_is_refused(rate: float) -> None:
    async with Emulator() as emulator, stopper_at(emulator, limiter=TokenBucket(150)) as stopper:
        with pytest.raises(ConfigurationError, match="from 1 to 150"):
            stopper.limit_to(rate)


async def test_a_limiter_with_a_fixed_rate_refuses_to_change_it() -> None:
    async with Emulator() as emulator, stopper_at(emulator, limiter=Unlimited()) as stopper:
        with pytest.raises(ConfigurationError, match="cannot be changed"):
            stopper.limit_to(10)
