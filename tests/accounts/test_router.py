"""Several accounts side by side: no account is another's trouble."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest

from stopcast import (
    AccountsGivenUpError,
    ConfigurationError,
    Credentials,
    CredentialsRefusedError,
    CredentialsUnavailableError,
    Outcome,
    Router,
    Status,
    StopcastError,
    Stopper,
    Task,
    TokenBucket,
)
from stopcast.events import AccountGivenUp, AppUnclaimed, Event
from stopcast.sandbox import Emulator, Faults
from support.accounts import accounts, mixed
from support.processes import tasks
from support.streams import everything
from support.virtual import Api, in_virtual_time, stopped


async def until_given_up(router: Router, given: Any) -> tuple[list[Outcome], AccountsGivenUpError]:
    """Return the outcomes that came before the stream's error, and that."""
    outcomes: list[Outcome] = []
    try:
        async for outcome in router.stop_all(given):
            outcomes.append(outcome)  # noqa: PERF401 - those before the error count
    except AccountsGivenUpError as error:
        return outcomes, error
    raise AssertionError("no account was given up")


def counted(outcomes: list[Outcome]) -> Counter[tuple[str, Status]]:
    return Counter((outcome.task.app_id, outcome.status) for outcome in outcomes)


def test_a_route_to_nowhere_and_a_stopper_for_two_accounts_are_errors() -> None:
    stopper = Stopper(Credentials("a", "b"))
    with pytest.raises(ConfigurationError, match="there is no account b"):
        Router({"a": stopper}, {"*": "b"})
    with pytest.raises(ConfigurationError, match="a Stopper of its own"):
        Router({"a": stopper, "b": stopper}, {"*": "b"})


async def test_each_task_goes_to_its_account_with_that_account_s_key() -> None:
    given = mixed(300, "app", "bpp", "cpp")
    async with accounts("a", "b", "c") as these:
        outcomes = await everything(these.router, given)
        for name, emulator in these.emulators.items():
            assert emulator.stopped == {task for task in given if task.app_id[0] == name}
            assert set(emulator.by_code) == {"ok"}
    assert len(outcomes) == 900
    assert {outcome.status for outcome in outcomes} == {Status.STOPPED}


async def test_a_task_without_an_account_is_set_aside_with_the_reason() -> None:
    async with accounts("a") as these:
        outcomes = await everything(
            these.router, [*mixed(10, "app", "other"), ("app", "room", 7), ("app", "room-1", "task-1")]
        )
        one = await these.router.stop(Task("other", "room", "task"))
        assert these.emulators["a"].calls == 10
    assert counted(outcomes) == {
        ("app", Status.STOPPED): 10,
        ("other", Status.SET_ASIDE): 10,
        ("app", Status.INVALID): 1,
        ("app", Status.DUPLICATE): 1,
    }
    assert (one.status, one.attempts, one.message) == (Status.SET_ASIDE, 0, "no account claims this AppId")


async def test_an_account_whose_key_is_refused_does_not_touch_the_others() -> None:
    async with accounts("a", "b", "c", wrong="b") as these:
        outcomes, given_up = await until_given_up(these.router, mixed(1000, "app", "bpp", "cpp"))
        assert str(given_up).startswith("account b: the API refuses the account's calls: SignatureDoesNotMatch")
        assert isinstance(given_up.errors["b"], CredentialsRefusedError)
        assert these.router.given_up.keys() == {"b"}
        assert these.emulators["b"].calls <= 10 + 512
        # Streams that have nothing of it do not hear of it.
        assert len(await everything(these.router, tasks(5, app="app2"))) == 5
        assert (await these.router.stop(Task("cpp", "room", "task"))).good
        with pytest.raises(CredentialsRefusedError):
            await these.router.stop(Task("bpp", "room", "task"))
    assert {("app", Status.STOPPED): 1000, ("cpp", Status.STOPPED): 1000}.items() <= counted(outcomes).items()
    assert {status for app, status in counted(outcomes) if app == "bpp"} == {Status.GAVE_UP}


async def test_where_every_account_is_given_up_no_more_rows_are_taken() -> None:
    taken = 0

    def produced() -> Iterator[Task]:
        nonlocal taken
        for task in mixed(100_000, "app", "bpp"):
            taken += 1
            yield task

    async with accounts("a", "b", wrong="ab") as these:
        _, given_up = await until_given_up(these.router, produced())
    assert given_up.errors.keys() == {"a", "b"}
    assert taken < 100_000


