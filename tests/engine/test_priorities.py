"""Who goes first, and how long a task may take: many callers, one cap."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from stopcast import ClosedError, Outcome, RetryPolicy, Status, Task
from stopcast.sandbox.answers import Answer, ok, refusal
from support.processes import tasks
from support.streams import everything
from support.virtual import Api, in_virtual_time, stopped, virtual_stopper

URGENT = Task("urgent", "room", "task")
#: Calls that may have a connection and wait for their permit.
BEFORE_WIRE = 64


@pytest.mark.parametrize("priority", [0, 1])
def test_one_urgent_task_does_not_wait_behind_a_long_list(priority: int) -> None:
    api = Api(stopped)

    async def main() -> None:
        async with virtual_stopper(api) as stopper, asyncio.TaskGroup() as group:
            group.create_task(everything(stopper, tasks(3000)))
            await asyncio.sleep(5)
            assert (await stopper.stop(URGENT, priority=priority)).status is Status.STOPPED

    in_virtual_time(main)
    (sent_at,) = api.times_of(URGENT)
    assert sum(5 <= moment < sent_at for moment, _ in api.sent) <= BEFORE_WIRE + 1


def test_a_lower_priority_waits_until_the_higher_one_is_through() -> None:
    api = Api(stopped)

    async def main() -> None:
        async with virtual_stopper(api) as stopper:

            async def stop(app_id: str, priority: int) -> None:
                async for _ in stopper.stop_all(tasks(900, app=app_id), priority=priority):
                    pass

            await asyncio.gather(stop("low", -1), stop("high", 3), stop("mid", 0))

    in_virtual_time(main)
    halves = [Counter(task.app_id for _, task in api.sent[part * 900 :][:900]) for part in range(3)]
    for part, app_id in zip(halves, ("high", "mid", "low"), strict=True):
        assert part[app_id] >= 900 - 2 * BEFORE_WIRE


def test_an_urgent_retry_goes_before_fresh_tasks_that_are_not_urgent() -> None:
    refused = iter([True] * 3)

    def answer(task: Task) -> Answer:
        return refusal({}, "InternalError") if task == URGENT and next(refused, False) else ok({})

    api = Api(answer)

    async def main() -> None:
        async with virtual_stopper(api) as stopper, asyncio.TaskGroup() as group:
            group.create_task(everything(stopper, tasks(3000)))
            await stopper.stop(URGENT, priority=1)

    in_virtual_time(main)
    longest_waits = (0.5, 1.0, 2.0)
    for (before, after), wait in zip(pairwise(api.times_of(URGENT)), longest_waits, strict=True):
        assert after - before <= wait + (BEFORE_WIRE + 2) / 148 + 0.05


def test_no_attempt_begins_after_a_tasks_time_is_up() -> None:
    api = Api(lambda _: refusal({}, "InternalError"))
    policy = RetryPolicy(max_attempts=1000, give_up_after_seconds=10)

    async def main() -> list[Outcome]:
        async with virtual_stopper(api, retry=policy) as stopper:
            return await everything(stopper, tasks(50))

    outcomes = in_virtual_time(main)
    assert {outcome.status for outcome in outcomes} == {Status.GAVE_UP}
    for outcome in outcomes:
        first, *_, last = api.times_of(outcome.task)
        # What is due waits for its permit as well.
        assert last - first <= 10 + (BEFORE_WIRE + 50) / 148


def test_a_deadline_for_one_task_is_a_timeout_around_it() -> None:
    api = Api(stopped, latency_seconds=5)

    async def main() -> None:
        async with virtual_stopper(api) as stopper:
            began = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2):
                    await stopper.stop(URGENT)
            assert asyncio.get_running_loop().time() < began + 2.1
            assert (await stopper.stop(URGENT)).status is Status.STOPPED

    in_virtual_time(main)


async def test_a_second_event_loop_needs_a_stopper_of_its_own() -> None:
    api = Api(stopped)
    async with virtual_stopper(api) as stopper:

        async def elsewhere() -> None:
            with pytest.raises(ClosedError, match="one for each loop"):
                await stopper.stop(URGENT)

        await asyncio.to_thread(asyncio.run, elsewhere())
        assert (await stopper.stop(URGENT)).status is Status.STOPPED
