"""What a health check sees of a Stopper."""

from __future__ import annotations

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from stopcast import (
    BackgroundTaskError,
    ClosedError,
    Credentials,
    CredentialsRefusedError,
    HaltAfter,
    Router,
    Status,
    Stopper,
    StopperState,
    Task,
    TooManyFailuresError,
)
from stopcast.events import AccountGivenUp, CallsEnded, Event
from stopcast.prometheus import PrometheusObserver
from stopcast.sandbox import SANDBOX_CREDENTIALS
from stopcast.sandbox.answers import ok, refusal
from support.processes import tasks
from support.refused_keys import Door, health, refused
from support.streams import counted, everything
from support.virtual import Api, in_virtual_time, virtual_stopper

TASK = Task("app", "room", "task")


def test_a_key_that_is_refused_for_good_is_seen_in_the_state_the_error_an_event_and_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events: list[Event] = []

    async def main() -> None:
        stopper = Stopper(SANDBOX_CREDENTIALS)
        assert health(stopper) == (StopperState.CLOSED, None)
        async with refused(Door(), observers=[events.append]) as stopper:
            assert stopper.state is StopperState.ENDED
            assert isinstance(stopper.error, CredentialsRefusedError)
            assert [event.reason for event in events if isinstance(event, CallsEnded)] == [str(stopper.error)]
        assert health(stopper) == (StopperState.CLOSED, None)

    in_virtual_time(main)
    (record,) = [record for record in caplog.records if getattr(record, "event", None) == "calls_ended"]
    assert record.levelno == logging.WARNING


def test_an_end_that_was_asked_for_is_no_error() -> None:
    events: list[Event] = []

    async def main() -> None:
        api = Api(lambda _: ok({}), latency_seconds=5)
        async with virtual_stopper(api, observers=[events.append]) as stopper:
            assert health(stopper) == (StopperState.RUNNING, None)
            stopper.pause()
            assert stopper.state is StopperState.PAUSED
            stopper.resume()
            stopping = asyncio.create_task(stopper.stop(TASK))
            await asyncio.sleep(1)
            stopper.dispatcher.stop(ClosedError("enough"))
            assert health(stopper) == (StopperState.DRAINING, None)
            assert not stopper.retry_key()
            assert (await stopping).good

    in_virtual_time(main)
    assert not any(isinstance(event, CallsEnded) for event in events)


def test_calls_that_a_halt_ended_have_no_way_back() -> None:
    async def main() -> None:
        api = Api(lambda _: refusal({}, "InvalidParameter"))
        async with virtual_stopper(api, halt_after=HaltAfter(tasks=2)) as stopper:
            with pytest.raises(TooManyFailuresError):
                await everything(stopper, tasks(20))
            assert isinstance(stopper.error, TooManyFailuresError)
            assert not stopper.retry_key()
            assert stopper.state is StopperState.ENDED

    in_virtual_time(main)


def test_a_background_task_that_fails_ends_the_calls_and_is_the_error() -> None:
    async def provider() -> Credentials:
        return SANDBOX_CREDENTIALS

    async def main() -> None:
        async with virtual_stopper(Api(lambda _: ok({})), credentials=provider) as stopper:
            await asyncio.sleep(1)
            (refresh,) = (task for task in asyncio.all_tasks() if task.get_name() == "refresh of the credentials")
            refresh.cancel()
            await asyncio.sleep(1)
            assert stopper.state is StopperState.ENDED
            assert isinstance(stopper.error, BackgroundTaskError)
            with pytest.raises(BackgroundTaskError):
                await stopper.stop(TASK)

    in_virtual_time(main)


def test_a_provider_without_another_key_ends_the_calls_although_none_is_waiting() -> None:
    door, events = Door(), list[Event]()

    async def provider() -> Credentials:
        return SANDBOX_CREDENTIALS

    async def main() -> None:
        async with Stopper(
            provider, endpoint="http://127.0.0.1", transport=door.api, observers=[events.append]
        ) as stopper:
            stopping = asyncio.create_task(stopper.stop(TASK))
            while not door.api.sent:
                await asyncio.sleep(0.01)
            stopping.cancel()
            await asyncio.sleep(120)
            assert isinstance(stopper.error, CredentialsRefusedError)
            assert sum(isinstance(event, CallsEnded) for event in events) == 1

    in_virtual_time(main)


def test_a_gauge_says_that_calls_have_ended_until_the_key_is_accepted_again() -> None:
    door, registry = Door(), CollectorRegistry()

    async def main() -> None:
        def ended() -> float | None:
            return registry.get_sample_value("stopcast_calls_ended")

        observer = PrometheusObserver(registry)
        assert ended() == 0
        async with refused(door, observers=[observer]) as stopper:
            assert ended() == 1
            door.shut = False
            stopper.retry_key()
            assert ended() == 1
            await stopper.stop(TASK)
            assert ended() == 0

    in_virtual_time(main)


def test_a_router_shows_which_account_has_ended_and_tries_its_key_again() -> None:
    door, events = Door(), list[Event]()
    good = Api(lambda _: ok({}))

    def stopper(api: Api) -> Stopper:
        return Stopper(SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1", transport=api)

    async def main() -> None:
        stoppers = {"bad": stopper(door.api), "good": stopper(good)}
        router = Router(stoppers, {"bad*": "bad", "app*": "good"}, observers=[events.append])
        assert health(router) == (StopperState.CLOSED, None)
        async with router:
            assert health(router) == (StopperState.RUNNING, None)
            await asyncio.gather(*(router.stop(task) for task in tasks(3, app="bad")))
            with pytest.raises(CredentialsRefusedError):
                await router.stop(Task("bad", "room", "task"))
            assert router.state is StopperState.RUNNING
            assert router.given_up.keys() == {"bad"}
            assert "account bad: the API refuses" in str(router.error)
            assert [event.account for event in events if isinstance(event, AccountGivenUp)] == ["bad"]
            door.shut = False
            assert router.retry_key()
            mixed = [*tasks(20, app="bad"), *tasks(20)]
            assert counted(await everything(router, mixed)) == {Status.STOPPED: 40}
            assert (router.given_up, router.error) == ({}, None)
            assert not router.retry_key()

    in_virtual_time(main)
