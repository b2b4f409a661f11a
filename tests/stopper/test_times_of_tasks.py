"""How long calls and tasks take: from the first attempt to the end, and no longer than they may."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stopcast import ClosedError, Outcome, RetryPolicy, Status, Task
from stopcast.events import Event, TaskFinished
from stopcast.sandbox.answers import refusal
from stopcast.virtual_clock import VirtualClock
from support.processes import tasks
from support.streams import consume, everything
from support.virtual import Api, in_virtual_time, on_virtual_clock, stopped, virtual_stopper


def test_the_seconds_of_a_task_that_waited_for_its_retry_run_from_its_first_attempt_to_its_end() -> None:
    api = Api(lambda _: refusal({}, "InternalError"))
    # The wait is drawn at random below this.
    slow = RetryPolicy(first_wait_seconds=1e7, longest_wait_seconds=1e7)

    async def main() -> list[Outcome]:
        outcomes: list[Outcome] = []
        async with virtual_stopper(api, retry=slow) as stopper:
            consuming = asyncio.create_task(consume(stopper.stop_all(tasks(3)), outcomes))
            await asyncio.sleep(20)
        await consuming
        return outcomes

    outcomes = in_virtual_time(main)
    assert [outcome.attempts for outcome in outcomes] == [1, 1, 1]
    assert [outcome.seconds for outcome in outcomes] == pytest.approx([20.0] * 3, abs=0.1)


def test_observers_see_the_calls_and_seconds_of_a_task_whose_call_is_cut_off() -> None:
    api = Api(stopped, latency_seconds=1000.0)
    events: list[Event] = []

    async def main() -> None:
        settings: dict[str, Any] = {"drain_seconds": 3.0, "timeout_seconds": 900.0, "observers": [events.append]}
        async with virtual_stopper(api, **settings) as stopper:
            consuming = asyncio.create_task(everything(stopper, tasks(1)))
            await asyncio.sleep(1)
        with pytest.raises(ClosedError):
            await consuming

    in_virtual_time(main)
    (outcome,) = [event.outcome for event in events if isinstance(event, TaskFinished)]
    assert (outcome.attempts, outcome.in_doubt) == (1, True)
    assert outcome.seconds == pytest.approx(4.0, abs=0.1)


def test_no_attempt_begins_once_a_task_s_time_is_up_but_time_while_paused_does_not_count() -> None:
    api = Api(lambda _: refusal({}, "InternalError"))
    policy = RetryPolicy(first_wait_seconds=1.0, longest_wait_seconds=2.0, give_up_after_seconds=10.0)

    async def main() -> Outcome:
        async with virtual_stopper(api, retry=policy) as stopper:
            stopping = asyncio.create_task(stopper.stop(Task("app", "room", "task")))
            await asyncio.sleep(5)
            stopper.pause()
            await asyncio.sleep(1000)
            stopper.resume()
            return await stopping

    outcome = in_virtual_time(main)
    assert outcome.status is Status.GAVE_UP
    moments = [moment for moment, _ in api.sent]
    assert max(moments) <= moments[0] + 10.0 + 1000.0 + 0.1
    assert any(moment > 1005 for moment in moments)


def test_answers_that_arrived_during_a_standstill_are_read_before_their_calls_time_out() -> None:
    api = Api(stopped, latency_seconds=1.0)

    async def main(clock: VirtualClock) -> list[Outcome]:
        async with virtual_stopper(api, timeout_seconds=2.0) as stopper:
            stopping = asyncio.create_task(everything(stopper, tasks(50)))
            await asyncio.sleep(0.9)
            clock.advance(60.0)
            return await stopping

    outcomes = on_virtual_clock(main)
    assert {(outcome.status, outcome.attempts) for outcome in outcomes} == {(Status.STOPPED, 1)}
