"""A shared quota whose Redis is away, stands still or refuses, and workers that die."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from stopcast.errors import ClosedError, ConfigurationError, QuotaLostError
from stopcast.events import Event, QuotaFound, QuotaLost
from stopcast.fleet.quota.quota_status import quota_status
from stopcast.fleet.quota.shared_quota import SharedQuota
from stopcast.limiters import TokenBucket
from stopcast.redis_metrics import RedisMetrics
from support.processes import HANGS_AFTER_SECONDS
from support.quota_calls import Calls
from support.redis_server import RedisServer, free_port
from support.waiting import event_of


async def test_no_call_goes_while_redis_is_away_which_is_reported_and_calls_go_on_when_it_is_back(
    redis_server: RedisServer, calls: Calls
) -> None:
    events: list[Event] = []
    async with SharedQuota(redis_server.url, account="account") as quota:
        quota.subscribe(events.append)
        calls.begin(quota)
        await calls.reach(100)
        redis_server.kill()
        lost = await event_of(events, QuotaLost)
        assert lost.per_second == 0
        assert str(redis_server.port) in lost.reason
        await asyncio.sleep(0.1)
        without = len(calls.times)
        await asyncio.sleep(0.3)
        assert len(calls.times) == without
        redis_server.start()
        await event_of(events, QuotaFound)
        await calls.reach(100)
    assert [type(event) for event in events] == [QuotaLost, QuotaFound]
    assert calls.worst_second <= 150


async def test_a_server_that_stands_still_counts_as_lost(redis_server: RedisServer, calls: Calls) -> None:
    events: list[Event] = []
    async with SharedQuota(redis_server.url, account="account") as quota:
        quota.subscribe(events.append)
        calls.begin(quota)
        await calls.reach(100)
        redis_server.freeze()
        await event_of(events, QuotaLost)
        redis_server.thaw()
        await event_of(events, QuotaFound)
        await calls.reach(100)
    assert calls.worst_second <= 150


async def test_each_process_goes_on_with_its_share_while_redis_is_away(redis_server: RedisServer, calls: Calls) -> None:
    events: list[Event] = []
    async with SharedQuota(redis_server.url, account="account", lost_share=3) as quota:
        quota.subscribe(events.append)
        calls.begin(quota)
        await calls.reach(10)
        redis_server.kill()
        lost = await event_of(events, QuotaLost)
        assert lost.per_second == TokenBucket(50).full_rate
        await calls.reach(30)
        assert calls.times[-1] - calls.times[-25] > 24 / 50
        redis_server.start()
        await event_of(events, QuotaFound)
        # On a busy machine it takes a while until 25 calls come faster than the share.
        async with asyncio.timeout(HANGS_AFTER_SECONDS):
            while calls.times[-1] - calls.times[-25] >= 24 / 50:
                await calls.reach(5)
    assert calls.worst_second <= 150


async def test_a_later_subscriber_gets_the_loss_of_the_quota(redis_server: RedisServer) -> None:
    redis_server.kill()
    events: list[Event] = []
    async with SharedQuota(redis_server.url, account="account", lost_share=2) as quota:
        quota.subscribe(events.append)
        assert [type(event) for event in events] == [QuotaLost]
        redis_server.start()
        await event_of(events, QuotaFound)


async def test_a_server_that_is_not_there_and_a_wrong_password_are_reported_on_entering(
    redis_server: RedisServer,
) -> None:
    with pytest.raises(QuotaLostError, match=r"\*\*\*@127\.0\.0\.1:\d+/0: Error 111"):
        async with SharedQuota(f"redis://:secret@127.0.0.1:{free_port()}/0", account="account"):
            pass
    redis_server.ask("CONFIG", "SET", "requirepass", "right")
    with pytest.raises(ConfigurationError) as refused:
        async with SharedQuota(redis_server.url.replace("//", "//:wrong@"), account="account"):
            pass
    assert "***@127.0.0.1" in str(refused.value)
    assert "wrong" not in str(refused.value).replace("WRONGPASS", "")


async def test_a_refused_login_is_a_wrong_configuration_for_its_status_and_metrics_too(
    redis_server: RedisServer,
) -> None:
    redis_server.ask("CONFIG", "SET", "requirepass", "secret")
    url = redis_server.url.replace("//", "//:wrong@")
    for asking in (
        quota_status(url, "account"),
        RedisMetrics(CollectorRegistry(), quotas=[(url, "main")]).__aenter__(),
    ):
        with pytest.raises(ConfigurationError, match="Redis refuses access to the shared quota at redis://"):
            await asking


async def test_an_error_of_the_script_is_shown_without_its_line(redis_server: RedisServer) -> None:
    async with SharedQuota(redis_server.url, account="account") as quota:
        events: list[Event] = []
        quota.subscribe(events.append)
        redis_server.ask("CONFIG", "SET", "maxmemory", "1")
        asking = asyncio.create_task(quota.acquire())
        lost = await event_of(events, QuotaLost)
        assert lost.reason.endswith("command not allowed when used memory > 'maxmemory'.")
        redis_server.ask("CONFIG", "SET", "maxmemory", "0")
        await asking


async def test_a_user_with_no_more_than_its_own_keys_can_use_it(redis_server: RedisServer, calls: Calls) -> None:
    allowed = ["+eval", "+evalsha", "+time", "+hmget", "+hset", "+pexpire", "+del", "+info"]
    redis_server.ask("ACL", "SETUSER", "worker", "on", ">word", "~stopcast:quota:*", *allowed)
    async with SharedQuota(redis_server.url.replace("//", "//worker:word@"), account="account") as quota:
        calls.begin(quota)
        await calls.reach(20)


async def test_a_right_that_is_revoked_is_reported_as_refused_and_leaves_no_share(
    redis_server: RedisServer, calls: Calls
) -> None:
    redis_server.ask("ACL", "SETUSER", "worker", "on", ">word", "~*", "+@all")
    events: list[Event] = []
    url = redis_server.url.replace("//", "//worker:word@")
    async with SharedQuota(url, account="account", lost_share=2) as quota:
        quota.subscribe(events.append)
        calls.begin(quota)
        await calls.reach(20)
        redis_server.ask("ACL", "SETUSER", "worker", "-hset")
        lost = await event_of(events, QuotaLost)
        assert lost.reason.startswith("Redis refuses access to the shared quota at redis://***@")
        assert lost.per_second == 0
        redis_server.ask("ACL", "SETUSER", "worker", "+hset")
        await event_of(events, QuotaFound)


async def test_outside_its_block_it_is_closed(redis_url: str) -> None:
    quota = SharedQuota(redis_url, account="account")
    with pytest.raises(ClosedError):
        await quota.acquire()
    async with quota:
        await quota.acquire()
        waiting = [asyncio.create_task(quota.acquire()) for _ in range(1000)]
        await asyncio.sleep(0)
    for task in waiting:
        with pytest.raises(ClosedError):
            async with asyncio.timeout(5):
                await task


@pytest.mark.parametrize("setting", [{"account": ""}, {"lost_share": 0}, {"lost_share": 151}, {"max_per_second": 0}])
async def test_a_setting_that_makes_no_sense_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        SharedQuota("redis://localhost", **{"account": "account", **setting})


async def test_callers_go_in_their_order_and_a_cancelled_one_costs_nothing(redis_url: str) -> None:
    order: list[int] = []

    async def ask(quota: SharedQuota, number: int) -> None:
        await quota.acquire()
        order.append(number)

    async with SharedQuota(redis_url, account="account") as quota:
        tasks = [asyncio.create_task(ask(quota, number)) for number in range(30)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [number for number in range(30) if number % 3]


WORKER = """
import asyncio, sys, time
from stopcast.fleet.quota.shared_quota import SharedQuota

async def main():
    async with SharedQuota(sys.argv[1], account="account") as quota:
        async def ask():
            while True:
                await quota.acquire()
                print(time.monotonic(), flush=True)
        await asyncio.gather(*(ask() for _ in range(20)))

asyncio.run(main())
"""


async def test_a_worker_that_stands_still_or_dies_takes_its_lease_with_it_and_nothing_else(
    redis_url: str, calls: Calls
) -> None:
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, redis_url, stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    theirs = [float(await worker.stdout.readline())]
    async with SharedQuota(redis_url, account="account") as quota:
        calls.begin(quota)
        await calls.reach(30)
        worker.send_signal(signal.SIGSTOP)
        await calls.reach(120)
        worker.send_signal(signal.SIGCONT)
        await calls.reach(50)
        worker.kill()
        await calls.reach(120)
        await calls.end()
    theirs += [float(line) for line in (await worker.stdout.read()).split()]
    await worker.wait()
    calls.times = sorted(calls.times + theirs)
    assert calls.worst_second <= 150
