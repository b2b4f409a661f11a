"""A doubt stays with its task: whichever way the task comes into the queue again, its worker knows of the doubt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stopcast import RetryPolicy, Status
from stopcast.sandbox import Emulator, Faults
from support.processes import tasks
from support.queues import drained, leave_pending, put

ONCE = RetryPolicy(max_attempts=1)


async def _put(url: str, _: Any) -> None:
    assert await put(url, *tasks(1)) == (1, 0)


async def _put_by_another_program(_: str, there: Any) -> None:
    there.xadd("tasks", {"task": "app,room-0,task-0"})


@pytest.fixture(params=[_put, _put_by_another_program])
def put_again(request: pytest.FixtureRequest) -> Callable[[str, Any], Awaitable[None]]:
    """A way into the queue."""
    way: Callable[[str, Any], Awaitable[None]] = request.param
    return way


async def test_a_task_that_was_given_up_in_doubt_is_in_doubt_when_it_comes_again(
    url: str, there: Any, put_again: Callable[[str, Any], Awaitable[None]]
) -> None:
    await put(url, *tasks(1))
    async with Emulator(quota_per_second=None, faults=Faults({"close_after": tasks(1)})) as emulator:
        (given_up,) = await drained(url, emulator, retry=ONCE)
        assert (given_up.status, given_up.in_doubt) == (Status.GAVE_UP, True)
        await put_again(url, there)
        (outcome,) = await drained(url, emulator)
    assert outcome.status is Status.PRESUMED_STOPPED


async def test_a_task_that_was_given_up_without_a_doubt_is_not_in_doubt_when_it_comes_again(
    url: str, there: Any, put_again: Callable[[str, Any], Awaitable[None]]
) -> None:
    await put(url, *tasks(1))
    async with Emulator(quota_per_second=None, faults=Faults({"throttled": tasks(1)})) as emulator:
        (given_up,) = await drained(url, emulator, retry=ONCE)
        assert (given_up.status, given_up.in_doubt) == (Status.GAVE_UP, False)
        await put_again(url, there)
        emulator.running = set()
        (outcome,) = await drained(url, emulator)
    assert outcome.status is Status.ALREADY_STOPPED


async def test_a_dead_letter_is_in_doubt_when_its_list_is_put_in_again(url: str, there: Any) -> None:
    await put(url, *tasks(1))
    leave_pending(there, worker="dead", count=1)
    async with Emulator(running=[], quota_per_second=None) as emulator:
        assert await drained(url, emulator, max_deliveries=1) == []
        assert there.xlen("{tasks}:dead") == 1
        assert await put(url, *tasks(1)) == (1, 0)
        (outcome,) = await drained(url, emulator)
    assert outcome.status is Status.PRESUMED_STOPPED


async def test_a_task_that_the_queue_knows_is_in_doubt_when_it_is_put_in_all_the_same(url: str) -> None:
    await put(url, *tasks(1))
    async with Emulator(quota_per_second=None) as emulator:
        assert [outcome.status for outcome in await drained(url, emulator)] == [Status.STOPPED]
        await put(url, *tasks(2), again=True)
        emulator.running = set()
        outcomes = {outcome.task: outcome.status for outcome in await drained(url, emulator)}
    assert outcomes == {tasks(2)[0]: Status.PRESUMED_STOPPED, tasks(2)[1]: Status.ALREADY_STOPPED}


@pytest.mark.parametrize("known", [0, 1])
async def test_tasks_can_be_put_in_that_an_earlier_call_may_have_stopped(url: str, known: int) -> None:
    await put(url, *tasks(known))
    assert await put(url, *tasks(1), in_doubt=True) == (1 - known, known)
    async with Emulator(running=[], quota_per_second=None) as emulator:
        (outcome,) = await drained(url, emulator)
    assert outcome.status is Status.PRESUMED_STOPPED


async def test_a_doubt_is_kept_for_a_day_at_least_and_two_at_most(url: str, there: Any) -> None:
    await put(url, *tasks(50), in_doubt=True)
    shelves = there.keys("{tasks}:doubts:*")
    assert shelves
    assert all(86_400 < there.ttl(shelf) <= 2 * 86_400 for shelf in shelves)
