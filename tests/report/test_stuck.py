"""Reports that block: a pipe whose reader has stopped, a FIFO without a reader, a disk that does not return."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stopcast.errors import ReportError
from stopcast.report.in_flight import open_in_flight_log
from stopcast.report.opening import open_report
from stopcast.report.writer import Report
from stopcast.tasks.identities import identity
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task
from support.processes import read_report


def outcome(number: int) -> Outcome:
    return Outcome(Task("a", "r", f"t{number}"), Status.STOPPED, line=number)


class Calls:
    """Calls that can be paused."""

    paused = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A FIFO, and its end to read."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    yield path, reader
    os.close(reader)


async def report_of(path: Path, **options: object) -> tuple[int, Report]:
    descriptor = await open_report(path, resume=False)
    return descriptor, Report(descriptor, path, on_error=lambda _: None, **options)  # type: ignore[arg-type]


async def until_true(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_reader_that_stalls_pauses_the_calls_and_not_the_loop_and_loses_nothing(pipe: tuple[Path, int]) -> None:
    path, reader = pipe
    calls, durable = Calls(), list[Outcome]()
    descriptor, report = await report_of(path, calls=calls, on_durable=durable.extend)
    number = 0
    while not calls.paused:
        report.write(outcome(number))
        number += 1
        await asyncio.sleep(0)
    assert report.running is not None
    received = bytearray()
    reading = threading.Thread(target=lambda: received.extend(b"".join(iter(lambda: os.read(reader, 65536), b""))))
    reading.start()
    await until_true(lambda: not calls.paused)
    await report.finish()
    os.close(descriptor)
    reading.join()
    assert received.count(b"\n") == number
    assert [each.line for each in durable] == list(range(number))


async def test_finish_waits_for_a_stuck_pipe_only_as_long_as_it_is_allowed(pipe: tuple[Path, int]) -> None:
    descriptor, report = await report_of(pipe[0])
    for number in range(2000):
        report.write(outcome(number))
    finishing = asyncio.ensure_future(report.finish())
    _, waiting = await asyncio.wait([finishing], timeout=0.2)
    assert waiting
    report.finish_within(0.05)
    with pytest.raises(ReportError, match=r"it does not accept data any more; \d+ outcomes have no line$"):
        await finishing
    assert 1000 < len(report.unwritten) < 2000
    os.close(descriptor)


async def test_any_number_of_cancellations_leaves_a_report_that_is_written(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    descriptor, report = await report_of(path)
    for number in range(10):
        report.write(outcome(number))
    finishing = asyncio.ensure_future(report.finish())
    for _ in range(5):
        await asyncio.sleep(0)
        finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing
    assert len(read_report(path)) == 10
    assert report.running is None
    os.close(descriptor)


async def test_a_sync_that_fails_once_is_an_error_at_the_end_and_its_outcomes_are_never_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, durable, errors = tmp_path / "report.jsonl", list[Outcome](), list[ReportError]()
    fsync, released, results = os.fsync, threading.Event(), [OSError(5, "Input/output error")]

    def fails_once(descriptor: int) -> None:
        assert released.wait(20)
        if results:
            raise results.pop()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fails_once)
    descriptor = await open_report(path, resume=False)
    report = Report(descriptor, path, on_error=errors.append, on_durable=durable.extend)
    report.write(outcome(1))
    await until_true(lambda: report.running)
    finishing = asyncio.ensure_future(report.finish())
    await asyncio.sleep(0)
    released.set()
    with pytest.raises(ReportError, match="Input/output error"):
        await finishing
    assert (len(errors), durable) == (1, [])
    os.close(descriptor)


async def test_a_sync_that_fails_in_any_other_way_ends_the_run_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, errors = tmp_path / "report.jsonl", list[ReportError]()
    cause = MemoryError("no memory")

    def fails(_: int) -> None:
        raise cause

    monkeypatch.setattr(os, "fsync", fails)
    descriptor = await open_report(path, resume=False)
    report = Report(descriptor, path, on_error=errors.append)
    report.write(outcome(1))
    await until_true(lambda: errors)
    assert errors[0].__cause__ is cause
    with pytest.raises(ReportError, match="no memory"):
        await report.finish()
    os.close(descriptor)


async def test_a_slow_sync_delays_neither_lines_nor_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.jsonl"
    released, fdatasync = threading.Event(), os.fdatasync

    def slow(descriptor: int) -> None:
        assert released.wait(20)
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    descriptor = await open_report(path, resume=False)
    log = open_in_flight_log(path, most=10, settled=())
    report = Report(descriptor, path, on_error=lambda _: None, in_flight=log)
    report.write(outcome(0))
    await until_true(lambda: report.running)
    log.begin(outcome(1).task, identity(outcome(1).task))
    for number in range(64):
        report.write(outcome(number))
    assert len(read_report(path)) == 65
    released.set()
    await report.finish()
    log.close()
    os.close(descriptor)
    assert list(tmp_path.iterdir()) == [path]


async def test_a_note_stays_until_the_line_of_its_task_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fsync, released = tmp_path / "report.jsonl", os.fsync, threading.Event()

    def slow(descriptor: int) -> None:
        assert released.wait(20)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    descriptor = await open_report(path, resume=False)
    log = open_in_flight_log(path, most=10, settled=())
    report = Report(descriptor, path, on_error=lambda _: None, in_flight=log)
    first, second = outcome(1), replace(outcome(2), status=Status.GAVE_UP, in_doubt=True)
    for each in (first, second):
        log.begin(each.task, identity(each.task))
        report.write(each)
    await until_true(lambda: report.running)
    assert len(read_report(path)) == 2
    # A power cut may keep this note, and lose the lines above.
    log.begin(outcome(3).task, identity(outcome(3).task))
    notes = (tmp_path / "report.jsonl.inflight").read_bytes()
    assert all(identity(outcome(number).task) in notes for number in (1, 2, 3))
    released.set()
    await report.finish()
    log.end([outcome(3).task])
    log.close()
    os.close(descriptor)
    assert list(tmp_path.iterdir()) == [path]


async def test_notes_are_synced_although_no_line_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, fdatasync, synced = tmp_path / "report.jsonl", os.fdatasync, threading.Event()

    def noticed(descriptor: int) -> None:
        fdatasync(descriptor)
        synced.set()

    monkeypatch.setattr(os, "fdatasync", noticed)
    descriptor = await open_report(path, resume=False)
    log = open_in_flight_log(path, most=10, settled=())
    report = Report(descriptor, path, on_error=lambda _: None, in_flight=log)
    log.begin(outcome(1).task, identity(outcome(1).task))
    # The API answers nothing, so that no outcome comes.
    await until_true(synced.is_set)
    await report.finish()
    log.close()
    os.close(descriptor)
