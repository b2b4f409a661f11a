from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from stopcast import CanaryError, Stopper, TimeIsUpError, Unlimited
from stopcast.accounts.router import Router
from stopcast.cli.options import OutputOptions
from stopcast.cli.options.guards import seconds_until
from stopcast.cli.running.steering import Steering
from stopcast.cli.user import User
from stopcast.errors import ConfigurationError
from stopcast.run import Run
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from stopcast.sources.iterables import batches_of
from support.processes import Shell, end_of, lines_by_task, read_report, statuses, tasks, until, write_csv
from support.virtual import Api, in_virtual_time, stopped, virtual_stopper

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"


def logged(process: subprocess.Popen[bytes], text: str) -> None:
    """Return when the command has logged this text."""
    assert process.stderr is not None
    while text.encode() not in (line := process.stderr.readline()):
        assert line, f"it never logged {text}"


# The canary


def test_after_a_good_canary_the_other_tasks_are_sent(shell: Shell, api: Emulator, at: At) -> None:
    api.running = set(tasks(40, first=3))
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(40)), *at, "--canary", "5")
    assert ended.status == 0
    assert "Canary passed: the first 5 tasks ended well" in ended.err
    assert statuses(shell / REPORT) == {"stopped": 37, "already_stopped": 3}


@pytest.mark.parametrize(
    ("fault", "status", "how"),
    [
        ("parameter", "failed", "was refused (InvalidParameter"),
        ("app", "set_aside", "was set aside (InvalidParameter.NotExistAppId)"),
        ("internal", "gave_up", "was given up (InternalError)"),
    ],
)
def test_after_a_bad_canary_nothing_else_is_sent_and_the_status_is_3(
    shell: Shell, api: Emulator, at: At, *, fault: str, status: str, how: str
) -> None:
    api.faults = Faults({fault: [tasks(3)[2]]})
    name = write_csv(shell / "list.csv", tasks(500))
    ended = shell.run("run", name, *at, "--canary", "3", "--max-attempts", "1")
    assert ended.status == 3
    assert ended.without_traceback
    assert f"canary failed: app/room-2/task-2 {how}" in ended.err
    assert "Nothing beyond the first 3 tasks was sent" in ended.err
    # First why it ended, then the totals, then the command.
    assert (
        ended.err.index("canary failed") < ended.err.index("3 rows: 2 stopped") < ended.err.index("stopcast run --re")
    )
    assert "stopcast run --resume" in ended.err
    assert statuses(shell / REPORT) == {"stopped": 2, status: 1}
    assert api.calls == 3


def test_a_canary_of_one_task_and_a_halt_after_one_have_words_of_their_own(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": [tasks(1)[0], tasks(1)[0]]})
    name = write_csv(shell / "list.csv", tasks(5))
    ended = shell.run("run", name, *at, "--canary", "1", "-o", "one.jsonl")
    assert "Nothing beyond the first task was sent" in ended.err
    ended = shell.run("run", name, *at, "--halt-after", "1", "--max-at-once", "1", "-o", "two.jsonl")
    assert "the first task ended badly, too many to go on: InvalidParameter" in ended.err


def test_invalid_and_duplicate_rows_do_not_count_for_the_canary(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": [tasks(3)[1]]})
    listed = tasks(300)
    name = write_csv(shell / "list.csv", [listed[0]._replace(task_id=""), listed[0], listed[0], *listed[1:]])
    assert shell.run("run", name, *at, "--canary", "1").status == 1
    assert sum(lines_by_task(shell / REPORT).values()) == 302


def test_a_resumed_run_takes_its_canary_from_the_remaining_rows(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": tasks(1)})
    name = write_csv(shell / "list.csv", tasks(50))
    assert shell.run("run", name, *at, "--canary", "1").status == 3
    assert shell.run("run", name, *at, "--canary", "1", "--resume").status == 1
    assert statuses(shell / REPORT) == {"stopped": 49, "failed": 1}
    assert api.calls == 50


async def test_the_class_run_raises_canary_error(tmp_path: Path) -> None:
    async with Emulator(faults=Faults({"parameter": 1.0})) as emulator:
        async with Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url) as stopper:
            run = Run(stopper, tmp_path / "report", canary=2)
            with pytest.raises(CanaryError):
                await run.stop_lists(batches_of(tasks(100)))
        assert emulator.calls <= 2


# Until


BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 22, 12, 0, 30, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400),
        ("2h", 7200),
        ("1h30m", 5400),
        ("45s", 45),
        (" 1H 1S ".replace(" ", ""), 3601),
        ("12:01", 30),
        ("6:00", 18 * 3600 - 30),
        ("12:00", 24 * 3600 - 30),
    ],
)
def test_until_takes_the_next_time_of_day_or_a_duration_from_now(text: str, seconds: float) -> None:
    assert seconds_until(text, NOON) == seconds


