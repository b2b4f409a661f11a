from __future__ import annotations

import asyncio
import signal
import sys
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import pytest
import redis.asyncio

from stopcast.errors import ClosedError, ConfigurationError, QuotaLostError
from stopcast.events import Event, QuotaFound, QuotaLost
from stopcast.fleet.quota.redis_ledger import Lease, RedisLedger, Request, ledger_key
from stopcast.fleet.quota.shared_quota import SharedQuota
from stopcast.fleet.quota.slots import QuotaSettings
from stopcast.limiters import TokenBucket
from stopcast.ports import Limiter
from stopcast.sandbox import Emulator
from stopcast.sandbox.thread import serving
from support.processes import HANGS_AFTER_SECONDS, Shell, tasks, until, write_csv
from support.processes import end_of as end_of_process
from support.redis_server import RedisServer, free_port
from support.waiting import event_of

KEY = ledger_key("account", "StopWebcast")
SETTINGS = QuotaSettings()
FULL = SETTINGS.full_rate


class Calls:
    """Waiting callers of some quotas, and when each was let go."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, limiter: Limiter, waiting: int = 20) -> list[float]:
        """Ask over and over; return what is the limiter's own share of the times."""
        own: list[float] = []

        async def ask() -> None:
            while True:
                await limiter.acquire()
                own.append(time.monotonic())
                self.times.append(own[-1])

        self._tasks += [asyncio.create_task(ask()) for _ in range(waiting)]
        return own

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def reach(self, number: int) -> None:
        """Return when there were this many more."""
        until = len(self.times) + number
        async with asyncio.timeout(30):
            while len(self.times) < until:
                await asyncio.sleep(0.005)

    @property
    def worst_second(self) -> int:
        return max(last + 1 - bisect_right(self.times, moment - 1) for last, moment in enumerate(self.times))


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    calls = Calls()
    yield calls
    await calls.end()


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


async def verified(ledger: RedisLedger) -> None:
    while ledger.unverified:
        await ledger.ask(Request(settings=SETTINGS, verify=True))


async def asked(ledger: RedisLedger, permits: int = 0, throttled: int = 0, hold_seconds: float = 0.0) -> Lease:
    request = Request(settings=SETTINGS, permits=permits, throttled=throttled, hold_seconds=hold_seconds)
    lease = await ledger.ask(request)
    assert lease is not None
    return lease


async def granted(ledger: RedisLedger, permits: int, times: int = 4) -> list[Lease]:
    """Lease this number of times; verify the server first."""
    await verified(ledger)
    leases: list[Lease] = []
    while len(leases) < times:
        lease = await ledger.ask(Request(settings=SETTINGS, permits=permits))
        if lease is None:
            await verified(ledger)
        elif lease.permits:
            leases.append(lease)
        else:
            await asyncio.sleep(lease.wait_seconds)
    return leases


def end_of(leases: Sequence[Lease]) -> float:
    return max(lease.first_at + lease.permits * lease.slot_seconds for lease in leases)


async def test_the_first_slot_of_a_new_account_is_a_second_away(redis_url: str) -> None:
    async with RedisLedger(redis_url, "account") as ledger:
        first = await ledger.ask(Request(settings=SETTINGS, verify=True))
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


FIELDS = ["next", "seen", "rate", "rate_at", "held", "second", "count", "worst_count", "server"]


async def survives(url: str, trouble: Callable[[redis.asyncio.Redis, str], Awaitable[object]], name: str) -> None:
    """Let trouble happen to an account that is in use; fail if slots overlap or the account stands still."""
    async with redis.asyncio.Redis.from_url(url) as client, RedisLedger(url, name) as ledger:
        before = await granted(ledger, 6)
        await trouble(client, ledger_key(name, "StopWebcast"))
        after = await granted(ledger, 6, times=2)
    assert end_of(before) <= after[0].first_at + 1e-6, name
    assert after[0].first_at <= max(end_of(before), after[0].now) + 1.01, name
    assert after[1].first_at - end_of(after[:1]) < 0.1, name


async def test_no_absurd_value_makes_slots_overlap_or_freezes_the_account(redis_url: str) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for field in FIELDS:
            for value in ABSURD:

                def spoil(client: Any, key: str, field: str = field, value: str = value) -> Awaitable[object]:
                    result: Awaitable[object] = client.hset(key, field, value)
                    return result

                group.create_task(survives(redis_url, spoil, f"{field}={value}"))


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

    async def flush(client: Any, _: str) -> None:
        await client.script_flush()

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for trouble in (forget, replace, flush):
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


async def test_a_user_with_no_more_than_its_own_keys_can_use_it(redis_server: RedisServer, calls: Calls) -> None:
    allowed = ["+eval", "+evalsha", "+time", "+hmget", "+hset", "+hincrby", "+pexpire", "+del", "+info"]
    redis_server.ask("ACL", "SETUSER", "worker", "on", ">word", "~stopcast:quota:*", *allowed)
    async with SharedQuota(redis_server.url.replace("//", "//worker:word@"), account="account") as quota:
        calls.begin(quota)
        await calls.reach(20)


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


@pytest.mark.parametrize("setting", [{"account": ""}, {"lost_share": 0}, {"max_per_second": 0}])
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


