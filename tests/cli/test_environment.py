"""Environments that a command meets: streams that fail, no home, odd locales, low limits, leftover variables."""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial

import pytest

from stopcast.cli.standard_streams import StandardOutput
from stopcast.sandbox import Emulator, Faults
from support.processes import Shell, end_of, statuses, tasks, until, write_csv

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"

#: A command whose user has neither HOME nor an entry in the user database; files are opened as before.
NO_HOME = """
import os, sys
os.environ.pop("HOME", None)
os.setresuid(54321, 0, 0)
from stopcast.cli import main
main()
"""
#: A command in which one thing fails that no code expects.
BROKEN = """
from unittest.mock import patch
from stopcast.cli import main
with patch("stopcast.tasks.intake.Intake.take", side_effect=RuntimeError("broken")):
    main()
"""


def limit(kind: int, soft: int, hard: int) -> None:
    resource.setrlimit(kind, (soft, hard))


def ignore(*numbers: signal.Signals) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


# Standard error


@pytest.mark.parametrize("verbose", ["-q", "-vv"])
def test_a_standard_error_on_a_full_disk_does_not_change_the_run(
    shell: Shell, api: Emulator, at: At, verbose: str
) -> None:
    api.faults = Faults({"internal": tasks(5)})
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        process = shell.start("run", write_csv(shell / "list.csv", tasks(20)), *at, verbose, stderr=full)
    assert end_of(process).status == 0
    assert statuses(shell / REPORT) == {"stopped": 20}


def test_a_standard_error_that_nothing_reads_does_not_hold_the_run_up(shell: Shell, at: At) -> None:
    reading, writing = os.pipe()
    process = shell.start("run", write_csv(shell / "list.csv", tasks(2000)), *at, "-vv", stderr=writing)
    os.close(writing)
    assert process.wait(40) == 0
    assert statuses(shell / REPORT) == {"stopped": 2000}
    assert b"attempt 1: ok" in os.read(reading, 65536)
    os.close(reading)


def test_a_standard_error_on_a_full_disk_does_not_change_the_status_of_an_error(shell: Shell) -> None:
    for arguments, status in ((("run", "none.csv", "--sandbox"), 2), (("stop",), 2), (("summary", "none.jsonl"), 2)):
        with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
            process = shell.start(*arguments, stderr=full)
        assert end_of(process).status == status


# Standard output


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("run", "list.csv", "--sandbox", "--json")])
def test_a_standard_output_on_a_full_disk_ends_with_status_3_and_one_line(shell: Shell, arguments: At) -> None:
    write_csv(shell / "list.csv", tasks(3))
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        process = shell.start(*arguments, stdout=full)
    ended = end_of(process)
    assert ended.status == 3
    assert ended.err.splitlines()[-1] == "stopcast: standard output cannot be written: No space left on device"
    if "run" in arguments and "--json" in arguments:
        assert statuses(shell / REPORT) == {"stopped": 3}


def test_a_reader_of_the_summary_that_stalls_delays_the_end_after_a_signal_by_two_seconds_at_most(
    shell: Shell, api: Emulator
) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while os.write(writing, b"x"):
            pass
    os.set_blocking(writing, True)
    options = ("--endpoint", api.url, "--max-per-second", "20", "--json")
    process = shell.start("run", write_csv(shell / "list.csv", tasks(1000)), *options, stdout=writing)
    os.close(writing)
    until(lambda: api.calls > 2)
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)
    os.close(reading)
    assert ended.status == 143
    assert "standard output does not accept data any more" in ended.err


def test_standard_output_writes_everything_to_a_pipe_that_does_not_block() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    received = bytearray()
    reader = threading.Thread(target=lambda: received.extend(b"".join(iter(lambda: os.read(reading, 65536), b""))))
    reader.start()
    assert StandardOutput(writing).write(b"x" * 1_000_000) == 1_000_000
    os.close(writing)
    reader.join()
    os.close(reading)
    assert received == b"x" * 1_000_000


def test_files_never_take_the_place_of_a_closed_standard_stream(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"internal": tasks(5)})
    name = write_csv(shell / "list.csv", tasks(20))

    def close_all() -> None:
        for descriptor in (0, 1, 2):
            os.close(descriptor)

    assert end_of(shell.start("run", name, *at, "-vv", "--json", before=close_all)).status == 0
    assert statuses(shell / REPORT) == {"stopped": 20}


def test_names_that_are_not_utf_8_are_shown_and_are_json(shell: Shell) -> None:
    shell.variables |= {"PYTHONIOENCODING": "iso-8859-1:strict"}
    name = os.fsdecode(b"caf\xe9.csv")
    write_csv(shell / name, tasks(1))
    report = os.fsdecode(b"r\xe9.jsonl")
    assert end_of(shell.start("run", name, "--sandbox", "--json", "-o", report)).status == 0
    for options in ((), ("--json",), ("--lang", "zh")):
        ended = end_of(shell.start("summary", report, *options))
        assert (ended.status, ended.err) == (0, "")


