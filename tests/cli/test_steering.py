"""Steering a run while it goes on, by signals, keys and a control file."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stopcast import Stopper, Unlimited
from stopcast.accounts.router import Router
from stopcast.cli.options import OutputOptions
from stopcast.cli.running.steering import Steering
from stopcast.cli.user import User
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator
from support.processes import Shell, end_of, statuses, tasks, until, write_csv

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"


def logged(process: subprocess.Popen[bytes], text: str) -> None:
    """Return when the command has logged this text."""
    assert process.stderr is not None
    while text.encode() not in (line := process.stderr.readline()):
        assert line, f"it never logged {text}"


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