def test_runs_of_one_account_share_its_cap(shell: Shell, redis_url: str) -> None:
    # Calls may arrive 100 ms late, so that it does not matter how busy the machine is. Each alone makes 18 a second.
    with serving(Emulator(quota_per_second=20)) as api:
        names = [write_csv(shell / f"{n}.csv", tasks(30, first=200 * n)) for n in range(2)]
        options: tuple[str, ...] = (
            "--endpoint",
            api.url,
            "--quota",
            redis_url,
            "--account",
            "main",
            "--max-per-second",
            "20",
            "--arrival-jitter",
            "100",
        )
        running = [shell.start("run", name, "-o", f"{name}.jsonl", *options, "--json", "-q") for name in names]
        ended = [end_of_process(process) for process in running]
    assert [run.status for run in ended] == [0, 0]
    assert max(last + 1 - bisect_right(api.arrivals, moment - 1) for last, moment in enumerate(api.arrivals)) <= 20
    assert not any(run.summary["calls"] > 30 for run in ended), "the emulator throttled, so the cap did not hold"


def test_a_run_that_loses_the_quota_says_so_stops_calling_and_goes_on_later(
    shell: Shell, redis_server: RedisServer
) -> None:
    with serving(Emulator()) as api:
        name = write_csv(shell / "tasks.csv", tasks(150))
        options = ("--endpoint", api.url, "--quota", redis_server.url, "--account", "main")
        run = shell.start("run", name, *options)
        until(lambda: len(api.arrivals) > 20)
        redis_server.kill()
        assert run.stderr is not None
        assert b"Stopping tasks.csv" in run.stderr.readline()
        said = run.stderr.readline().decode()
        assert "the shared quota at redis://127.0.0.1:" in said
        assert "0 calls a second until the shared quota is back" in said
        redis_server.start()
        ended = end_of_process(run)
    assert ended.status == 0
    assert "the shared quota is back after" in ended.err
    assert len(api.arrivals) == 150


def test_a_quota_that_cannot_be_reached_ends_the_run_before_it_begins_and_no_password_is_shown(shell: Shell) -> None:
    name = write_csv(shell / "tasks.csv", tasks(1))
    url = f"redis://user:secret@127.0.0.1:{free_port()}/0"
    ended = shell.run("run", name, "--quota", url, "--account", "main")
    assert ended.status == 3
    assert "others on this machine can see the password in --quota; set STOPCAST_QUOTA" in ended.err
    assert "redis://***@127.0.0.1" in ended.err
    shell.variables["STOPCAST_QUOTA"] = url
    quiet = shell.run("run", name, "--account", "main")
    assert quiet.status == 3
    assert "others on this machine" not in quiet.err
    assert "secret" not in ended.err + quiet.err
    assert not (shell / "stopcast-report.jsonl").exists()


def test_the_printed_resume_command_has_no_password_in_it(shell: Shell, redis_server: RedisServer) -> None:
    redis_server.ask("CONFIG", "SET", "requirepass", "secret")
    with serving(Emulator()) as api:
        name = write_csv(shell / "tasks.csv", tasks(500))
        url = redis_server.url.replace("//", "//:secret@")
        run = shell.start("run", name, "--endpoint", api.url, f"--quota={url}", "--account", "main")
        until(lambda: len(api.arrivals) > 5)
        run.send_signal(signal.SIGINT)
        ended = end_of_process(run)
    assert ended.status == 130
    assert "--quota=redis://***@127.0.0.1" in ended.err
    assert "secret" not in ended.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--quota", "redis://localhost"), "--account"),
        (("--quota", "localhost", "--account", "a"), "not the address of a Redis"),
        (("--quota", "redis://localhost", "--account", "a", "--quota-lost", "share:0"), "share:N"),
        (("--quota", "redis://localhost", "--account", "a", "--quota-lost", "local"), "share:N"),
    ],
)
def test_a_wrong_quota_option_is_wrong_usage(shell: Shell, options: tuple[str, ...], said: str) -> None:
    ended = shell.run("run", write_csv(shell / "tasks.csv", tasks(1)), *options)
    assert ended.status == 2
    assert said in ended.err


async def test_status_shows_the_rate_of_the_account(shell: Shell, redis_url: str) -> None:
    options = ("status", "--quota", redis_url, "--account", "account")
    assert "not used within the last day" in shell.run_process(*options).out
    async with RedisLedger(redis_url, "account") as ledger:
        leases = await granted(ledger, 6)
        await asked(ledger, throttled=100, hold_seconds=40)
    ended = shell.run_process(*options, "--json")
    assert ended.status == 0
    shown = ended.summary["quota"]
    assert shown["permits"] == sum(lease.permits for lease in leases)
    assert shown["throttled"] == 100
    assert shown["full_rate"] == round(FULL, 1)
    assert shown["rate"] < FULL
    assert 0 < shown["held_seconds"] <= 40
    assert "throttled down from 148.5, and none for" in shell.run_process(*options).out


def test_status_of_a_quota_that_is_not_there_is_reported_without_its_password(shell: Shell) -> None:
    ended = shell.run("status", "--quota", f"redis://:secret@127.0.0.1:{free_port()}/0", "--account", "a")
    assert ended.status == 3
    assert "redis://***@127.0.0.1" in ended.err
    assert "secret" not in ended.err
    assert shell.run("status").status == 2
