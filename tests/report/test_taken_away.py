"""A report that another program deletes, cuts or moves while a run writes it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from stopcast.sandbox import Emulator, Faults
from support.processes import Shell, end_of, lines_by_task, read_report, statuses, tasks, until, write_csv

REPORT = "stopcast-report.jsonl"
SLOW = ("--max-per-second", "40", "-y")


@pytest.fixture
def disturbed(shell: Shell, api: Emulator) -> Callable[..., tuple[int, str]]:
    """Runs a list of 100 tasks, does something to the report after its first lines, and returns status and log.

    A signal, if one is given, follows.
    """

    def run(disturb: Callable[[Path], object], number: int | None = None) -> tuple[int, str]:
        report = shell / REPORT
        process = shell.start("run", write_csv(shell / "list.csv", tasks(100)), "--endpoint", api.url, *SLOW)
        until(lambda: report.exists() and report.read_bytes().count(b"\n") > 5)
        disturb(report)
        if number is not None:
            process.send_signal(number)
        ended = end_of(process)
        return ended.status, ended.err

    return run


def test_a_report_that_is_deleted_ends_the_run_and_has_all_its_lines_again(
    shell: Shell, api: Emulator, disturbed: Callable[..., tuple[int, str]]
) -> None:
    status, log = disturbed(Path.unlink)
    assert (status, len(read_report(shell / REPORT))) == (3, api.calls)
    assert api.calls < 100
    assert "all its lines are in the new file" in log
    assert shell.run("run", "list.csv", "--endpoint", api.url, "--resume").status == 0
    assert (api.calls, set(lines_by_task(shell / REPORT).values())) == (100, {1})
    assert set(statuses(shell / REPORT)) == {"stopped"}


def test_the_lines_of_a_deleted_report_overwrite_no_other_file(
    shell: Shell, api: Emulator, disturbed: Callable[..., tuple[int, str]]
) -> None:
    def replace(report: Path) -> None:
        (shell / "mine").write_text("mine")
        (shell / "mine").replace(report)

    status, log = disturbed(replace)
    assert (status, (shell / REPORT).read_text()) == (3, "mine")
    assert f"{REPORT}.saved" in log
    assert len(read_report(shell / f"{REPORT}.saved")) == api.calls


def test_a_report_that_is_cut_ends_the_run(api: Emulator, disturbed: Callable[..., tuple[int, str]]) -> None:
    status, log = disturbed(lambda report: os.truncate(report, 0))
    assert (status, "lines are lost" in log) == (3, True)
    assert api.calls < 100


def test_a_report_that_is_moved_has_all_lines_and_a_warning_says_where(
    shell: Shell, disturbed: Callable[..., tuple[int, str]]
) -> None:
    status, log = disturbed(lambda report: report.rename(shell / "moved.jsonl"))
    assert (status, statuses(shell / "moved.jsonl")) == (0, {"stopped": 100})
    assert log.count("has moved the report") == 1
    assert str(shell / "moved.jsonl") in log


def test_before_the_command_that_continues_a_moved_report_is_to_be_moved_back(
    shell: Shell, api: Emulator, disturbed: Callable[..., tuple[int, str]]
) -> None:
    status, log = disturbed(lambda report: report.rename(shell / "moved.jsonl"), signal.SIGTERM)
    assert status == 143
    assert log.index("Move it back there before you continue") < log.index("--resume")
    (shell / "moved.jsonl").rename(shell / REPORT)
    assert shell.run("run", "list.csv", "--endpoint", api.url, "--resume").status == 0
    assert (api.calls, set(lines_by_task(shell / REPORT).values())) == (100, {1})


@pytest.fixture
def another_run(shell: Shell) -> Callable[[Path], object]:
    """Moves the folder of a report, and puts one in its place in which another run has a report of the same name."""

    def replace(report: Path) -> None:
        report.parent.rename(shell / "moved")
        report.parent.mkdir()
        report.write_text("its report")
        log_of(report).write_text("its log")

    return replace


def log_of(report: Path) -> Path:
    return report.with_name(f"{report.name}.inflight")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


OF_ANOTHER_RUN = {"report.jsonl": "its report", "report.jsonl.inflight": "its log"}


def test_a_run_whose_folder_was_moved_leaves_the_files_of_the_run_that_has_its_names(
    shell: Shell, api: Emulator, another_run: Callable[[Path], object]
) -> None:
    report = shell / "out" / "report.jsonl"
    report.parent.mkdir()
    listed = write_csv(shell / "list.csv", tasks(100))
    process = shell.start("run", listed, "--endpoint", api.url, *SLOW, "-o", str(report))
    until(lambda: report.exists() and report.read_bytes().count(b"\n") > 5)
    another_run(report)
    assert end_of(process).status == 0
    assert contents(report.parent) == OF_ANOTHER_RUN
    assert statuses(shell / "moved" / report.name) == {"stopped": 100}
    assert not log_of(shell / "moved" / report.name).read_bytes()[32:]


def test_a_resumed_run_replaces_no_report_of_another_run(
    shell: Shell, api: Emulator, another_run: Callable[[Path], object]
) -> None:
    report = shell / "out" / "report.jsonl"
    report.parent.mkdir()
    command = ("run", write_csv(shell / "list.csv", tasks(100)), "--endpoint", api.url, *SLOW, "-o", str(report))
    api.faults = Faults({"InternalError": 1.0})
    shell.run(*command, "--max-attempts", "1")
    api.faults = Faults({})
    process = shell.start(*command, "--resume")
    until(lambda: report.read_bytes().count(b"\n") > 105)
    another_run(report)
    assert end_of(process).status == 0
    assert contents(report.parent) == OF_ANOTHER_RUN


def test_a_run_without_a_line_removes_no_report_of_another_run(
    shell: Shell, api: Emulator, another_run: Callable[[Path], object]
) -> None:
    report = shell / "out" / "report.jsonl"
    report.parent.mkdir()
    api.faults = Faults({"hang": 1.0})
    listed = write_csv(shell / "list.csv", tasks(1))
    process = shell.start("run", listed, "--endpoint", api.url, *SLOW, "-o", str(report), "--grace", "0")
    until(lambda: api.calls)
    another_run(report)
    process.send_signal(signal.SIGTERM)
    assert end_of(process).status == 143
    assert contents(report.parent) == OF_ANOTHER_RUN
