"""Reports that cannot be written, and what may be acknowledged."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stopcast.errors import ReportError, ReportLockedError
from stopcast.report.opening import open_report
from stopcast.report.writer import Report
from stopcast.sandbox import Emulator, Faults
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task
from support.processes import Shell, end_of, lines_by_task, read_report, tasks, write_csv, write_jsonl
from support.report_lines import KEYS, REPORT, At

# Reports that cannot be written


@pytest.mark.parametrize("path", ["missing/report.jsonl", ".", "/dev/full"])
def test_a_report_that_cannot_be_written_ends_the_run_with_status_3(shell: Shell, api: Emulator, path: str) -> None:
    name = write_csv(shell / "list.csv", tasks(5000))
    ended = shell.run("run", name, "--endpoint", api.url, "--max-per-second", "200", "-o", path)
    assert ended.status == 3
    assert ended.without_traceback
    assert path in ended.err
    assert api.calls < 5000


def full_after(size: int) -> Any:
    """Return what lets files grow to this size and no further. Python ignores SIGXFSZ, so that writing says EFBIG."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize("size", [0, 100, 70_000, 100_001])
def test_a_full_disk_stops_the_sending_keeps_whole_lines_and_resume_finishes(
    shell: Shell, api: Emulator, size: int
) -> None:
    # Python writes its compiled modules under the limit too, and does not notice that they are cut off.
    shell.variables["PYTHONDONTWRITEBYTECODE"] = "1"
    listed = tasks(1500)
    name = write_csv(shell / "list.csv", listed)
    at = ("--endpoint", api.url, "--max-per-second", "400")
    ended = shell.run_process("run", name, *at, "--json", before=full_after(size))
    assert ended.status == 3
    assert ended.without_traceback
    assert "too large" in ended.err
    # A group waits a tenth of a second, calls in flight finish; the list is far longer.
    assert api.calls < 1000
    kept = read_report(shell / REPORT) if (shell / REPORT).exists() else []
    assert all(list(line) == KEYS for line in kept)
    assert (shell / REPORT).exists() == bool(kept)
    if kept:
        assert "--resume" in ended.err
    assert ended.summary["rows"] == len(kept)
    finished = shell.run("run", name, "--endpoint", api.url, "--max-per-second", "100000", "--resume")
    assert finished.status == 0
    assert lines_by_task(shell / REPORT) == dict.fromkeys(listed, 1)
    assert api.stopped == set(listed)


def test_a_disk_that_is_full_when_the_run_is_resumed_is_an_error_in_words(shell: Shell, api: Emulator, at: At) -> None:
    shell.variables["PYTHONDONTWRITEBYTECODE"] = "1"
    name = write_csv(shell / "list.csv", tasks(20))
    assert shell.run("run", name, *at, "--limit", "5").status == 0
    whole = (shell / REPORT).read_bytes()
    (shell / REPORT).write_bytes(whole[:-1])
    ended = shell.run_process("run", name, *at, "--resume", before=full_after(len(whole) - 1))
    assert ended.status == 3
    assert ended.without_traceback
    assert "--resume" in ended.err
    assert shell.run("run", name, *at, "--resume").status == 0
    assert lines_by_task(shell / REPORT) == dict.fromkeys(tasks(20), 1)
    assert api.calls <= 20 + 15


def test_no_room_to_write_the_report_anew_loses_nothing_and_the_next_resume_does_it(
    shell: Shell, api: Emulator, at: At
) -> None:
    api.faults = Faults({"internal": tasks(30)})
    name = write_jsonl(shell / "list.jsonl", tasks(30))
    assert shell.run("run", name, *at, "--max-attempts", "1").status == 1
    before = (shell / REPORT).stat().st_size

    def no_room_beside() -> None:
        (shell / f"{REPORT}.tidying").mkdir()

    ended = shell.run_process("run", name, *at, "--resume", before=no_room_beside)
    assert ended.status == 3
    assert ended.without_traceback
    assert (shell / REPORT).stat().st_size > before
    (shell / f"{REPORT}.tidying").rmdir()
    assert shell.run("run", name, *at, "--resume").status == 0
    assert lines_by_task(shell / REPORT) == dict.fromkeys(tasks(30), 1)
    assert api.calls == 60
    assert sorted(path.name for path in Path(shell.directory).glob(f"{REPORT}*")) == [REPORT]


