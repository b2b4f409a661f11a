"""``stopcast run``: what it does with good lists, and its exit statuses."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
from pathlib import Path

import pytest

from stopcast.sandbox import Emulator, Faults
from stopcast.tasks.task import Task
from support.processes import Shell, end_of, read_report, statuses, tasks, until, write_csv, write_jsonl

At = tuple[str, ...]
EXAMPLE = Path(__file__).parents[2] / "examples" / "tasks.csv"
REPORT = "stopcast-report.jsonl"


# The happy path


def test_a_sandbox_run_over_the_example_writes_one_line_for_each_row(shell: Shell) -> None:
    shell.variables.clear()
    ended = shell.run("run", str(EXAMPLE), "--sandbox", "-o", "report.jsonl")
    rows = len(EXAMPLE.read_text().splitlines()) - 1
    assert (ended.status, ended.out) == (0, "")
    lines = read_report(shell / "report.jsonl")
    assert sorted(line["line"] for line in lines) == list(range(2, rows + 2))
    assert {line["status"] for line in lines} <= {"stopped", "duplicate"}
    assert f"{rows} rows" in ended.err
    assert "report.jsonl" in ended.err


def test_the_report_has_a_default_name(shell: Shell) -> None:
    write_csv(shell / "list.csv", tasks(1))
    assert shell.run("run", "list.csv", "--sandbox").status == 0
    assert statuses(shell / REPORT) == {"stopped": 1}


def test_a_run_stops_only_the_listed_tasks(shell: Shell, api: Emulator, at: At) -> None:
    listed = tasks(5)
    assert shell.run("run", write_csv(shell / "list.csv", listed), *at).status == 0
    assert api.stopped == set(listed)


def test_one_run_reads_several_lists_of_different_formats(shell: Shell, api: Emulator, at: At) -> None:
    one, two = write_csv(shell / "one.csv", tasks(3)), write_jsonl(shell / "two.jsonl", tasks(3, first=2))
    (shell / "three").write_bytes(gzip.compress(b"TaskId\tAppId\troom_id\nt\ta\tr\n"))
    ended = shell.run("run", one, two, "three", "-", *at, given=b"x,y,z\n")
    assert ended.status == 0
    assert statuses(shell / REPORT) == {"stopped": 7, "duplicate": 1}
    assert api.stopped == {*tasks(5), Task("a", "r", "t"), Task("x", "y", "z")}
    places = {(line["source"], line["line"]) for line in read_report(shell / REPORT)}
    assert {("one.csv", 2), ("two.jsonl", 1), ("three", 2), ("-", 1)} <= places


def test_a_run_without_a_list_reads_standard_input(shell: Shell, api: Emulator, at: At) -> None:
    assert shell.run("run", *at, given=b'["a","r","t"]\n').status == 0
    assert api.stopped == {Task("a", "r", "t")}


def test_a_run_sends_the_rows_of_a_pipe_while_the_pipe_stays_open(shell: Shell, api: Emulator, at: At) -> None:
    process = shell.start("run", "-", *at, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"AppId,RoomId,TaskId\na,r,1\n")
    process.stdin.flush()
    until(lambda: api.stopped == {Task("a", "r", "1")})
    assert end_of(process, b"a,r,2\n").status == 0
    assert len(api.stopped) == 2


def test_a_run_reads_a_fifo(shell: Shell, api: Emulator, at: At) -> None:
    os.mkfifo(shell / "fifo")
    process = shell.start("run", "fifo", *at)
    (shell / "fifo").write_bytes(b"a,r,1\n")
    assert end_of(process).status == 0
    assert len(api.stopped) == 1


# Exit statuses


def test_the_status_is_1_when_a_row_names_no_task(shell: Shell, at: At) -> None:
    assert shell.run("run", "-", *at, given=b"a,r,1\na,,2\n").status == 1
    assert statuses(shell / REPORT) == {"stopped": 1, "invalid": 1}


def test_the_status_is_1_when_the_api_refuses_a_task(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": [Task("a", "r", "1")]})
    assert shell.run("run", "-", *at, given=b"a,r,1\na,r,2\n").status == 1
    assert statuses(shell / REPORT) == {"stopped": 1, "failed": 1}


def test_the_status_is_0_when_the_tasks_were_already_stopped(shell: Shell, api: Emulator, at: At) -> None:
    api.running = set()
    assert shell.run("run", "-", *at, given=b"a,r,1\n").status == 0
    assert statuses(shell / REPORT) == {"already_stopped": 1}


def test_the_status_is_0_and_there_is_no_report_when_the_list_is_empty(shell: Shell, at: At) -> None:
    assert shell.run("run", "-", *at, given=b"AppId,RoomId,TaskId\n").status == 0
    assert not (shell / REPORT).exists()


@pytest.mark.parametrize("secret", ["not-the-secret", "not/the+secret=="])
def test_the_status_is_3_when_the_key_is_refused_and_the_secret_appears_nowhere(
    shell: Shell, api: Emulator, at: At, secret: str
) -> None:
    shell.variables["VOLCENGINE_SECRET_KEY"] = secret
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(500)), *at, "-v", "--max-at-once", "4")
    assert ended.status == 3
    assert ended.without_traceback
    assert secret not in ended.err
    assert "--resume" in ended.err
    assert api.calls <= 14
    assert not (shell / REPORT).exists() or secret not in (shell / REPORT).read_text()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_that_waits_for_the_next_row(
    shell: Shell, api: Emulator, at: At, number: signal.Signals, status: int
) -> None:
    process = shell.start("run", "-", *at, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"a,r,1\n")
    process.stdin.flush()
    until(lambda: api.stopped)
    process.send_signal(number)
    # The pipe stays open: nothing but the signal ends the run.
    process.wait(20)
    ended = end_of(process)
    assert ended.status == status
    assert statuses(shell / REPORT) == {"stopped": 1}


@pytest.mark.parametrize("options", [("--dry-run",), ("--expect", "3")])
def test_a_signal_ends_the_reading_of_a_list_for_a_plan(shell: Shell, options: At) -> None:
    write_csv(shell / "first.csv", tasks(1))
    process = shell.start("run", "first.csv", "-", "--sandbox", *options, stdin=subprocess.PIPE)
    # From outside it is not visible whether the command reads already. It must end whenever the signal comes.
    assert process.stdin is not None
    process.stdin.write(b"a,r,1\n" * 20_000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    process.wait(20)
    ended = end_of(process)
    assert ended.status == 130
    assert ended.without_traceback
