"""Credentials that expire or are replaced during a run."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import pytest

from stopcast import Credentials, CredentialsRefusedError, Status, Stopper, Task
from stopcast.events import ClockCorrected, CredentialsRefreshed, CredentialsRefreshFailed, CredentialsRefused
from support.expiring_account import FEW, TEN_MINUTES, Account, Watched
from support.virtual import in_virtual_time

T = TypeVar("T")
HOUR = 3600.0
#: Tasks that take 700 s at 8 calls a second.
MANY = 5600


def test_a_run_of_hours_over_credentials_of_ten_minutes_never_uses_one_that_has_expired(account: Account) -> None:
    watched = Watched(account, account.issue, 3600, max_per_second=0.25)
    in_virtual_time(watched.run)

    assert watched.statuses == {Status.STOPPED: 3600}
    assert account.answers == {"ok": 3600}
    hours = account.issued_at[-1] / HOUR
    assert hours > 3.5
    # Each is replaced when a quarter of its life is left: eight in an hour.
    assert len(account.issued) == pytest.approx(8 * hours, abs=1.5)
    assert all(account.calls_by_key[name] for name in account.issued)
    assert len(watched.events_of(CredentialsRefreshed)) == len(account.issued) - 1


def test_credentials_of_unknown_expiry_are_refreshed_once_for_all_calls_when_they_are_refused(account: Account) -> None:
    async def without_expiry() -> Credentials:
        issued = await account.issue()
        return Credentials(issued.access_key, issued.secret_key, issued.session_token)

    account.latency_seconds = 0.5
    watched = Watched(account, without_expiry, MANY, max_per_second=8)
    in_virtual_time(watched.run)

    assert watched.statuses == {Status.STOPPED: MANY}
    assert len(account.issued) == 2
    assert 0 < account.refused <= FEW + account.most_in_flight
    assert len(watched.events_of(CredentialsRefused)) == len(watched.events_of(CredentialsRefreshed)) == 1


def test_a_clock_that_is_wrong_by_less_than_the_api_minds_costs_a_few_calls_and_no_task(account: Account) -> None:
    account.clock_offset = 500.0
    watched = Watched(account, account.issue, 3000, max_per_second=1)
    in_virtual_time(watched.run)

    assert watched.statuses == {Status.STOPPED: 3000}
    assert account.refused <= (FEW + account.most_in_flight) * len(account.issued)
    assert len(account.issued) >= 4


def test_once_the_clock_is_corrected_expiry_is_reckoned_by_the_server_s(account: Account) -> None:
    account.clock_offset = 1200.0
    watched = Watched(account, account.issue, 3000, max_per_second=1)
    in_virtual_time(watched.run)

    assert len(watched.events_of(ClockCorrected)) == 1
    assert watched.statuses == {Status.STOPPED: 3000}
    assert account.refused == 0


@pytest.mark.parametrize("trouble", ["raises", "hangs", "gives the same", "gives nonsense"])
def test_while_the_old_credentials_live_calls_go_on_and_the_provider_is_asked_again(
    account: Account, trouble: str
) -> None:
    asked: list[float] = []

    async def provider() -> Any:
        asked.append(asyncio.get_running_loop().time())
        if not 2 <= len(asked) <= 3:
            return await account.issue()
        match trouble:
            case "raises":
                raise OSError("token=hunter2")
            case "hangs":
                await asyncio.Event().wait()
            case "gives the same":
                return account.issued["AK0"][0]
        return {"ak": "hunter2"}

    watched = Watched(account, provider, 1200, max_per_second=1)
    in_virtual_time(watched.run)

    assert watched.statuses == {Status.STOPPED: 1200}
    assert account.refused == 0
    assert asked[3] < TEN_MINUTES
    assert account.calls_by_key["AK0"] > asked[3] - 20
    failures = watched.events_of(CredentialsRefreshFailed)
    assert len(failures) == (0 if trouble == "gives the same" else 2)
    assert "hunter2" not in repr(watched.events)


@pytest.mark.parametrize("trouble", ["raises", "hangs", "gives the same"])
def test_where_no_other_credentials_are_to_be_had_the_run_is_given_up_a_minute_after_the_refusal(
    account: Account, trouble: str
) -> None:
    first: list[Credentials] = []

    async def provider() -> Credentials:
        if not first:
            first.append(await account.issue())
        elif trouble == "raises":
            raise OSError("hunter2")
        elif trouble == "hangs":
            await asyncio.Event().wait()
        return first[0]

    ended_at = 0.0

    async def main() -> None:
        nonlocal ended_at
        with pytest.raises(CredentialsRefusedError, match="No other credentials were to be had") as refused:
            await watched.run()
        assert "hunter2" not in str(refused.value)
        ended_at = asyncio.get_running_loop().time()

    watched = Watched(account, provider, MANY, max_per_second=8)
    in_virtual_time(main)

    assert TEN_MINUTES + 55 < ended_at < TEN_MINUTES + 125
    assert watched.statuses.keys() <= {Status.STOPPED, Status.GAVE_UP}
    assert watched.statuses[Status.GAVE_UP] <= FEW + account.most_in_flight
    assert 0 < account.refused <= FEW + account.most_in_flight


def test_a_key_that_never_worked_and_comes_back_the_same_is_given_up_at_once(account: Account) -> None:
    asked = 0

    async def provider() -> Credentials:
        nonlocal asked
        asked += 1
        return account.issued["AK0"][0] if account.issued else await account.issue()

    async def main() -> None:
        account.revoked.add("AK0")
        with pytest.raises(CredentialsRefusedError, match="gives the same credentials as before"):
            await watched.run()
        assert asyncio.get_running_loop().time() < 5

    watched = Watched(account, provider, 1000)
    in_virtual_time(main)

    assert asked == 2
    assert 0 < account.refused <= FEW + account.most_in_flight


def test_new_credentials_that_are_refused_as_well_end_the_run_and_no_third_ones_are_asked_for(account: Account) -> None:
    async def main() -> None:
        account.revoked |= {f"AK{number}" for number in range(1, 100)}
        with pytest.raises(CredentialsRefusedError, match="InvalidSecretToken"):
            await watched.run()

    async def without_expiry() -> Credentials:
        issued = await account.issue()
        return Credentials(issued.access_key, issued.secret_key, issued.session_token)

    watched = Watched(account, without_expiry, MANY, max_per_second=8)
    in_virtual_time(main)

    assert len(account.issued) == 2
    assert account.calls_by_key["AK1"] <= FEW + account.most_in_flight
    assert account.refused <= 2 * (FEW + account.most_in_flight)


def test_a_slow_provider_holds_no_call_back_while_the_old_credentials_live(account: Account) -> None:
    async def slow() -> Credentials:
        if account.issued:
            await asyncio.sleep(50)
        return await account.issue()

    watched = Watched(account, slow, 2000, max_per_second=1)
    in_virtual_time(watched.run)

    assert account.answers == {"ok": 2000}
    times = sorted(outcome.seconds for outcome in watched.outcomes)
    assert times[-1] < 1


def test_a_key_that_is_replaced_in_time_is_not_refused_to_the_calls_that_still_carry_it(account: Account) -> None:
    async def main() -> None:
        async with Stopper(
            account.issue, endpoint="http://127.0.0.1", transport=account, timeout_seconds=900, drain_seconds=0
        ) as stopper:
            stopping = asyncio.create_task(stopper.stop(Task("app", "room", "task")))
            while not account.in_flight:
                await asyncio.sleep(0)
            account.revoked.add("AK0")
            account.latency_seconds = 0.02
            # It comes back refused long after the key has been replaced.
            while len(account.issued) < 2:
                await asyncio.sleep(1)
            assert (await stopping).status is Status.STOPPED

    account.latency_seconds = 590.0
    in_virtual_time(main)
    assert (account.refused, len(account.issued)) == (1, 2)
