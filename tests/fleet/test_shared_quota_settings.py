"""The settings that all processes of a quota agree on, the versions that must not mix, and the index of accounts."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis.asyncio

from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST, Action
from stopcast.errors import ConfigurationError, QuotaLostError
from stopcast.events import Event, QuotaFound, QuotaLost, QuotaSettingsAdopted
from stopcast.fleet.quota.quota_status import quota_status, quota_statuses
from stopcast.fleet.quota.redis_ledger import Lease, LedgerRequest, RedisLedger, ledger_keys
from stopcast.fleet.quota.shared_quota import SharedQuota
from stopcast.fleet.quota.slots import QuotaSettings
from stopcast.logs import log_event
from support.processes import Shell
from support.waiting import event_of

STATE, STATE_OF_0_1, INDEX = ledger_keys("account", "StopWebcast")


def quota(url: str, **settings: Any) -> SharedQuota:
    return SharedQuota(url, account="account", **settings)


async def test_a_process_with_another_cap_goes_by_the_one_in_redis_and_warns(redis_url: str) -> None:
    events: list[Event] = []
    async with quota(redis_url, max_per_second=150) as first, quota(redis_url, max_per_second=50) as second:
        second.subscribe(events.append)
        assert (second.max_per_second, second.full_rate) == (150, first.full_rate)
        await first.acquire()
        assert first.max_per_second == 150
    assert events == [
        QuotaSettingsAdopted(
            account="account",
            max_per_second=150,
            own_max_per_second=50,
            arrival_jitter=0.0033,
            own_arrival_jitter=0.0033,
        )
    ]


def test_the_warning_names_both_caps_and_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    log_event(
        QuotaSettingsAdopted(
            account="main",
            max_per_second=150,
            own_max_per_second=50,
            arrival_jitter=0.0033,
            own_arrival_jitter=0.02,
        )
    )
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    for part in ("account main", "150 calls a second", "0.0033 s", "50", "0.02 s", "change_settings"):
        assert part in record.getMessage()


async def test_the_greatest_jitter_counts_for_all(redis_url: str) -> None:
    events: list[Event] = []
    async with quota(redis_url) as first:
        first.subscribe(events.append)
        async with quota(redis_url, arrival_jitter=0.02) as second:
            await second.acquire()
            await first.acquire()
            assert first.full_rate == second.full_rate == QuotaSettings(arrival_jitter=0.02).full_rate
    adopted = await event_of(events, QuotaSettingsAdopted)
    assert (adopted.arrival_jitter, adopted.own_arrival_jitter) == (0.02, 0.0033)


async def test_a_changed_cap_counts_for_all_processes_from_then_on(redis_url: str) -> None:
    events: list[Event] = []
    async with quota(redis_url) as first, quota(redis_url) as second:
        first.subscribe(events.append)
        await second.change_settings(max_per_second=40)
        await first.acquire()
        assert first.max_per_second == second.max_per_second == 40
        async with quota(redis_url) as third:
            assert third.max_per_second == 40
        with pytest.raises(ConfigurationError):
            await second.change_settings(max_per_second=0)
    assert (await event_of(events, QuotaSettingsAdopted)).max_per_second == 40


async def test_the_share_of_a_process_without_redis_goes_by_the_adopted_cap(redis_url: str) -> None:
    async with quota(redis_url, max_per_second=20), quota(redis_url, lost_share=4) as second:
        share = second._share
        assert share is not None
        assert share.max_per_second == 5


async def ask(url: str, *command: Any) -> Any:
    async with redis.asyncio.Redis.from_url(url) as client:
        return await client.execute_command(*command)  # type: ignore[no-untyped-call]


def now_in_microseconds(ago_seconds: float = 0.0) -> int:
    return round((time.time() - ago_seconds) * 1e6)


async def test_beside_a_process_of_version_0_1_the_quota_is_refused_with_words(redis_url: str) -> None:
    await ask(redis_url, "HSET", STATE_OF_0_1, "seen", now_in_microseconds(), "next", now_in_microseconds())
    with pytest.raises(ConfigurationError, match=r"a process of stopcast 0\.1 uses this account's quota.*Update"):
        async with quota(redis_url):
            pass
    with pytest.raises(ConfigurationError, match=r"0\.1"):
        async with quota(redis_url, lost_share=2):
            pass


async def test_keys_of_version_0_1_that_are_not_in_use_do_not_matter(redis_url: str) -> None:
    await ask(redis_url, "HSET", STATE_OF_0_1, "seen", now_in_microseconds(61), "next", "1")
    async with quota(redis_url) as used:
        await used.acquire()
    assert await ask(redis_url, "HGET", STATE_OF_0_1, "next") == b"1"


async def test_no_call_goes_while_a_process_of_version_0_1_uses_the_quota(redis_url: str) -> None:
    events: list[Event] = []
    async with quota(redis_url, lost_share=2) as used:
        used.subscribe(events.append)
        await used.acquire()
        await ask(redis_url, "HSET", STATE_OF_0_1, "seen", now_in_microseconds())
        used.hold()
        lost = await event_of(events, QuotaLost)
        assert "0.1" in lost.reason
        assert lost.per_second == 0, "its share of the cap would come on top of what the other version does"
        await ask(redis_url, "DEL", STATE_OF_0_1)
        await event_of(events, QuotaFound)
        await used.acquire()


@pytest.mark.parametrize("version", ["1", "3", "", None])
async def test_a_state_of_another_version_that_is_in_use_is_refused_with_words(
    redis_url: str, version: str | None
) -> None:
    kept = ["seen", now_in_microseconds(), *([] if version is None else ["version", version])]
    await ask(redis_url, "HSET", STATE, *kept)
    with pytest.raises(ConfigurationError, match="another version of stopcast uses this account's quota"):
        async with quota(redis_url):
            pass
    assert await ask(redis_url, "HGETALL", STATE) == {
        str(name).encode(): str(value).encode() for name, value in zip(kept[::2], kept[1::2], strict=True)
    }


async def test_a_state_of_another_version_that_is_not_in_use_is_made_anew(redis_url: str) -> None:
    await ask(redis_url, "HSET", STATE, "seen", now_in_microseconds(61), "version", "3", "rate", "1", "permits", "70")
    async with RedisLedger(redis_url, "account") as ledger:
        lease = await ledger.ask(LedgerRequest(settings=QuotaSettings(), verify=True))
        assert lease is not None
        assert lease.rate == pytest.approx(QuotaSettings().full_rate, abs=0.1)
    assert await ask(redis_url, "HMGET", STATE, "version", "permits") == [b"2", b"0"]


async def test_every_account_that_was_used_is_listed(redis_url: str) -> None:
    assert await quota_statuses(redis_url) == []
    names = [("b:c", "StopWebcast"), ("a", "StopWebcast"), ("a", "GetWebCastTask"), ("é ☃", "StopWebcast")]
    for account, action in names:
        async with SharedQuota(redis_url, account=account, action=action, max_per_second=60) as used:
            used.hold()
    listed = await quota_statuses(redis_url)
    assert [(status.account, status.action) for status in listed] == sorted(names)
    assert {status.max_per_second for status in listed} == {60}
    # The index may know of accounts that Redis has forgotten.
    await ask(redis_url, "DEL", ledger_keys("a", "StopWebcast")[0])
    assert [(status.account, status.action) for status in await quota_statuses(redis_url)] == sorted(names)[
        :1
    ] + sorted(names)[2:]


async def test_the_status_of_one_account_has_its_cap(redis_url: str) -> None:
    async with quota(redis_url, max_per_second=60):
        pass
    assert (await quota_status(redis_url, "account")).max_per_second == 60
    assert (await quota_status(redis_url, "unused")).rate is None


async def test_accounts_of_a_redis_that_is_not_there_cannot_be_listed() -> None:
    with pytest.raises(QuotaLostError, match=r"\*\*\*@127"):
        await quota_statuses("redis://:secret@127.0.0.1:1/0")


def test_a_setting_that_makes_no_sense_is_refused() -> None:
    for jitter in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigurationError, match="arrival_jitter"):
            QuotaSettings(arrival_jitter=jitter)
    for cap in (0.0, float("nan")):
        with pytest.raises(ConfigurationError, match="max_per_second"):
            QuotaSettings(max_per_second=cap)


ACCOUNTS = """
[accounts.team-a]
apps = ["a"]
environment = "A"

