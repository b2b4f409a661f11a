from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stopcast.sandbox import Emulator, Faults
from stopcast.sandbox.thread import serving
from support.command import Finished
from support.processes import (
    HANGS_AFTER_SECONDS,
    Shell,
    end_of,
    lines_by_task,
    read_report,
    settled_by,
    statuses,
    tasks,
    until,
    write_csv,
)

REPORT = "stopcast-report.jsonl"
BOTH = pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
CALLS_LAST_LONG = ("--grace", "100000", "--timeout", "100000")


@pytest.fixture
def slow() -> Iterator[Emulator]:
    """Serves an emulator whose answers take a while, so that there always are calls in flight."""
    with serving(Emulator(quota_per_second=None, faults=Faults(latency_seconds=0.2))) as emulator:
        yield emulator


def resume_command(ended: Finished) -> list[str]:
    """Return the arguments of the command that was printed."""
    (line,) = (line for line in ended.err.splitlines() if line.strip().startswith("stopcast run"))
    return shlex.split(line)[1:]


def first_signal_received(process: subprocess.Popen[bytes]) -> None:
    """Return when the command has logged that it received the first signal."""
    assert process.stderr is not None
    while b"second signal" not in (line := process.stderr.readline()):
        assert line, "it never logged that"


def lines_in(report: Path) -> int:
    return report.read_bytes().count(b"\n")


# The first signal


@BOTH
def test_after_the_first_signal_calls_in_flight_finish_and_the_printed_command_stops_the_rest(
    shell: Shell, slow: Emulator, number: signal.Signals, status: int
) -> None:
    listed = tasks(400)
    name = write_csv(shell / "the list.csv", listed)
    at = ("--endpoint", slow.url, "--max-per-second", "100000", "--max-at-once", "10")
    process = shell.start("run", "-o", "the report.jsonl", *at, "--", name)
    until(lambda: slow.calls > 20)
    process.send_signal(number)
    ended = end_of(process)
    assert ended.status == status
    assert ended.without_traceback
    lines = read_report(shell / "the report.jsonl")
    assert slow.calls == len(lines) == len(slow.stopped) < 400
    assert {line["status"] for line in lines} == {"stopped"}
    assert not (shell / "the report.jsonl.inflight").exists()
    slow.faults = Faults()
    assert shell.run(*resume_command(ended)).status == 0
    assert statuses(shell / "the report.jsonl") == {"stopped": 400}
    assert slow.calls == 400
    assert slow.stopped == set(listed)


def test_after_the_first_signal_no_call_that_waits_for_its_permit_is_sent(shell: Shell, slow: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(2000))
    process = shell.start("run", name, "--endpoint", slow.url, "--max-per-second", "20")
    until(lambda: slow.calls > 5)
    process.send_signal(signal.SIGINT)
    assert end_of(process).status == 130
    assert slow.calls == len(read_report(shell / REPORT)) < 100


def test_a_signal_does_not_wait_for_planned_retries(shell: Shell, api: Emulator) -> None:
    api.faults = Faults({"internal": 1.0})
    name = write_csv(shell / "list.csv", tasks(30))
    process = shell.start("run", name, "--endpoint", api.url, "--max-attempts", "1000000")
    until(lambda: api.calls > 100)
    process.send_signal(signal.SIGINT)
    assert end_of(process).status == 130
    api.faults = Faults()
    assert shell.run("run", name, "--endpoint", api.url, "--resume").status == 0
    assert lines_by_task(shell / REPORT) == dict.fromkeys(tasks(30), 1)


def test_calls_that_do_not_finish_within_the_grace_are_cut_off_and_stay_in_doubt(shell: Shell, api: Emulator) -> None:
    api.faults = Faults({"drip": 1.0})
    name = write_csv(shell / "list.csv", tasks(20))
    process = shell.start("run", name, "--endpoint", api.url, "--grace", "0.1", "--timeout", "100000")
    until(lambda: len(api.stopped) == 20)
    process.terminate()
    ended = end_of(process)
    assert ended.status == 143
    assert ended.without_traceback
    assert not (shell / REPORT).exists()
    api.faults = Faults()
    assert shell.run(*resume_command(ended)).status == 0
    assert statuses(shell / REPORT) == {"presumed_stopped": 20}


def test_a_signal_before_the_first_call_leaves_no_report(shell: Shell) -> None:
    process = shell.start("run", "-", "--sandbox", "-q", stdin=subprocess.PIPE)
    until((shell / REPORT).exists)
    process.send_signal(signal.SIGINT)
    process.wait(HANGS_AFTER_SECONDS)
    assert end_of(process).status == 130
    assert sorted(path.name for path in shell.directory.iterdir()) == ["home"]


