"""The in-flight log: when a task's note is written and erased, and how the log of a report is found."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
from pathlib import Path

import pytest

from stopcast.errors import ReportError
from stopcast.report.in_flight import InFlightLog, open_in_flight_log
from stopcast.tasks.identities import identity
from stopcast.tasks.task import Task
from support.processes import tasks

FILES = Path(__file__).with_name("files")
ONE, TWO, THREE = tasks(3)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.jsonl"
    path.touch()
    return path


def opened(report: Path, *, most: int = 4, settled: frozenset[bytes] = frozenset()) -> InFlightLog:
    return open_in_flight_log(report, most=most, settled=settled)


def begin(log: InFlightLog, *some: Task) -> None:
    for task in some:
        log.begin(task, identity(task))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def left_after(report: Path, *some: Task) -> set[bytes]:
    """Return what a second log finds after a process was killed while these were in flight."""
    begin(opened(report), *some)
    return set(opened(report).left)


def identities(*some: Task) -> set[bytes]:
    return {identity(task) for task in some}


def test_a_task_is_in_doubt_from_before_its_call_until_its_note_is_erased(report: Path) -> None:
    log = opened(report)
    begin(log, ONE, TWO, THREE)
    log.end([TWO])
    assert set(opened(report).left) == identities(ONE, THREE)


def test_the_log_is_removed_at_the_end_unless_a_task_is_in_doubt(report: Path) -> None:
    log = opened(report)
    begin(log, ONE, TWO)
    log.written([ONE])
    log.synced(log.unsynced)
    log.end([TWO])
    log.close()
    assert names_in(report.parent) == [report.name]
    log = opened(report)
    begin(log, ONE)
    log.close()
    assert set(opened(report).left) == identities(ONE)


def test_a_note_is_kept_until_the_line_of_its_task_is_on_the_disk(report: Path) -> None:
    log = opened(report)
    begin(log, ONE, TWO)
    log.written([ONE])
    begin(log, THREE)
    assert set(opened(report).left) == identities(ONE, TWO, THREE)
    log.close()
    assert set(opened(report).left) == identities(ONE, TWO, THREE)


def test_a_note_is_written_over_that_of_a_line_on_the_disk(report: Path) -> None:
    log = opened(report)
    begin(log, ONE, TWO)
    log.written([ONE, TWO])
    log.synced(1)
    begin(log, THREE)
    assert (log.unsynced, set(opened(report).left)) == (1, identities(TWO, THREE))


def test_a_note_of_a_settled_task_is_ignored(report: Path) -> None:
    log = opened(report)
    begin(log, ONE, TWO)
    log.written([ONE])
    assert set(opened(report, settled=frozenset(identities(ONE))).left) == identities(TWO)


def test_lines_that_settle_notes_are_put_on_the_disk_before_these_notes_are_dropped(
    report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(opened(report), ONE)
    synced: list[int] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    opened(report, settled=frozenset(identities(ONE)))
    assert synced == [report.stat().st_ino]


def test_a_task_that_was_left_in_doubt_keeps_its_note_when_it_is_sent_again(report: Path) -> None:
    begin(opened(report), ONE)
    log = opened(report)
    begin(log, ONE)
    assert not log.left
    assert set(opened(report).left) == identities(ONE)


def test_more_tasks_than_were_planned_have_notes_too(report: Path) -> None:
    some = tasks(100)
    assert left_after(report, *some) == identities(*some)


def test_a_log_of_version_0_1_is_read(report: Path) -> None:
    shutil.copy(FILES / "version-0.1.inflight", f"{report}.inflight")
    log = opened(report)
    assert set(log.left) == identities(ONE, THREE)
    assert not log.incomplete
    begin(log, TWO)
    assert set(opened(report).left) == identities(ONE, TWO, THREE)


def test_a_log_of_version_0_1_is_found_by_the_name_that_its_run_was_given(report: Path) -> None:
    link = report.with_name("link.jsonl")
    link.symlink_to(report)
    shutil.copy(FILES / "version-0.1.inflight", f"{link}.inflight")
    assert set(opened(link).left) == identities(ONE, THREE)


@pytest.mark.parametrize("zeros", [False, True], ids=["the rest is missing", "the rest is zeros"])
def test_a_log_that_a_power_cut_tore_at_any_byte_is_read(report: Path, *, zeros: bool) -> None:
    path = Path(f"{report}.inflight")
    begin(opened(report), ONE, TWO)
    whole = path.read_bytes()
    for length in range(33 + 32):
        path.write_bytes(whole[:length].ljust(len(whole) * zeros, b"\0"))
        log = opened(report)
        assert not log.incomplete
        assert (identity(ONE) in log.left) == (length >= 32 + 16)
        begin(log, THREE)
        assert identity(THREE) in opened(report).left


@pytest.mark.parametrize("content", [b"a list of mine\n", b"stopcast-flight9" + bytes(64)])
def test_a_file_that_stopcast_did_not_write_is_not_overwritten(report: Path, content: bytes) -> None:
    for name in (f"{report}.inflight", f"{report}.inflight.new"):
        Path(name).write_bytes(content)
        with pytest.raises(ReportError, match="not written by stopcast"):
            opened(report)
        assert Path(name).read_bytes() == content
        Path(name).unlink()


def test_a_directory_in_its_place_is_an_error_in_words(report: Path) -> None:
    Path(f"{report}.inflight").mkdir()
    with pytest.raises(ReportError, match="directory"):
        opened(report)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_note_that_cannot_be_written_is_an_error_before_the_call_and_one_that_cannot_be_erased_is_none(
    report: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    log = opened(report)
    begin(log, ONE)

    def fail(*_: object) -> int:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", fail)
        with pytest.raises(ReportError, match=r"inflight cannot be written"):
            begin(log, TWO)
        log.end([ONE])
    begin(log, THREE)
    assert set(opened(report).left) == identities(THREE)


def test_a_full_disk_is_an_error_and_leaves_the_notes_of_the_earlier_run(report: Path) -> None:
    begin(opened(report), ONE)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(ReportError):
            opened(report, most=1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert names_in(report.parent) == [report.name, f"{report.name}.inflight"]
    assert set(opened(report).left) == identities(ONE)


# One file, several names


def test_a_log_belongs_to_the_real_file_behind_a_symbolic_link(report: Path) -> None:
    folder = report.parent / "links"
    folder.mkdir()
    link = folder / "link.jsonl"
    link.symlink_to(report)
    begin(opened(link), ONE)
    assert set(opened(report).left) == identities(ONE)
    assert names_in(folder) == ["link.jsonl"]


def test_a_log_is_found_by_a_hard_link_in_the_same_folder_and_merged(report: Path) -> None:
    link = report.with_name("link.jsonl")
    link.hardlink_to(report)
    begin(opened(report), ONE)
    log = opened(link)
    assert set(log.left) == identities(ONE)
    begin(log, ONE)
    log.end([ONE])
    log.close()
    assert names_in(report.parent) == ["link.jsonl", report.name]


def test_the_log_of_a_report_that_was_renamed_is_found(report: Path) -> None:
    begin(opened(report), ONE)
    renamed = report.rename(report.with_name("renamed.jsonl"))
    assert set(opened(renamed).left) == identities(ONE)


def test_the_log_of_another_report_is_left_alone(report: Path) -> None:
    other = report.with_name("other.jsonl")
    other.touch()
    begin(opened(other), ONE)
    log = opened(report)
    assert not log.left
    log.close()
    assert set(opened(other).left) == identities(ONE)


@pytest.fixture
def with_attributes(report: Path) -> Path:
    try:
        os.setxattr(report, "user.stopcast.test", b"1")
    except (OSError, AttributeError):
        pytest.skip("this file system has no extended attributes")
    return report


def test_a_log_is_found_by_a_hard_link_in_another_folder(with_attributes: Path) -> None:
    folder = with_attributes.parent / "elsewhere"
    folder.mkdir()
    link = folder / "link.jsonl"
    link.hardlink_to(with_attributes)
    begin(opened(with_attributes), ONE)
    log = opened(link)
    assert (set(log.left), log.incomplete) == (identities(ONE), False)


def test_a_log_that_was_deleted_leaves_every_task_in_doubt_and_a_clean_end_none(with_attributes: Path) -> None:
    begin(opened(with_attributes), ONE)
    Path(f"{with_attributes}.inflight").unlink()
    log = opened(with_attributes)
    assert log.incomplete
    log.close()
    assert not opened(with_attributes).incomplete