# What may be acknowledged


async def test_an_outcome_is_durable_once_its_line_is_synced_and_each_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.jsonl"
    synced_bytes = 0
    fsync = os.fsync

    def watched_fsync(descriptor: int) -> None:
        nonlocal synced_bytes
        size = os.fstat(descriptor).st_size
        fsync(descriptor)
        synced_bytes = size

    monkeypatch.setattr(os, "fsync", watched_fsync)
    durable: list[int | None] = []
    first = asyncio.Event()

    def on_durable(outcomes: Sequence[Outcome]) -> None:
        on_disk = [json.loads(line)["line"] for line in path.read_bytes()[:synced_bytes].splitlines()]
        durable.extend(outcome.line for outcome in outcomes)
        assert set(durable) <= set(on_disk)
        first.set()

    descriptor = await open_report(path, resume=False)
    report = Report(descriptor, path, on_error=lambda error: pytest.fail(str(error)), on_durable=on_durable)
    for line in range(1, 71):
        report.write(Outcome(Task("a", "r", f"t{line}"), Status.STOPPED, line=line))
    assert durable == []
    await first.wait()
    for line in range(71, 81):
        report.write(Outcome(Task("a", "r", f"t{line}"), Status.STOPPED, line=line))
    await report.finish()
    os.close(descriptor)
    assert durable == list(range(1, 81))


async def test_an_outcome_that_finds_no_room_is_never_called_durable(shell: Shell) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    durable: list[Outcome] = []
    errors: list[Exception] = []
    path = shell / REPORT
    descriptor = await open_report(path, resume=False)
    report = Report(descriptor, path, on_error=errors.append, on_durable=durable.extend)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        for line in range(64):
            report.write(Outcome(Task("a", "r", "t"), Status.STOPPED, line=line))
        assert len(errors) == 1
        with pytest.raises(ReportError):
            await report.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heard)
        os.close(descriptor)
    assert len(durable) <= len(read_report(path)) < 64


@pytest.mark.parametrize("replace", [True, False], ids=["written anew", "taken away because it was empty"])
async def test_a_report_that_an_ending_run_replaces_between_opening_and_locking_is_not_written_to(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    replace: bool,  # noqa: FBT001
) -> None:
    report = tmp_path / REPORT
    report.touch()
    locked = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        report.unlink()
        if replace:
            report.touch()
        locked(descriptor, operation)

    monkeypatch.setattr("stopcast.report.opening.fcntl.flock", late)
    with pytest.raises(ReportLockedError):
        await open_report(report, resume=True)


def test_a_power_cut_finds_the_report_under_its_name_from_the_first_line_on_and_once_written_anew(
    shell: Shell, api: Emulator, at: At
) -> None:
    watch = """
import os, stat, sys
from stopcast.cli import main
fsync = os.fsync
def noted(descriptor):
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        here = sorted(name for name in os.listdir(".") if name.startswith("stopcast-report"))
        print("directory", *here, os.path.getsize(here[0]), file=sys.stderr)
    fsync(descriptor)
os.fsync = noted
sys.exit(main())
"""
    name = write_csv(shell / "list.csv", tasks(1))
    api.fail_forever = set(tasks(1))
    first = end_of(shell.start("run", name, *at, "--max-attempts", "1", program=(sys.executable, "-c", watch)))
    assert f"directory {REPORT} {REPORT}.inflight 0" in first.err
    api.fail_forever = ()
    second = end_of(shell.start("run", name, *at, "--resume", program=(sys.executable, "-c", watch)))
    tidied = (shell / REPORT).stat().st_size
    assert f"directory {REPORT} {REPORT}.inflight {tidied}" in second.err
