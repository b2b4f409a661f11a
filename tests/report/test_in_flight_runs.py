"""Runs and their in-flight log: a run that is killed by one name of its report, and notes that cannot be written."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from stopcast.sandbox import Emulator, Faults
from support.processes import Shell, end_of, settled_by, statuses, tasks, until, write_csv

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.jsonl"
    path.touch()
    return path


def killed_in_flight(shell: Shell, api: Emulator, at: At, report: str) -> None:
    """Kill a run whose only call has stopped its task without an answer."""
    api.faults = Faults({"drip": tasks(1)})
    process = shell.start("run", write_csv(shell / "list.csv", tasks(1)), *at, "-o", report)
    until(lambda: api.stopped)
    process.kill()
    end_of(process)
    api.faults = Faults({})


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to], ids=["symbolic link", "hard link"])
def test_a_run_killed_by_a_link_and_resumed_by_the_real_path_reports_no_false_already_stopped(
    shell: Shell, api: Emulator, at: At, link: object
) -> None:
    (shell / "real.jsonl").touch()
    assert callable(link)
    link(shell / REPORT, shell / "real.jsonl")
    killed_in_flight(shell, api, (*at, "--resume"), REPORT)
    assert shell.run("run", "list.csv", *at, "--resume", "-o", "real.jsonl").status == 0
    assert settled_by(shell / "real.jsonl", "presumed_stopped") == set(tasks(1))
    assert not list(shell.directory.glob("*.inflight*"))


def test_no_call_is_made_whose_note_cannot_be_written(shell: Shell, api: Emulator, at: At) -> None:
    watch = """
import os, sys
from stopcast.cli import main
pwrite = os.pwrite
def full(descriptor, data, offset):
    if len(data) == 16:
        raise OSError(28, "No space left on device")
    return pwrite(descriptor, data, offset)
os.pwrite = full
sys.exit(main())
"""
    name = write_csv(shell / "list.csv", tasks(50))
    ended = end_of(shell.start("run", name, *at, program=(sys.executable, "-c", watch)))
    assert ended.status == 3
    assert ended.without_traceback
    assert "No space left" in ended.err
    assert api.calls == 0
    assert shell.run("run", name, *at, "--resume").status == 0
    assert statuses(shell / REPORT) == {"stopped": 50}


def test_a_limit_on_the_size_of_files_is_to_be_raised(shell: Shell, api: Emulator, at: At) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    ended = shell.run_process("run", write_csv(shell / "list.csv", tasks(1)), *at, before=limit)
    assert (ended.status, api.calls) == (3, 0)
    assert "ulimit -f unlimited" in ended.err
