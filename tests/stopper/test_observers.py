"""The events that observers receive, and that an observer cannot disturb a run."""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from stopcast import CredentialsRefusedError, RetryPolicy, Status, Stopper, Task, TokenBucket
from stopcast.credentials.value import Credentials
from stopcast.engine import attempts
from stopcast.events import (
    AppSetAside,
    AttemptFinished,
    ClockCorrected,
    Event,
    RateChanged,
    RetryPlanned,
    RunFinished,
    TaskFinished,
    TaskRefused,
    Throttled,
)
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from support.streams import stopper_at

ONE, TWO, THREE = (Task("app", "room", f"task-{number}") for number in range(3))


def of(kind: type[Event], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def observed(emulator: Emulator, *given: object, into: list[Event] | None = None, **settings: Any) -> list[Event]:
    events = [] if into is None else into
    async with stopper_at(emulator, observers=[events.append], **settings) as stopper:
        async for _ in stopper.stop_all(given):
            pass
    return events


async def test_a_retried_task_emits_an_event_for_each_attempt() -> None:
    async with Emulator(faults=Faults({"internal": [ONE]})) as emulator:
        first, retry, second, finished, end = await observed(emulator, ONE)
    assert isinstance(first, AttemptFinished)
    assert isinstance(second, AttemptFinished)
    assert (first.task, first.attempt, first.verdict, first.http_status) == (ONE, 1, "transient", 500)
    assert (first.code, second.code, second.request_id) == ("InternalError", None, "sandbox-000000000002")
    assert (second.attempt, second.verdict, second.http_status) == (2, "ok", 200)
    assert isinstance(retry, RetryPlanned)
    assert (retry.task, retry.attempt, retry.reason) == (ONE, 1, "InternalError")
    assert isinstance(finished, TaskFinished)
    assert (finished.outcome.status, finished.attempts) == (Status.STOPPED, (first, second))
    assert isinstance(end, RunFinished)
    assert (end.calls, end.worst_second, end.error) == (2, 2, None)


async def test_an_attempt_reports_the_seconds_of_its_parts() -> None:
    async with Emulator(faults=Faults(latency_seconds=0.05)) as emulator:
        events = await observed(emulator, ONE, TWO, limiter=TokenBucket(5))
    first, second = of(AttemptFinished, events)
    for attempt in (first, second):
        assert attempt.answer_seconds >= 0.05
        assert attempt.connection_seconds > 0
        assert attempt.seconds == attempt.connection_seconds + attempt.limiter_seconds + attempt.answer_seconds
    # A bucket of 5 a second has a slot every 0.2 s; the second call waits for it with its connection in hand.
    assert second.limiter_seconds >= 0.1 > second.connection_seconds


async def test_an_attempt_that_found_no_connection_waited_for_nothing_else() -> None:
    async with Emulator() as emulator:
        url = emulator.url
    events: list[Event] = []
    async with Stopper(
        SANDBOX_CREDENTIALS, endpoint=url, retry=RetryPolicy(max_attempts=1), observers=[events.append]
    ) as stopper:
        await stopper.stop(ONE)
    (attempt,) = of(AttemptFinished, events)
    assert (attempt.http_status, attempt.limiter_seconds, attempt.answer_seconds) == (None, 0.0, 0.0)
    assert attempt.connection_seconds > 0
    assert "ClientConnectorError" in attempt.message


async def test_every_row_emits_one_event_refused_or_finished() -> None:
    refused_apps = {"dead": "InvalidParameter.NotExistAppId"}
    dead = [Task("dead", "room", f"task-{number}") for number in range(20)]
    async with Emulator(refused_apps=refused_apps) as emulator:
        events = await observed(emulator, ONE, ONE, "no task", *dead, max_at_once=1)
    refused = [event.outcome for event in of(TaskRefused, events)]
    finished = [event.outcome for event in of(TaskFinished, events)]
    assert len(refused) + len(finished) == 23
    assert {outcome.status for outcome in refused} == {Status.INVALID, Status.DUPLICATE, Status.SET_ASIDE}
    assert {outcome.status for outcome in finished} == {Status.STOPPED, Status.SET_ASIDE}
    assert of(AppSetAside, events) == [AppSetAside("dead", "InvalidParameter.NotExistAppId")]


async def test_a_throttled_answer_emits_an_event_with_the_new_rate() -> None:
    async with Emulator(faults=Faults({"throttled": [ONE]})) as emulator:
        limiter = TokenBucket(100)
        events = await observed(emulator, ONE, limiter=limiter)
    rates = of(RateChanged, events)
    assert rates[0] == RateChanged(limiter.full_rate, limiter.full_rate)
    assert rates[1].per_second == pytest.approx(limiter.full_rate - 1, abs=0.5)
    assert of(Throttled, events) == [Throttled(0.0)]


async def test_limiting_the_rate_emits_an_event() -> None:
    events: list[Event] = []
    async with Emulator() as emulator, stopper_at(emulator, limiter=TokenBucket(100), observers=[events.append]) as it:
        it.limit_to(50)
        it.limit_to(100)
    assert [round(event.per_second / event.full, 2) for event in of(RateChanged, events)] == [1.0, 0.5, 1.0]


async def test_the_last_event_of_a_run_names_the_error_that_ended_it() -> None:
    events: list[Event] = []
    async with Emulator(clock_offset=600) as emulator:
        with pytest.raises(CredentialsRefusedError):
            await observed(emulator, ONE, TWO, THREE, credentials=Credentials("sandbox", "wrong-s3cr3t"), into=events)
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert end.error is not None
    assert "SignatureDoesNotMatch" in end.error
    assert "s3cr3t" not in repr(events)
    assert of(ClockCorrected, events) == []


async def test_an_observer_runs_in_the_context_of_the_caller() -> None:
    caller: ContextVar[str] = ContextVar("caller", default="none")
    seen: list[tuple[str, str]] = []

    def observe(event: Event) -> None:
        if isinstance(event, TaskFinished):
            seen.append((event.outcome.task.task_id, caller.get()))

    async def ask(stopper: Stopper, task: Task) -> None:
        caller.set(f"caller of {task.task_id}")
        await stopper.stop(task)

    async with Emulator() as emulator, stopper_at(emulator, observers=[observe], max_at_once=1) as stopper:
        await asyncio.gather(*(ask(stopper, task) for task in (ONE, TWO, THREE)))
    assert sorted(seen) == [(task.task_id, f"caller of {task.task_id}") for task in (ONE, TWO, THREE)]


async def test_an_observer_that_raises_is_logged_once_and_disturbs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    received: list[Event] = []

    class Failing:
        def __call__(self, event: Event) -> None:
            received.append(event)
            raise LookupError("of the observer")

    events: list[Event] = []
    async with (
        Emulator(faults=Faults({"internal": [ONE]})) as emulator,
        stopper_at(emulator, observers=[Failing(), events.append]) as stopper,
    ):
        outcomes = [outcome async for outcome in stopper.stop_all([ONE, TWO])]
    assert [outcome.status for outcome in outcomes] == [Status.STOPPED] * 2
    assert received == events
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert (record.name, record.__dict__["event"]) == ("stopcast", "observer_failed")
    assert "Failing" in record.getMessage()
    assert record.exc_info is not None


class Proxy:
    """Raises whatever is asked of it, as a proxy of a request does outside of one."""

    def __call__(self, _event: Event) -> None:
        raise RuntimeError("no request")

    def __getattr__(self, name: str) -> Any:
        if name == "__qualname__":
            raise RuntimeError("no request")
        raise AttributeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no request")

    __hash__ = None  # type: ignore[assignment]


async def test_an_observer_that_cannot_be_compared_or_named_disturbs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with Emulator() as emulator, stopper_at(emulator, observers=[Proxy(), Proxy()]) as stopper:
        outcomes = await stopper.stop_many([ONE, TWO, THREE])
    assert [outcome.status for outcome in outcomes] == [Status.STOPPED] * 3
    failures = [record for record in caplog.records if record.__dict__["event"] == "observer_failed"]
    assert [record.args for record in failures] == [("Proxy",), ("Proxy",)]


async def test_without_an_observer_no_event_is_made_for_success(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    for kind in (TaskFinished, TaskRefused):
        monkeypatch.setattr(kind, "__init__", lambda self, *_, **__: made.append(type(self).__name__))
    monkeypatch.setattr(attempts, "make_attempt_finished", lambda **_: made.append("AttemptFinished"))
    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        outcomes = [outcome async for outcome in stopper.stop_all([ONE, TWO, ONE])]
    assert len(outcomes) == 3
    assert made == []


def test_events_are_frozen_and_each_has_a_name_in_the_log() -> None:
    event = Throttled(1.0)
    with pytest.raises(FrozenInstanceError):
        event.retry_after = 2.0  # type: ignore[misc]
    names = {kind.log_entry.name for kind in Event.__args__}
    assert len(names) == len(Event.__args__)