def test_until_counts_the_hour_that_the_clocks_are_put_back() -> None:
    assert seconds_until("06:00", datetime(2026, 10, 24, 22, tzinfo=BERLIN)) == 9 * 3600


@pytest.mark.parametrize("text", ["", "0m", "-1h", "24:00", "12:60", "1:5", "noon", "10", "1d", "\u0661h", "nan"])
def test_until_refuses_any_other_text(text: str) -> None:
    with pytest.raises(ConfigurationError, match="06:00"):
        seconds_until(text, NOON)


@pytest.mark.parametrize("text", ["8761h", f"{10**12}m", f"{10**30}s", "9" * 5000 + "h"])
def test_until_refuses_a_time_beyond_a_year(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"too long|06:00"):
        seconds_until(text, NOON)


def test_when_time_is_up_no_call_is_in_flight_and_the_remaining_rows_are_counted(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(900))
    options = ("--endpoint", api.url, "--max-per-second", "50", "--timeout", "1", "--until", "3s")
    ended = shell.run("run", name, *options)
    done = len(read_report(shell / REPORT))
    assert ended.status == 1
    assert ended.without_traceback
    assert 0 < api.calls == done < 900
    assert f"of the list is left ({900 - done} rows)" in ended.err
    assert "stopcast run --resume" in ended.err
    assert shell.run("run", name, "--endpoint", api.url, "--max-per-second", "100000", "--resume").status == 0
    assert lines_by_task(shell / REPORT) == dict.fromkeys(tasks(900), 1)


def test_a_list_that_ends_before_the_time_is_up_has_status_0(shell: Shell, at: At) -> None:
    assert shell.run("run", write_csv(shell / "list.csv", tasks(3)), *at, "--until", "1h").status == 0


def test_until_is_refused_if_it_leaves_no_time_for_a_call(shell: Shell) -> None:
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), "--sandbox", "--until", "10s")
    assert ended.status == 2
    assert "--timeout" in ended.err
    assert not (shell / REPORT).exists()


def test_the_last_call_begins_one_timeout_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy disk virtual seconds pass within one sync, which then counts as stuck.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "fdatasync", lambda _: None)
    api = Api(stopped, latency_seconds=3.0)

    async def tick() -> None:
        # A virtual clock jumps to the next timer while a thread works: this keeps that timer near.
        while True:
            await asyncio.sleep(0.01)

    async def main() -> None:
        async with virtual_stopper(api, timeout_seconds=10) as stopper:
            # Lines of a file are written at once. Those of a pipe or a device go through a thread, and the calls wait.
            run = Run(stopper, tmp_path / "report.jsonl", ends_at=60.0)
            ticking = asyncio.create_task(tick())
            with pytest.raises(TimeIsUpError):
                await run.stop_lists(batches_of(tasks(20_000)))
            ticking.cancel()
            assert run.finished == len(api.sent)

    in_virtual_time(main)
    assert 49 <= max(moment for moment, _ in api.sent) <= 50


# Slower, faster, paused


def test_signals_slow_a_run_and_speed_it_up_to_the_cap_at_most(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(100_000))
    process = shell.start("run", name, "--endpoint", api.url, "--max-per-second", "50")
    until(lambda: api.calls)
    for number, words in [
        (signal.SIGUSR1, "at most 45 of 50"),
        (signal.SIGUSR1, "at most 40 of 50"),
        (signal.SIGUSR2, "at most 45 of 50"),
        (signal.SIGUSR2, "at most 50 of 50"),
    ]:
        process.send_signal(number)
        logged(process, words)
    process.send_signal(signal.SIGUSR2)
    process.send_signal(signal.SIGUSR1)
    logged(process, "at most 45 of 50")
    process.send_signal(signal.SIGINT)
    assert end_of(process).status == 130


def test_the_slowest_step_is_a_pause_and_the_next_faster_one_resumes(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(30))
    process = shell.start("run", name, "--endpoint", api.url, "--max-per-second", "5")
    until(lambda: api.calls)
    for tenths in range(9, 0, -1):
        process.send_signal(signal.SIGUSR1)
        logged(process, f"at most {tenths / 2:g} of 5")
    process.send_signal(signal.SIGUSR1)
    logged(process, "Paused")
    process.send_signal(signal.SIGUSR2)
    logged(process, "Resumed, at most 0.5 of 5")
    process.send_signal(signal.SIGINT)
    assert end_of(process).status == 130