[accounts.team-b]
apps = ["b"]
environment = "B"
"""


@pytest.mark.parametrize(
    "options",
    [("--account", "team-a"), ("--accounts", "accounts.toml"), ("--accounts", "accounts.toml", "--account", "other")],
)
async def test_one_name_is_one_cap_in_whichever_way_it_is_given(
    shell: Shell, redis_url: str, options: tuple[str, ...]
) -> None:
    (shell / "accounts.toml").write_text(ACCOUNTS)
    (shell / "tasks.csv").write_text("AppId,RoomId,TaskId\na,r,t\n")
    ended = shell.run_process("run", "tasks.csv", "--sandbox", "-y", "--quota", redis_url, *options)
    assert ended.status == 0, ended.err
    names = {status.account for status in await quota_statuses(redis_url)}
    assert names == ({"team-a", "team-b"} if "--accounts" in options else {"team-a"})


@pytest.mark.parametrize(
    "settings",
    [
        {"account": ""},
        {"account": " main"},
        {"account": "main\n"},
        {"account": "ma\u200bin"},
        {"account": 7},
        {"action": "stopWebcast"},
        {"lost_share": 0},
        {"lost_share": 2.5},
        {"arrival_jitter": -0.001},
        {"arrival_jitter": 61},
        {"max_per_second": "150"},
        {"ledger": 7},
    ],
)
def test_a_quota_by_a_setting_that_no_other_process_would_share_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        SharedQuota(**{"ledger": "redis://127.0.0.1", "account": "main", **settings})


async def test_a_name_is_one_name_however_its_accents_are_written(redis_url: str) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    async with SharedQuota(redis_url, account=composed, max_per_second=20), SharedQuota(redis_url, account=decomposed):
        assert [status.account for status in await quota_statuses(redis_url)] == [composed]
        assert (await quota_status(redis_url, decomposed)).max_per_second == 20


@pytest.mark.parametrize("action", [STOP_WEBCAST, GET_WEBCAST_TASK])
def test_each_action_of_the_api_has_a_quota(action: Action) -> None:
    assert SharedQuota("redis://127.0.0.1", account="main", action=action.name)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        7,
        [],
        [3, 4],
        [b"x"] * 9,
        [b"nan"] * 9,
        [10**400] * 9,
        [11, 1, 1, 1, 1, 1000, 150, 3300, 1],
        [-3, 1, 1, 1, 1, 1000, 150, 3300, 1],
        [1, 1, 1, 0, 1, 1000, 150, 3300, 1],
        [1, 1, 1, 1, 1, 1000, 0, 3300, 1],
    ],
)
def test_an_answer_that_is_not_the_script_s_is_a_lost_quota(answer: Any) -> None:
    with pytest.raises(QuotaLostError, match="not the script's"):
        Lease.of(answer, most=10, where="redis://127.0.0.1")
