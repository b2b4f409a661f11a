"""One task: its outcome, and what is in doubt after a lost answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from stopcast import Outcome, RetryPolicy, Status, Task
from stopcast.ports import TransportError
from stopcast.sandbox import Emulator, Faults
from stopcast.sandbox.answers import Answer, refusal
from support.held import HeldApi, opened
from support.loops import on_both_loops, run_on
from support.streams import stopper_at
from support.virtual import Api, in_virtual_time, virtual_stopper

TASK = Task("app", "room", "task")
GONE = "InvalidParameter.ErrorActiveTaskNotFound"


# One task


async def test_a_running_task_is_stopped() -> None:
    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        outcome = await stopper.stop(TASK)
    assert emulator.stopped == {TASK}
    assert (outcome.task, outcome.status, outcome.attempts, outcome.http_status) == (TASK, Status.STOPPED, 1, 200)
    assert outcome.request_id == "sandbox-000000000001"
    assert outcome.good
    assert abs(outcome.finished_at - time.time()) < 60


async def test_a_task_that_is_not_running_is_already_stopped() -> None:
    async with Emulator(running=[]) as emulator, stopper_at(emulator) as stopper:
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.code, outcome.attempts) == (Status.ALREADY_STOPPED, GONE, 1)


async def test_a_task_that_the_api_refuses_fails_without_a_retry() -> None:
    async with Emulator(faults=Faults({"parameter": [TASK]})) as emulator, stopper_at(emulator) as stopper:
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.code, outcome.attempts) == (Status.FAILED, "InvalidParameter", 1)
    assert not outcome.good


async def test_a_task_is_given_up_when_its_attempts_run_out() -> None:
    policy = RetryPolicy(max_attempts=4, first_wait_seconds=0.001)
    async with Emulator(fail_forever=[TASK]) as emulator, stopper_at(emulator, retry=policy) as stopper:
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.code, outcome.attempts) == (Status.GAVE_UP, "InternalError", 4)
    assert emulator.calls == 4


@pytest.mark.parametrize("given", [Task("app", "room", "a b"), ("", "room", "task"), ("app", None, "task"), "abc", 7])
async def test_a_value_that_is_not_a_task_is_invalid_and_not_sent(given: Any) -> None:
    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        outcome = await stopper.stop(given)
    assert (outcome.status, outcome.attempts, emulator.calls) == (Status.INVALID, 0, 0)
    assert outcome.message


# What cannot be known


@pytest.mark.parametrize("fault", ["reset", "close", "hang", "internal", "unavailable", "html_502", "huge", "not_json"])
async def test_a_task_gone_after_an_attempt_of_unknown_fate_is_presumed_stopped(fault: str) -> None:
    async with (
        Emulator(running=[], faults=Faults({fault: [TASK]})) as emulator,
        stopper_at(emulator, timeout_seconds=0.3) as stopper,
    ):
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.code, outcome.attempts) == (Status.PRESUMED_STOPPED, GONE, 2)
    assert outcome.good


@pytest.mark.parametrize("fault", ["reset_after", "close_after", "cut_body", "drip"])
async def test_a_call_that_worked_and_lost_its_answer_is_presumed_stopped(fault: str) -> None:
    async with (
        Emulator(faults=Faults({fault: [TASK]})) as emulator,
        stopper_at(emulator, timeout_seconds=0.3) as stopper,
    ):
        outcome = await stopper.stop(TASK)
    assert emulator.stopped == {TASK}
    assert (outcome.status, outcome.attempts) == (Status.PRESUMED_STOPPED, 2)


@pytest.mark.parametrize("fault", ["throttled", "throttled_200", "timestamp", "signature", "access_key"])
async def test_a_task_gone_after_an_attempt_without_effect_is_already_stopped(fault: str) -> None:
    async with (
        Emulator(running=[], faults=Faults({fault: [TASK]})) as emulator,
        stopper_at(emulator) as stopper,
    ):
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.attempts) == (Status.ALREADY_STOPPED, 2)


async def test_a_refused_connection_puts_nothing_in_doubt() -> None:
    retry = RetryPolicy(max_attempts=1000, first_wait_seconds=0.002, longest_wait_seconds=0.01)
    async with Emulator(running=[]) as emulator, stopper_at(emulator, retry=retry) as stopper:
        async with emulator.outage(refuse=True):
            stopping = asyncio.create_task(stopper.stop(TASK))
            while not stopper.dispatcher.waiting:
                await asyncio.sleep(0)
        outcome = await stopping
    assert outcome.status is Status.ALREADY_STOPPED
    assert outcome.attempts >= 2


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TransportError("no connection", unsent=True), Status.ALREADY_STOPPED),
        (TransportError("connection lost"), Status.PRESUMED_STOPPED),
    ],
)
def test_a_lost_connection_puts_in_doubt_what_was_sent_over_it(error: TransportError, status: Status) -> None:
    errors = iter([error])

    def answer(_: Task) -> Answer:
        if (raised := next(errors, None)) is not None:
            raise raised
        return refusal({}, GONE)

    async def main() -> Outcome:
        async with virtual_stopper(api) as stopper:
            return await stopper.stop(TASK)

    api = Api(answer)
    assert in_virtual_time(main).status is status


async def test_a_doubt_remains_after_later_harmless_attempts() -> None:
    hits = {"reset": [TASK], "throttled": [TASK], "throttled_200": [TASK]}
    async with Emulator(running=[], faults=Faults(hits)) as emulator, stopper_at(emulator) as stopper:
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.attempts) == (Status.PRESUMED_STOPPED, 4)


@on_both_loops
def test_a_retry_that_is_due_at_once_is_made_on_both_loops(loop: str) -> None:
    async def main() -> None:
        given = [Task("app", "room", f"task-{number}") for number in range(30)]
        api = HeldApi()
        api.refusals = dict.fromkeys(given, "InternalError")
        async with opened("Stopper", api, retry=RetryPolicy(first_wait_seconds=0.0)) as caller:
            api.release()
            outcomes = await asyncio.gather(*map(caller.one, given))
        assert {outcome.attempts for outcome in outcomes} == {2}

    run_on(loop, main())