async def test_an_account_without_credentials_is_given_up_at_the_door_and_the_others_go_on() -> None:
    async def none() -> Credentials:
        raise OSError

    events: list[Event] = []
    key = Credentials("AK", "secret")
    async with Emulator(quota_per_second=None, credentials=key) as emulator:
        stoppers = {"a": Stopper(key, endpoint=emulator.url), "b": Stopper(none, endpoint=emulator.url)}
        async with Router(stoppers, {"a*": "a", "b*": "b"}, observers=[events.append]) as router:
            outcomes, given_up = await until_given_up(router, mixed(5, "app", "bpp"))
            with pytest.raises(AccountsGivenUpError, match="account b: "):
                await router.stop(Task("bpp", "room", "task"))
    assert counted(outcomes) == {("app", Status.STOPPED): 5}
    assert isinstance(given_up.errors["b"], CredentialsUnavailableError)
    assert [event.account for event in events if isinstance(event, AccountGivenUp)] == ["b"]


async def test_an_app_that_is_refused_is_set_aside_in_its_account_alone() -> None:
    async with accounts("a", "b") as these:
        these.emulators["a"].refused_apps = {"app": "InvalidParameter.NotExistAppId"}
        outcomes = await everything(these.router, mixed(2000, "app", "bpp"))
    statuses = counted(outcomes)
    assert statuses["bpp", Status.STOPPED] == 2000
    assert statuses["app", Status.FAILED] + statuses["app", Status.SET_ASIDE] == 2000
    assert statuses["app", Status.SET_ASIDE] > 0


async def test_leaving_a_stream_half_way_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    async with accounts("a", "b") as these:
        async with aclosing(these.router.stop_all(mixed(10_000, "app", "bpp"))) as outcomes:
            await anext(outcomes)
        again = await everything(these.router, mixed(10, "app2", "bpp2"))
        assert len(again) == 20
    assert asyncio.all_tasks() == before


async def test_cancelling_the_block_ends_a_stream_with_one_error_and_blames_no_account() -> None:
    ended: list[BaseException] = []
    events: list[Event] = []

    async def stream(router: Router) -> None:
        try:
            await everything(router, mixed(10_000, "app", "bpp"))
        except StopcastError as error:
            ended.append(error)

    key = Credentials("AK", "secret")
    async with Emulator(quota_per_second=None, credentials=key, faults=Faults({"hang": 1.0})) as emulator:
        stoppers = {name: Stopper(key, endpoint=emulator.url, drain_seconds=0) for name in "ab"}
        async with Router(stoppers, {"a*": "a", "b*": "b"}, observers=[events.append]) as router:
            streaming = asyncio.create_task(stream(router))
            while not emulator.calls:
                await asyncio.sleep(0.001)
        await streaming
    assert [type(error).__name__ for error in ended] == ["ClosedError"]
    assert events == []


async def test_an_app_without_an_account_is_reported_once_and_at_most_twenty_are() -> None:
    events: list[Event] = []
    strangers = [Task(f"stranger-{number}", "room", f"task-{again}") for number in range(30) for again in range(2)]
    async with Router({"a": Stopper(Credentials("AK", "secret"))}, {"a": "a"}, observers=[events.append]) as router:
        assert len(await everything(router, strangers)) == 60
    unclaimed = [event.app_id for event in events if isinstance(event, AppUnclaimed)]
    assert unclaimed == [f"stranger-{number}" for number in range(20)]


async def test_a_router_is_paused_and_slowed_for_all_its_accounts() -> None:
    key = Credentials("AK", "secret")
    async with Emulator(quota_per_second=None, credentials=key) as emulator:
        caps = {"a": 100, "b": 1000}
        stoppers = {name: Stopper(key, endpoint=emulator.url, limiter=TokenBucket(cap)) for name, cap in caps.items()}
        async with Router(stoppers, {"a*": "a", "b*": "b"}) as router:
            router.pause()
            streaming = asyncio.create_task(everything(router, mixed(10, "app", "bpp")))
            for _ in range(100):
                await asyncio.sleep(0)
            assert (router.paused, emulator.calls) == (True, 0)
            router.limit_to(500)
            assert (router.max_per_second, router.limited_to) == (1100, 600)
            with pytest.raises(ConfigurationError, match="more than the cap of 1000"):
                router.limit_to(1001)
            router.resume()
            assert len(await streaming) == 20


# The cap, on the virtual clock: every account has its own, and none has another's


def test_sixteen_accounts_hold_their_caps_side_by_side() -> None:
    api = Api(stopped, latency_seconds=0.01)
    names = [f"account{number:02d}" for number in range(16)]
    cap, seconds = 150, 5

    async def main() -> Router:
        stoppers = {
            name: Stopper(
                Credentials("AK", "secret"), endpoint="http://127.0.0.1", limiter=TokenBucket(cap), transport=api
            )
            for name in names
        }
        async with Router(stoppers, {name: name for name in names}) as router:
            assert len(await everything(router, mixed(cap * seconds, *names))) == 16 * cap * seconds
        return router

    router = in_virtual_time(main)
    for meter in router.meter.by_account.values():
        assert meter.worst_second <= cap
        assert meter.mean_per_second > 0.99 * cap