def test_control_c_at_a_terminal_is_a_first_signal(shell: Shell, slow: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(2000))
    options = ("--endpoint", slow.url, "--max-per-second", "50")
    status, shown = shell.terminal("run", name, *options, typed="\x03", expect="latency")
    assert status == 130
    assert "Traceback" not in shown
    assert "stopcast run --resume" in shown
    assert slow.calls == len(read_report(shell / REPORT))


def test_a_resumed_run_does_not_count_what_its_report_settles_as_left(shell: Shell, api: Emulator) -> None:
    listed, open_ones = tasks(30_000), slice(5_000, 30_000, 250)
    settled = [task for place, task in enumerate(listed) if place not in range(30_000)[open_ones]]
    name = write_csv(shell / "list.csv", listed)
    (shell / REPORT).write_text(
        "".join(
            json.dumps({"AppId": task.app_id, "RoomId": task.room_id, "TaskId": task.task_id, "status": "stopped"})
            + "\n"
            for task in settled
        )
    )
    api.faults = Faults({"hang": 1.0})
    at = ("--endpoint", api.url, "--max-at-once", "1", "--grace", "0")
    process = shell.start("run", name, *at, "--resume")
    until(lambda: api.calls)
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)
    assert ended.status == 143
    assert re.search(r"^1 % of the list is left \(about \d\d\d? rows\)$", ended.err, re.MULTILINE), ended.err


# The second


@BOTH
def test_the_second_signal_cuts_calls_off_at_once_and_loses_nothing(
    shell: Shell, api: Emulator, number: signal.Signals, status: int
) -> None:
    listed = tasks(60)
    api.faults = Faults({"hang": listed[10:25], "drip": listed[25:40]})
    name = write_csv(shell / "list.csv", listed)
    process = shell.start("run", name, "--endpoint", api.url, *CALLS_LAST_LONG)
    until(lambda: api.calls == 60 and lines_in(shell / REPORT) == 30)
    process.send_signal(number)
    first_signal_received(process)
    process.send_signal(number)
    ended = end_of(process)
    assert ended.status == status
    assert ended.without_traceback
    assert "30 calls in flight were cut off: it is not known whether their tasks were stopped." in ended.err
    assert settled_by(shell / REPORT, "stopped") == {*listed[:10], *listed[40:]}
    assert shell.run(*resume_command(ended)).status == 0
    assert lines_by_task(shell / REPORT) == dict.fromkeys(listed, 1)
    assert settled_by(shell / REPORT, "presumed_stopped") == set(listed[25:40])


def test_the_status_is_that_of_one_of_the_two_signals(shell: Shell, api: Emulator) -> None:
    api.faults = Faults({"hang": 1.0})
    name = write_csv(shell / "list.csv", tasks(1))
    process = shell.start("run", name, "--endpoint", api.url, *CALLS_LAST_LONG)
    until(lambda: api.calls)
    process.terminate()
    first_signal_received(process)
    process.send_signal(signal.SIGINT)
    assert end_of(process).status in {130, 143}


def test_many_signals_lose_nothing_and_print_no_traceback(shell: Shell, slow: Emulator) -> None:
    listed = tasks(300)
    name = write_csv(shell / "list.csv", listed)
    at = ("--endpoint", slow.url, "--max-per-second", "100000", "--max-at-once", "10")
    process = shell.start("run", name, *at)
    until(lambda: slow.calls > 20)
    ended_by_now = False
    while not ended_by_now:
        process.send_signal(signal.SIGINT)
        ended_by_now = process.poll() is not None
    ended = end_of(process)
    assert ended.status == 130
    assert ended.without_traceback, ended.err
    slow.faults = Faults()
    assert shell.run("run", name, *at, "--resume").status == 0
    assert lines_by_task(shell / REPORT) == dict.fromkeys(listed, 1)
    assert slow.stopped == set(listed)


# Closed streams


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_signal_ends_a_run_whose_output_is_closed(shell: Shell, slow: Emulator, stream: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    name = write_csv(shell / "list.csv", tasks(400))
    at = ("--endpoint", slow.url, "--max-per-second", "100000", "--max-at-once", "10", "--json")
    process = shell.start("run", name, *at, **{stream: writing})  # type: ignore[arg-type]
    os.close(writing)
    until(lambda: slow.calls > 20)
    process.send_signal(signal.SIGINT)
    ended = end_of(process)
    assert ended.status == 130
    assert ended.without_traceback
    assert slow.calls == len(read_report(shell / REPORT))