async def test_a_slower_step_below_the_slowest_rate_that_a_control_file_can_set_is_a_pause() -> None:
    async with Stopper(SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1") as stopper:
        stopper.limit_to(1)
        Steering(stopper, User(OutputOptions()), end=lambda: None).receive(signal.SIGUSR1)
        assert stopper.paused


async def test_keys_for_the_rate_are_shown_only_where_it_can_be_changed() -> None:
    async with Stopper(SANDBOX_CREDENTIALS, limiter=Unlimited(), endpoint="http://127.0.0.1") as stopper:
        steering = Steering(stopper, User(OutputOptions()), end=lambda: None)
        steering.read_keys(True)
        assert [key for key, _ in steering.key_labels()] == ["p", "q"]


async def test_a_rate_of_several_accounts_is_logged_for_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stoppers = {
        name: Stopper(SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1", max_per_second=cap)
        for name, cap in (("a", 30), ("b", 150))
    }
    async with Router(stoppers, {"app": "a", "*": "b"}) as router:
        Steering(router, User(OutputOptions()), end=lambda: None).receive(signal.SIGUSR1)
    assert "From now on at most 135 calls a second for each account." in caplog.messages


def test_a_control_file_pauses_resumes_and_sets_the_rate(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(40))
    (shell / "control").write_text("pause\n")
    process = shell.start("run", name, "--endpoint", api.url, "--max-per-second", "100", "--control", "control")
    logged(process, f"Paused. To continue: kill -USR2 {process.pid}, or echo resume > control")
    assert api.calls <= 1
    (shell / "control").write_text("Rate 75\nquicker\nrate 500\nrate many\n")
    logged(process, "Still paused; after that at most 75 of 100 calls a second. To continue: kill -USR2")
    logged(process, "'quicker' is none of: pause, resume, faster, slower, end, rate N")
    logged(process, "a rate is a number from 1 to 100, not 500")
    logged(process, "rate many")
    (shell / "control").write_text("resume")
    logged(process, "Resumed, at most 75 of 100")
    ended = end_of(process)
    assert ended.status == 0
    assert ended.without_traceback
    assert statuses(shell / REPORT) == {"stopped": 40}


def test_a_paused_run_ends_at_a_signal(shell: Shell, api: Emulator) -> None:
    (shell / "control").write_text("pause")
    name = write_csv(shell / "list.csv", tasks(40))
    process = shell.start("run", name, "--endpoint", api.url, "--max-per-second", "20", "--control", "control")
    logged(process, "Paused.")
    process.send_signal(signal.SIGTERM)
    assert end_of(process).status == 143


def test_the_words_of_a_control_file_do_what_the_signals_do(shell: Shell, api: Emulator) -> None:
    (shell / "control").write_text("slower\nslower\nfaster\n")
    name = write_csv(shell / "list.csv", tasks(4000))
    process = shell.start("run", name, "--endpoint", api.url, "--max-per-second", "100", "--control", "control")
    logged(process, "at most 90 of 100")
    logged(process, "at most 80 of 100")
    logged(process, "at most 90 of 100")
    (shell / "control").write_text("end")
    ended = end_of(process)
    assert ended.status == 130
    assert "stopcast run --resume" in ended.err


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [a_folder, os.mkfifo], ids=["folder", "fifo"])
def test_a_path_that_cannot_be_a_control_file_is_refused(shell: Shell, make: Callable[[Path], None]) -> None:
    make(shell / "control")
    name = write_csv(shell / "list.csv", tasks(1))
    assert "not a regular file" in shell.run("run", name, "--sandbox", "--control", "control").err
    assert shell.run("run", name, "--sandbox", "--control", "nowhere/control").status == 2


def test_a_control_file_need_not_exist(shell: Shell, at: At) -> None:
    assert shell.run("run", write_csv(shell / "list.csv", tasks(1)), *at, "--control", "control").status == 0


def test_a_reader_of_the_control_file_that_fails_ends_the_run_with_its_cause(
    shell: Shell, api: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path, _known: object) -> None:
        message = "broken"
        raise RuntimeError(message)

    monkeypatch.setattr("stopcast.cli.running.steering._read", fail)
    options = ("--endpoint", api.url, "--max-per-second", "20", "--control", "control")
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(10_000)), *options)
    assert ended.status == 3
    assert "the background task reader of --control control failed: RuntimeError: broken" in ended.err
