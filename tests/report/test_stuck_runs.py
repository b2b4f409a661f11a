"""Whole runs whose report blocks: a stopped reader, a FIFO without one, a disk that does not return."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

import pytest

from stopcast.sandbox import Emulator
from support.processes import Shell, end_of, lines_by_task, tasks, until, write_csv

REPORT = "stopcast-report.jsonl"


def seconds_to_end(shell: Shell, api: Emulator, report: str, *, stuck: Callable[[], object]) -> tuple[float, int, str]:
    name = write_csv(shell / "list.csv", tasks(5000))
    process = shell.start("run", name, "--endpoint", api.url, "--max-per-second", "100000", "-o", report)
    until(stuck)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)
    assert ended.without_traceback
    return time.monotonic() - began, ended.status, ended.err


def test_a_pipe_whose_reader_has_stopped_stops_the_calls_and_a_signal_ends_the_run(shell: Shell, api: Emulator) -> None:
    os.mkfifo(shell / "fifo")
    reader = os.open(shell / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    calls: list[int] = []

    def no_further_call() -> bool:
        calls.append(api.calls)
        time.sleep(0.02)
        return len(calls) > 50 and 0 < calls[-50] == calls[-1]

    _, status, words = seconds_to_end(shell, api, "fifo", stuck=no_further_call)
    assert status == 128 + signal.SIGTERM
    assert "outcomes have no line" in words
    assert api.calls < 3000
    os.close(reader)


def test_a_fifo_that_nothing_reads_is_waited_for_until_a_signal_and_nothing_is_sent(
    shell: Shell, api: Emulator
) -> None:
    os.mkfifo(shell / "fifo")
    name = write_csv(shell / "list.csv", tasks(3))
    process = shell.start("run", name, "--endpoint", api.url, "-o", "fifo", "-v")
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    ended = end_of(process)
    assert ended.status == 128 + signal.SIGINT
    assert api.calls == 0


def test_an_empty_report_that_cannot_be_removed_does_not_hide_why_the_run_ended(shell: Shell, api: Emulator) -> None:
    watch = """
import os, sys
from pathlib import Path
from stopcast.cli import main
unlink = Path.unlink
def refused(path, missing_ok=False):
    if path.name == "stopcast-report.jsonl":
        raise OSError(16, "Device or resource busy", str(path))
    unlink(path, missing_ok)
Path.unlink = refused
sys.exit(main())
"""
    shell.variables["VOLCENGINE_SECRET_KEY"] = "wrong"
    name = write_csv(shell / "list.csv", tasks(30))
    ended = end_of(
        shell.start(
            "run", name, "--endpoint", api.url, "--max-per-second", "100", program=(sys.executable, "-c", watch)
        )
    )
    assert ended.status == 3
    assert ended.without_traceback
    assert "SignatureDoesNotMatch" in ended.err


#: The command, where a sync does not return.
STUCK_SYNC = """
import os, stat, sys, threading
from pathlib import Path
from stopcast.cli import main
fsync = os.fsync
def stuck(descriptor):
    if {where}:
        Path("stuck").touch()
        threading.Event().wait()
    fsync(descriptor)
os.fsync = stuck
sys.exit(main())
"""


@pytest.mark.parametrize("where", ["stat.S_ISDIR(os.fstat(descriptor).st_mode)", f"os.path.exists('{REPORT}.tidying')"])
def test_a_signal_ends_a_run_whose_disk_does_not_return_before_the_first_call_or_after_the_last(
    shell: Shell, api: Emulator, where: str
) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    api.fail_forever = set(tasks(1))
    assert shell.run("run", name, "--endpoint", api.url, "--max-attempts", "1").status == 1
    api.fail_forever = ()
    program = (sys.executable, "-c", STUCK_SYNC.format(where=where))
    process = shell.start("run", name, "--endpoint", api.url, "--resume", program=program)
    until((shell / "stuck").exists)
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)
    assert ended.status == 128 + signal.SIGTERM
    assert ended.without_traceback
    assert shell.run("run", name, "--endpoint", api.url, "--resume").status == 0
    assert lines_by_task(shell / REPORT) == dict.fromkeys(tasks(3), 1)
    assert not list(shell.directory.glob(f"{REPORT}.*"))
