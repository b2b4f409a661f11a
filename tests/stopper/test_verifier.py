"""The Verifier: it asks about each task and stops none, within a quota of its own."""

from __future__ import annotations

import asyncio

import pytest

from stopcast import ConfigurationError, RetryPolicy, Status, TaskState, TokenBucket, Verifier
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from stopcast.tasks.task import Task
from support.processes import tasks


async def test_a_verifier_returns_the_state_of_each_task_and_stops_none() -> None:
    stopped, running, unborn, failed, never = tasks(5)
    states = {unborn: TaskState(1), failed: TaskState(4, "StartTaskFailed", 5)}
    async with Emulator([stopped, running], states=states) as emulator:
        emulator._stopped[stopped] = 1234.5
        async with Verifier(SANDBOX_CREDENTIALS, endpoint=emulator.url) as verifier:
            outcomes = {it.task: it for it in await verifier.verify_many(tasks(5))}
    assert {task: outcome.status for task, outcome in outcomes.items()} == {
        stopped: Status.ENDED,
        running: Status.STILL_RUNNING,
        unborn: Status.NOT_STARTED,
        failed: Status.ENDED,
        never: Status.UNKNOWN,
    }
    assert outcomes[stopped].state == TaskState(3, "StopByAPI", 1_234_500)
    assert (len(emulator.queries), emulator.calls, list(emulator.stopped)) == (5, 0, [stopped])


async def test_ids_with_every_allowed_character_are_signed_as_they_are_sent() -> None:
    task = Task("aZ09_@-.", "@@", "." * 128)
    async with Emulator() as emulator, Verifier(SANDBOX_CREDENTIALS, endpoint=emulator.url) as verifier:
        outcome = await verifier.verify(task)
    assert (outcome.task, outcome.status) == (task, Status.STILL_RUNNING)


async def test_the_cap_of_a_verifier_is_the_quota_of_queries_except_on_loopback() -> None:
    async with Emulator() as emulator, Verifier(SANDBOX_CREDENTIALS, endpoint=emulator.url) as verifier:
        assert isinstance(verifier.limiter, TokenBucket)
        assert 59 < verifier.limiter.full_rate < 60
    with pytest.raises(ConfigurationError, match="quota of 60"):
        Verifier(SANDBOX_CREDENTIALS, max_per_second=61)
    Verifier(SANDBOX_CREDENTIALS, max_per_second=61, endpoint="http://127.0.0.1")


FAULTY = ("throttled", "throttled_200", "internal", "html_502", "empty", "close", "reset", "cut_body", "not_json")


async def test_network_faults_change_no_outcome() -> None:
    listed = tasks(20)
    faults = Faults({name: [listed[number], listed[-1 - number]] for number, name in enumerate(FAULTY)})
    async with (
        Emulator(listed[:10], faults=faults) as emulator,
        Verifier(SANDBOX_CREDENTIALS, endpoint=emulator.url, retry=RetryPolicy(first_wait_seconds=0.01)) as verifier,
    ):
        outcomes = [outcome async for outcome in verifier.verify_all(listed)]
    assert emulator.by_fault == dict.fromkeys(FAULTY, 2)
    assert {it.task for it in outcomes if it.status is Status.STILL_RUNNING} == set(listed[:10])
    assert {it.task for it in outcomes if it.status is Status.UNKNOWN} == set(listed[10:])


async def test_stopping_and_queries_have_separate_quotas() -> None:
    async with Emulator(quota_per_second=1, query_quota_per_second=3) as emulator:
        async with Verifier(SANDBOX_CREDENTIALS, endpoint=emulator.url, max_per_second=1000) as verifier:
            await asyncio.gather(*(verifier.verify(task) for task in tasks(6)))
        assert emulator.throttled > 0
        assert emulator.by_code["ok"] == 6
