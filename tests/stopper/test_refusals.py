"""Refusals that concern more than one task: the key, an AppId, the clock, the rate."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator
from email.utils import formatdate

import pytest

from stopcast import (
    ClockRefusedError,
    Credentials,
    CredentialsRefusedError,
    Outcome,
    RetryPolicy,
    Status,
    Task,
    TokenBucket,
)
from stopcast.events import AppSetAside, AttemptFinished, ClockCorrected, Event, Throttled
from stopcast.sandbox import Emulator, Faults
from stopcast.sandbox.answers import Answer, ok, refusal
from support.processes import HANGS_AFTER_SECONDS, tasks
from support.streams import counted, everything, stopper_at
from support.virtual import Api, in_virtual_time, virtual_stopper

TASK = Task("app", "room", "task")


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials("sandbox", "wrong-secret-s3cr3t"),
        Credentials("unknown", "wrong-secret-s3cr3t"),
        Credentials("sandbox", "sandbox-secret", "token-s3cr3t"),
    ],
)
@pytest.mark.parametrize("latency_seconds", [0.0, 0.05])
async def test_refused_credentials_stop_the_calls_after_a_handful(
    credentials: Credentials, latency_seconds: float, complaints: list[str]
) -> None:
    calls_at_refusal: list[int] = []

    def observe(event: Event) -> None:
        if isinstance(event, AttemptFinished) and event.code:
            calls_at_refusal.append(stopper.meter.calls)

    async with Emulator(faults=Faults(latency_seconds=latency_seconds)) as emulator:
        stopper = stopper_at(emulator, credentials=credentials, limiter=None, observers=[observe])
        with pytest.raises(CredentialsRefusedError, match="secret") as caught:
            async with stopper:
                await everything(stopper, tasks(1000))
        # Three refusals, those that were in flight at the third, and one that leaves just then.
        assert emulator.calls <= calls_at_refusal[2] + 1
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(stopper) + repr(credentials)
    assert "s3cr3t" not in shown
    assert "sandbox-secret" not in shown
    assert complaints == []


async def test_calls_that_wait_for_their_permit_are_not_made_once_the_key_is_refused(complaints: list[str]) -> None:
    async with Emulator() as emulator:

        async def revoke_the_key_midway() -> None:
            async with stopper_at(emulator, limiter=TokenBucket(20)) as stopper:
                async for _ in stopper.stop_all(tasks(1000)):
                    if stopper.meter.calls == 10:
                        assert stopper.dispatcher.unsent >= 9
                        emulator.credentials = Credentials("another", "key")

        with pytest.raises(CredentialsRefusedError):
            await revoke_the_key_midway()
        assert emulator.calls <= 10 + 3 + 2
    assert complaints == []


async def test_refused_credentials_are_raised_even_while_the_producer_waits() -> None:
    async def produced() -> AsyncIterator[Task]:
        for task in tasks(5):
            yield task
        await asyncio.Event().wait()

    async with Emulator() as emulator, asyncio.timeout(HANGS_AFTER_SECONDS):
        with pytest.raises(CredentialsRefusedError):
            async with stopper_at(emulator, credentials=Credentials("unknown", "x")) as stopper:
                await everything(stopper, produced())


async def test_after_refused_credentials_no_further_call_is_made() -> None:
    async with Emulator() as emulator, stopper_at(emulator, credentials=Credentials("unknown", "x")) as stopper:
        with pytest.raises(CredentialsRefusedError):
            await everything(stopper, tasks(20))
        calls = emulator.calls
        with pytest.raises(CredentialsRefusedError):
            await stopper.stop(TASK)
        assert emulator.calls == calls


async def test_a_wrong_secret_never_looks_like_a_clock() -> None:
    events: list[Event] = []
    async with Emulator(clock_offset=600) as emulator:
        with pytest.raises(CredentialsRefusedError):
            async with stopper_at(
                emulator, credentials=Credentials("sandbox", "wrong"), observers=[events.append]
            ) as stopper:
                await everything(stopper, tasks(20))
    assert not [event for event in events if isinstance(event, ClockCorrected)]


async def test_a_refused_appid_is_set_aside_and_the_others_go_on() -> None:
    events: list[Event] = []
    given = [task for pair in zip(tasks(300, app="dead"), tasks(300, app="live"), strict=True) for task in pair]
    async with (
        Emulator(
            quota_per_second=None,
            refused_apps={"dead": "InvalidParameter.NotExistAppId"},
            faults=Faults(latency_seconds=0.005),
        ) as emulator,
        stopper_at(emulator, observers=[events.append], max_at_once=8) as stopper,
    ):
        outcomes = await everything(stopper, given)
    live = [outcome for outcome in outcomes if outcome.task.app_id == "live"]
    dead = counted([outcome for outcome in outcomes if outcome.task.app_id == "dead"])
    assert counted(live) == {Status.STOPPED: 300}
    assert dead[Status.FAILED] + dead[Status.SET_ASIDE] == 300
    assert dead[Status.FAILED] <= 10
    set_aside = [event for event in events if isinstance(event, AppSetAside)]
    assert set_aside == [AppSetAside("dead", "InvalidParameter.NotExistAppId")]


@pytest.mark.parametrize("ahead", [-1200.0, 1200.0, -86400.0])
async def test_a_wrong_clock_is_corrected_once_for_all_calls(ahead: float) -> None:
    events: list[Event] = []
    async with (
        Emulator(quota_per_second=None, clock_offset=ahead, faults=Faults(latency_seconds=0.01)) as emulator,
        stopper_at(emulator, observers=[events.append]) as stopper,
    ):
        outcomes = await everything(stopper, tasks(300))
    assert counted(outcomes) == {Status.STOPPED: 300}
    corrections = [event.offset_seconds for event in events if isinstance(event, ClockCorrected)]
    assert len(corrections) == 1
    assert abs(corrections[0] - ahead) <= 2


async def test_a_machine_whose_clock_is_set_right_just_after_it_was_corrected_goes_on() -> None:
    corrections: list[float] = []
    async with Emulator(clock_offset=3600) as emulator:

        def set_clock(event: Event) -> None:
            if isinstance(event, ClockCorrected):
                corrections.append(event.offset_seconds)
                emulator.clock_offset = 0.0

        async with stopper_at(emulator, observers=[set_clock], max_at_once=1) as stopper:
            assert counted(await everything(stopper, tasks(5))) == {Status.STOPPED: 5}
    assert corrections == [pytest.approx(3600, abs=2), pytest.approx(0, abs=2)]


async def test_a_corrected_clock_that_is_still_refused_ends_the_calls() -> None:
    async with Emulator(faults=Faults({"timestamp": 1.0})) as emulator:
        with pytest.raises(ClockRefusedError):
            async with stopper_at(emulator, limiter=None) as stopper:
                await everything(stopper, tasks(500))
        assert emulator.calls <= 10


def test_a_task_whose_time_is_refused_for_ever_while_others_pass_is_given_up() -> None:
    def answer(task: Task) -> Answer:
        if task != TASK:
            return ok({})
        return refusal({}, "InvalidTimestamp")._replace(headers={"Date": formatdate(time.time(), usegmt=True)})

    async def main() -> list[Outcome]:
        async with virtual_stopper(api, retry=RetryPolicy(max_attempts=5)) as stopper:
            return await everything(stopper, [*tasks(300), TASK, *tasks(3000, app="other")])

    api = Api(answer)
    assert counted(in_virtual_time(main)) == {Status.STOPPED: 3300, Status.GAVE_UP: 1}
    assert len(api.times_of(TASK)) == 5


async def test_a_throttled_answer_emits_an_event_and_slows_every_call() -> None:
    events: list[Event] = []
    limiter = TokenBucket(150)
    async with (
        Emulator(faults=Faults({"throttled": [TASK], "throttled_200": [TASK]})) as emulator,
        stopper_at(emulator, limiter=limiter, observers=[events.append]) as stopper,
    ):
        outcome = await stopper.stop(TASK)
        assert limiter.rate < limiter.full_rate
    assert (outcome.status, outcome.attempts) == (Status.STOPPED, 3)
    assert sum(isinstance(event, Throttled) for event in events) == 2
