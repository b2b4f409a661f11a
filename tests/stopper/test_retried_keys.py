"""The way back for a key that was refused for good: one call tries it, and then all go on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from stopcast import CredentialsRefusedError, Status, StopperState, Task
from stopcast.events import CallsResumed, Event
from support.processes import tasks
from support.refused_keys import Door, health, refused
from support.streams import counted, everything
from support.virtual import in_virtual_time, virtual_stopper

TASK = Task("app", "room", "task")


def test_a_key_that_is_good_again_is_tried_with_one_call_and_then_with_all() -> None:
    door, events = Door(), list[Event]()

    async def main() -> None:
        async with refused(door, observers=[events.append]) as stopper:
            door.shut = False
            assert stopper.retry_key()
            assert stopper.state is StopperState.ON_TRIAL
            assert isinstance(stopper.error, CredentialsRefusedError)
            outcomes = await everything(stopper, tasks(200))
            assert counted(outcomes) == {Status.STOPPED: 200}
            assert health(stopper) == (StopperState.RUNNING, None)
        first, second = (moment for moment, _ in door.api.sent[:2])
        assert second - first >= door.api.latency_seconds
        assert sum(isinstance(event, CallsResumed) for event in events) == 1

    in_virtual_time(main)


def test_a_key_that_is_still_refused_costs_one_call() -> None:
    door = Door()

    async def main() -> None:
        async with refused(door) as stopper:
            assert stopper.retry_key()
            with pytest.raises(CredentialsRefusedError):
                await everything(stopper, tasks(200))
            assert stopper.state is StopperState.ENDED
            assert len(door.api.sent) == 1

    in_virtual_time(main)


def test_answers_to_calls_from_before_the_retry_say_nothing_about_the_key() -> None:
    door = Door()
    door.api.latency_seconds = 5

    async def main() -> None:
        async with virtual_stopper(door.api) as stopper:
            first = asyncio.create_task(everything(stopper, tasks(3)))
            await asyncio.sleep(4)
            late = asyncio.create_task(everything(stopper, tasks(50, app="late")))
            await asyncio.wait([first])
            await asyncio.sleep(1)
            assert stopper.retry_key()
            await asyncio.wait([late])
            assert stopper.state is StopperState.ON_TRIAL
            door.shut = False
            assert (await stopper.stop(TASK)).good

    in_virtual_time(main)


def test_a_key_is_tried_again_by_itself_only_where_that_is_asked_for() -> None:
    async def calls_in_an_hour(**settings: Any) -> int:
        door = Door()
        async with refused(door, **settings) as stopper:
            for _ in range(360):
                with suppress(CredentialsRefusedError):
                    await stopper.stop(TASK)
                await asyncio.sleep(10)
        return len(door.api.sent)

    async def main() -> None:
        assert await calls_in_an_hour() == 0
        assert await calls_in_an_hour(retry_key_after_seconds=600.0) in {5, 6}

    in_virtual_time(main)


def test_a_key_that_is_tried_again_by_itself_comes_back() -> None:
    door = Door()

    async def main() -> None:
        async with refused(door, retry_key_after_seconds=30.0) as stopper:
            door.shut = False
            await asyncio.sleep(31)
            assert counted(await everything(stopper, tasks(20))) == {Status.STOPPED: 20}
            assert stopper.error is None

    in_virtual_time(main)


def test_a_key_is_not_tried_again_once_the_stopper_drains() -> None:
    door = Door()

    async def main() -> None:
        async with refused(door, retry_key_after_seconds=30.0) as stopper:
            door.shut = False
            await stopper.drain()
            await asyncio.sleep(60)
            assert not stopper.retry_key()
            assert stopper.state is StopperState.ENDED
            with pytest.raises(CredentialsRefusedError):
                await stopper.stop(TASK)

    in_virtual_time(main)
