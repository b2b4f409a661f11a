"""Processes of one account share its cap: permits, leases and throttling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import pytest
import redis.asyncio

from stopcast.errors import QuotaLostError
from stopcast.fleet.quota.redis_ledger import INDEX_KEY, Lease, LedgerRequest, RedisLedger, ledger_key
from stopcast.fleet.quota.shared_quota import SharedQuota
from support.quota_calls import FULL, SETTINGS, Calls, asked, granted
from support.redis_server import RedisServer

KEY = ledger_key("account", "StopWebcast")


async def test_two_processes_of_one_account_keep_its_cap_together(redis_url: str, calls: Calls) -> None:
    # That they share it equally and use it whole is shown in virtual time, whatever the machine does.
    async with SharedQuota(redis_url, account="account") as one, SharedQuota(redis_url, account="account") as other:
        first, second = calls.begin(one), calls.begin(other)
        await calls.reach(200)
        await calls.end()
    assert calls.worst_second <= 150
    assert first
    assert second


async def test_two_accounts_do_not_affect_each_other(redis_url: str, calls: Calls) -> None:
    async with SharedQuota(redis_url, account="account") as one, SharedQuota(redis_url, account="other") as other:
        calls.begin(one)
        await calls.reach(1)
        first_came_at = time.monotonic()
        calls.begin(other)
        await calls.reach(150)
    assert first_came_at > 0


def end_of(leases: Sequence[Lease]) -> float:
    return max(lease.first_at + lease.permits * lease.slot_seconds for lease in leases)


async def test_the_first_slot_of_a_new_account_is_a_second_away(redis_url: str) -> None:
    async with RedisLedger(redis_url, "account") as ledger:
        first = await ledger.ask(LedgerRequest(settings=SETTINGS, verify=True))
        assert first is not None
        (lease,) = await granted(ledger, 1, times=1)
    assert first.now + 1 <= lease.first_at <= first.now + 1.1


async def test_an_account_that_was_idle_begins_at_once(redis_url: str) -> None:
    async with RedisLedger(redis_url, "account") as ledger:
        last = end_of(await granted(ledger, 1))
        await asyncio.sleep(max(0, last - time.time()) + 0.05)
        (lease,) = await granted(ledger, 1, times=1)
    assert lease.first_at == pytest.approx(lease.now, abs=1e-6)


ABSURD = [
    "",
    "abc",
    "nan",
    "-nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "1",
    "1e300",
    "-1e300",
    "0x10",
    "99999999999999999999",
    "1e15",
]


FIELDS = ["next", "seen", "rate", "rate_at", "held", "second", "count", "last_count", "worst_count", "server", "made"]
FIELDS += ["permits", "throttled"]


async def survives(url: str, trouble: Callable[[redis.asyncio.Redis, str], Awaitable[object]], name: str) -> None:
    """Let trouble happen to an account that is in use; fail if slots overlap or the account stands still."""
    async with redis.asyncio.Redis.from_url(url) as client, RedisLedger(url, name) as ledger:
        before = await granted(ledger, 6)
        await trouble(client, ledger_key(name, "StopWebcast"))
        after = await granted(ledger, 6, times=2)
    assert end_of(before) <= after[0].first_at + 1e-6, name
    assert after[0].first_at <= max(end_of(before), after[0].now) + 1.01, name
    # On a busy machine the second question may come late.
    assert after[1].first_at <= max(end_of(after[:1]), after[1].now) + 0.1, name


async def test_no_absurd_value_makes_slots_overlap_or_freezes_the_account(redis_url: str) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for field in FIELDS:
            for value in ABSURD:

                def spoil(client: Any, key: str, field: str = field, value: str = value) -> Awaitable[object]:
                    result: Awaitable[object] = client.hset(key, field, value)
                    return result

                group.create_task(survives(redis_url, spoil, f"{field}={value}"))


@pytest.mark.parametrize("field", ["max_per_second", "arrival_jitter", "full"])
async def test_no_absurd_setting_ends_the_use_of_the_account(redis_url: str, field: str) -> None:
    async with asyncio.timeout(30), redis.asyncio.Redis.from_url(redis_url) as client:
        for value in ABSURD:
            async with SharedQuota(redis_url, account=value or "empty") as quota:
                await quota.acquire()
                await client.hset(ledger_key(value or "empty", "StopWebcast"), field, value)
                await quota.acquire()


async def test_a_clock_of_redis_that_is_set_back_makes_no_slots_overlap_and_freezes_nothing(redis_url: str) -> None:
    # What was stored a moment ago lies in the future then.
    async def set_back(client: Any, key: str, seconds: float) -> None:
        for field in ("next", "seen", "rate_at", "held", "second"):
            ahead = seconds if field == "second" else seconds * 1e6
            await client.hincrby(key, field, round(ahead))

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for seconds in (0.001, 0.2, 1, 5, 3600, 1e8):
            group.create_task(survives(redis_url, partial(set_back, seconds=seconds), f"set back by {seconds}"))


async def test_a_lost_state_makes_no_slots_overlap(redis_url: str) -> None:
    async def forget(client: Any, key: str) -> None:
        await client.delete(key)

    async def replace(client: Any, key: str) -> None:
        await client.set(key, "something else")

    async def replace_index(client: Any, _: str) -> None:
        await client.set(INDEX_KEY, "something else")

    async def flush(client: Any, _: str) -> None:
        await client.script_flush()

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for trouble in (forget, replace, replace_index, flush):
            group.create_task(survives(redis_url, trouble, trouble.__name__))


async def test_a_server_with_an_older_state_than_was_given_out_gives_nothing_for_a_second(
    redis_server: RedisServer,
) -> None:
    # As after a failover to a replica that lagged, or a restart with the last second of its log missing.
    async with RedisLedger(redis_server.url, "account") as ledger:
        old = redis_server.ask("HGETALL", KEY)
        before = await granted(ledger, 6)
        old = redis_server.ask("HGETALL", KEY)
        lost = await granted(ledger, 6)
        redis_server.kill()
        redis_server.start()
        redis_server.ask("HSET", KEY, *(part for pair in old.items() for part in pair))
        with pytest.raises(QuotaLostError):
            await granted(ledger, 6)
        after = await granted(ledger, 6)
    assert end_of(before) <= lost[0].first_at + 1e-6
    assert end_of(lost) <= after[0].first_at


async def test_leases_are_small_the_smaller_the_more_ask_and_none_ends_more_than_a_second_ahead(redis_url: str) -> None:
    async with RedisLedger(redis_url, "account") as ledger:
        last = end_of(await granted(ledger, 1, times=1))
        await asyncio.sleep(last - time.time())
        answers = [await asked(ledger, 1000) for _ in range(200)]
    leases = [lease for lease in answers if lease.permits]
    assert leases[0].permits == 6
    assert leases[0].permits * leases[0].slot_seconds <= 0.042
    assert leases[-1].permits == 1
    assert sum(lease.permits for lease in leases) >= 140
    # In whole microseconds, as Redis counts them: as floats they differ by less.
    assert all(round((end_of([lease]) - lease.now) * 1e6) <= 1e6 for lease in leases)


async def test_a_throttled_answer_takes_one_a_second_off_for_all_and_it_comes_back(redis_url: str) -> None:
    async with RedisLedger(redis_url, "account") as ledger, RedisLedger(redis_url, "account") as other:
        await granted(ledger, 1)
        await granted(other, 1)
        slowed = await asked(ledger, throttled=40)
        assert slowed.rate == pytest.approx(FULL - 40, abs=0.1)
        (lease,) = await granted(other, 6, times=1)
        assert FULL - 41 < lease.rate < FULL - 38
        assert lease.slot_seconds == pytest.approx(1 / lease.rate, rel=0.01)
        await asyncio.sleep(0.5)
        (lease,) = await granted(other, 6, times=1)
        # 148.5 in 25 s.
        assert lease.rate > FULL - 40 + 0.5 * FULL / 25 - 0.1
        slowest = await asked(ledger, throttled=10**6)
        assert slowest.rate == pytest.approx(FULL / 30, abs=0.1)


async def test_no_process_of_the_account_calls_while_it_is_held(redis_url: str, calls: Calls) -> None:
    async with SharedQuota(redis_url, account="account") as one, SharedQuota(redis_url, account="account") as other:
        calls.begin(one)
        calls.begin(other)
        await calls.reach(10)
        held_at = time.monotonic()
        one.hold(0.6)
        await calls.reach(40)
        await calls.end()
    # Leases that others had already are used to their end.
    late = [moment - held_at for moment in calls.times if moment > held_at + 0.2]
    assert late[0] > 0.59
    assert calls.worst_second <= 150