# The user, the limits, the variables


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can be a user without an entry")
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("run", "list.csv", "--sandbox", "-o", "~nobody-there/r.jsonl"), 3, "mkdir"),
        (("run", "list.csv", "--sandbox", "--accounts", "accounts.toml"), 2, "~/k: this user has no home directory"),
        (("run", "list.csv"), 2, "there is no home directory, and HOME is not set"),
        (("run", "list.csv", "--sandbox"), 0, "2 stopped"),
    ],
    ids=["tilde", "accounts", "no key", "sandbox"],
)
def test_a_user_without_a_home_gets_no_traceback(shell: Shell, arguments: At, status: int, words: str) -> None:
    shell.variables.clear()
    write_csv(shell / "list.csv", tasks(2))
    (shell / "accounts.toml").write_text("[accounts.a]\napps = ['*']\ncredentials_file = '~/k'\n")
    ended = end_of(shell.start(*arguments, program=(sys.executable, "-c", NO_HOME)))
    assert ended.status == status, ended.err
    assert words in ended.err
    assert ended.without_traceback


def test_a_low_soft_limit_on_open_files_is_raised(shell: Shell, at: At) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    name = write_csv(shell / "list.csv", tasks(300))
    before = partial(limit, resource.RLIMIT_NOFILE, 100, hard)
    ended = end_of(shell.start("run", name, *at, before=before))
    assert ended.status == 0
    assert "limit on open files" not in ended.err


@pytest.mark.parametrize(("most", "status"), [(100, 0), (60, 2)])
def test_a_low_hard_limit_on_open_files_bounds_the_calls_and_the_run_says_so(
    shell: Shell, at: At, most: int, status: int
) -> None:
    name = write_csv(shell / "list.csv", tasks(300))
    ended = end_of(shell.start("run", name, *at, before=partial(limit, resource.RLIMIT_NOFILE, most, most)))
    assert ended.status == status
    assert f"the limit on open files is {most}" in ended.err
    assert "ulimit -n" in ended.err
    assert (shell / REPORT).exists() == (status == 0)


@pytest.mark.parametrize("most", [5, 6, 7, 8, 10])
@pytest.mark.parametrize("command", ["run list.csv", "run list.csv --dry-run", "doctor"])
def test_no_limit_on_open_files_leads_to_a_traceback(shell: Shell, at: At, most: int, command: str) -> None:
    write_csv(shell / "list.csv", tasks(3))
    options = () if command.endswith("--dry-run") else at[:2]
    before = partial(limit, resource.RLIMIT_NOFILE, most, most)
    ended = end_of(shell.start(*command.split(), *options, before=before))
    assert ended.without_traceback, ended.err
    assert ended.status in {0, 2, 3}


def test_a_working_directory_that_was_deleted_is_named_in_one_line(shell: Shell, at: At) -> None:
    (shell / "gone").mkdir()
    listed = shell / write_csv(shell / "list.csv", tasks(2))
    command = f"cd gone; rmdir ../gone; exec {sys.executable} -m stopcast run {listed} {shlex.join(at)}"
    ended = end_of(shell.start("-c", command, program=("sh",)))
    assert ended.status == 3
    assert ended.err == "stopcast: the working directory does not exist any more. Change to another one: cd DIR\n"


@pytest.mark.parametrize(
    ("variables", "status", "words"),
    [
        ({"SSLKEYLOGFILE": "/nowhere/keys"}, 3, "SSLKEYLOGFILE names this path"),
        ({"PROMETHEUS_MULTIPROC_DIR": "/nowhere"}, 0, "2 stopped"),
        ({"LC_ALL": "xx_YY.ISO-8859-15", "LANGUAGE": "?", "TERM": "", "COLUMNS": "x", "NO_COLOR": ""}, 0, "2 stopped"),
        ({"PYTHONIOENCODING": "ascii", "TZ": "Nowhere/Never", "PYTHONWARNINGS": "error"}, 0, "2 stopped"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_leftover_variables_cause_no_traceback(
    shell: Shell, variables: dict[str, str], status: int, words: str
) -> None:
    shell.variables |= variables
    name = write_csv(shell / "list.csv", tasks(2))
    ended = end_of(shell.start("run", name, "--sandbox", "--metrics-file", "m.prom", fresh=True))
    assert ended.status == status, ended.err
    assert words in ended.err
    assert ended.without_traceback


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_that_was_ignored_before_stays_ignored(shell: Shell, api: Emulator, number: signal.Signals) -> None:
    name = write_csv(shell / "list.csv", tasks(60))
    options = ("--endpoint", api.url, "--max-per-second", "50")
    process = shell.start("run", name, *options, before=partial(ignore, number))
    until(lambda: api.calls > 5)
    process.send_signal(number)
    assert end_of(process).status == 0
    assert statuses(shell / REPORT) == {"stopped": 60}


def test_an_ignored_signal_does_not_end_a_dry_run(shell: Shell) -> None:
    process = shell.start(
        "run", "-", "--dry-run", stdin=subprocess.PIPE, before=partial(ignore, signal.SIGINT, signal.SIGTERM)
    )
    assert process.stdin is not None
    # It reads: the command has begun.
    process.stdin.write(b"a,r,t1\n" * 20_000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    ended = end_of(process, b"a,r,t2\n")
    assert (ended.status, "2 tasks to stop" in ended.out) == (0, True)


# The last net


@pytest.mark.parametrize("verbose", [(), ("-v",)])
def test_an_unexpected_error_is_one_line_with_status_3_and_a_traceback_with_v(shell: Shell, verbose: At) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    ended = end_of(shell.start("run", name, "--sandbox", *verbose, program=(sys.executable, "-c", BROKEN)))
    assert ended.status == 3
    assert "unexpected error: RuntimeError: broken" in ended.err.splitlines()[-1]
    assert "report it" in ended.err
    assert ("Traceback" in ended.err) == bool(verbose)
    if not verbose:
        assert ended.err.count("\n") == 2, "the opening line and the error"
