"""Runs of the command that share a quota."""

from __future__ import annotations

import signal
from bisect import bisect_right

import pytest

from stopcast.fleet.connection import connected
from stopcast.fleet.quota.quota_status import quota_status
from stopcast.fleet.quota.redis_ledger import RedisLedger, ledger_keys
from stopcast.sandbox import Emulator
from stopcast.sandbox.thread import serving
from support.processes import Shell, tasks, until, write_csv
from support.processes import end_of as end_of_process
from support.quota_calls import FULL, asked, granted
from support.redis_server import RedisServer, free_port


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


async def test_status_holds_no_calls_for_the_time_by_which_the_clock_of_redis_was_set_back(redis_url: str) -> None:
    async with RedisLedger(redis_url, "account") as ledger:
        await asked(ledger, hold_seconds=40)
    async with connected(redis_url, timeout_seconds=10) as client:
        for field in ("next", "seen", "rate_at", "held"):
            await client.hincrby(ledger_keys("account", "StopWebcast")[0], field, 3600 * 10**6)
    assert 0 < (await quota_status(redis_url, "account")).held_seconds <= 40


def test_status_of_a_quota_that_is_not_there_is_reported_without_its_password(shell: Shell) -> None:
    ended = shell.run("status", "--quota", f"redis://:secret@127.0.0.1:{free_port()}/0", "--account", "a")
    assert ended.status == 3
    assert "redis://***@127.0.0.1" in ended.err
    assert "secret" not in ended.err
    assert shell.run("status").status == 2
