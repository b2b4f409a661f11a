from __future__ import annotations

import asyncio
import bz2
import errno
import gzip
import json
import lzma
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from stopcast.errors import ReportError
from stopcast.report.history import ReportHistory, continue_history, peek_history, tidy
from stopcast.report.line import line_of
from stopcast.tasks.identities import identity
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Batch, RawRow, Task
from support.processes import Shell, lines_by_task, statuses, tasks, write_csv

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"
A, B, C = tasks(3)


def written(path: Path, outcomes: Iterable[Outcome]) -> Path:
    path.write_bytes(b"".join(map(line_of, outcomes)))
    return path


def history_of(path: Path) -> ReportHistory:
    return asyncio.run(peek_history(path))


def tidied(path: Path) -> list[dict[str, object]]:
    """Return the lines of a report after it was written anew."""

    async def rewrite() -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        await tidy(descriptor, path, await continue_history(descriptor, path, check=lambda _: None))
        os.close(descriptor)

    asyncio.run(rewrite())
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def in_doubt_of(history: ReportHistory, task: Task) -> bool:
    taken = Intake(settled=history.settled).take(Batch("list", [RawRow(*task, 1)]), 0.0)
    return taken.accepted[0].in_doubt


# Doubt


@pytest.mark.parametrize("later", [Status.SET_ASIDE, Status.GAVE_UP])
@pytest.mark.parametrize("rewrite", [False, True])
def test_a_doubt_outlives_later_lines_that_do_not_have_it(tmp_path: Path, later: Status, *, rewrite: bool) -> None:
    path = written(tmp_path / "r", [Outcome(A, Status.GAVE_UP, in_doubt=True), Outcome(A, later), Outcome(B, later)])
    if rewrite:
        lines = tidied(path)
        assert [(line["TaskId"], line["status"], line.get("in_doubt")) for line in lines] == [
            (A.task_id, later, True), (B.task_id, later, None),
        ]  # fmt: skip
    history = history_of(path)
    assert history.statuses[later] == 2
    assert (in_doubt_of(history, A), in_doubt_of(history, B)) == (True, False)


@pytest.mark.parametrize("earlier", [Status.FAILED, Status.GAVE_UP])
def test_a_task_that_a_queue_delivered_again_counts_by_its_last_line(tmp_path: Path, earlier: Status) -> None:
    lines = [Outcome(A, earlier), Outcome(B, earlier), Outcome(A, Status.STOPPED)]
    path = written(tmp_path / REPORT, lines)
    assert +history_of(path).statuses == {Status.STOPPED: 1, earlier: 1}
    assert [line["status"] for line in tidied(path)] == [earlier, "stopped"]


def test_a_failed_line_keeps_the_doubt_of_the_line_that_it_replaces_and_a_good_line_has_none(tmp_path: Path) -> None:
    outcomes = [
        Outcome(A, Status.GAVE_UP, in_doubt=True), Outcome(B, Status.GAVE_UP, in_doubt=True),
        Outcome(A, Status.FAILED), Outcome(B, Status.PRESUMED_STOPPED, in_doubt=True),
    ]  # fmt: skip
    lines = tidied(written(tmp_path / "r", outcomes))
    assert [(line["status"], line.get("in_doubt")) for line in lines] == [("failed", True), ("presumed_stopped", None)]


@pytest.mark.parametrize("status", [status for status in Status if not status.good])
def test_in_doubt_stands_on_every_line_that_is_not_good(status: Status) -> None:
    assert json.loads(line_of(Outcome(A, status, in_doubt=True)))["in_doubt"] is True


# Lines


def test_blank_lines_a_byte_order_mark_and_another_order_of_the_keys_are_fine(tmp_path: Path) -> None:
    path = written(tmp_path / "r", [Outcome(A, Status.GAVE_UP), Outcome(B, Status.STOPPED)])
    first, second = path.read_bytes().splitlines()
    turned = json.dumps(dict(reversed(list(json.loads(second).items())))).encode()
    path.write_bytes(b"\xef\xbb\xbf" + first + b"\n\n \t\r\n" + turned + b"\n\n")
    before = path.read_bytes()
    history = history_of(path)
    assert (+history.statuses, history.size) == ({Status.GAVE_UP: 1, Status.STOPPED: 1}, len(before))
    assert identity(B) in history.settled
    assert identity(A) not in history.settled


def test_a_resumed_run_does_not_send_a_task_that_failed_and_a_queue_may_deliver_it_again(tmp_path: Path) -> None:
    settled = history_of(written(tmp_path / REPORT, [Outcome(A, Status.FAILED), Outcome(B, Status.STOPPED)])).settled
    assert [identity(task) in settled for task in (A, B, C)] == [True, True, False]
    assert [identity(task) in settled.good for task in (A, B, C)] == [False, True, False]


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize(
    "line",
    [
        '{"AppId":"a","RoomId":"r","TaskId":"t"}',
        '{"AppId":"a","RoomId":"r","TaskId":"t","status":"postponed","attempts":1}',
        '["a","r","t"]',
        '{"AppId":1,"RoomId":"r","TaskId":"t","status":"stopped"}',
        '{"AppId":"a","RoomId":"r","TaskId":"t"},',
        '{"AppId":"a","RoomId":"r","TaskId":"t"}{"AppId":"a","RoomId":"r","TaskId":"u"}',
        '{"AppId":"a","RoomId":"r","TaskId":"t","note":"x"',
        '{"AppId":"a","RoomId":["r"],"TaskId"',
        '{"AppId":"a","TaskId":"t","RoomId":"r"',
    ],
)
def test_a_whole_line_is_never_cut_off(shell: Shell, at: At, line: str, end: str) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    for before in ("", line_of(Outcome(A, Status.STOPPED)).decode()):
        content = f"{before}{line}{end}"
        (shell / "tasks.jsonl").write_text(content)
        ended = shell.run("run", name, *at, "--resume", "-o", "tasks.jsonl")
        assert ended.status == 3
        where = f"tasks.jsonl is not a report (line {2 if before else 1}). Name a file that `stopcast run` wrote"
        assert where in " ".join(ended.err.split())
        assert ("remove the line" in ended.err) is bool(before)
        assert (shell / "tasks.jsonl").read_text() == content
    assert sorted(path.name for path in shell.directory.glob("tasks.jsonl*")) == ["tasks.jsonl"]


@pytest.mark.parametrize("end", [b'{"App', b'{"AppId":"a","RoomId"', bytes(9), b'{"AppId":"a\0\0\n'])
def test_a_line_that_a_crash_cut_off_is_removed(tmp_path: Path, end: bytes) -> None:
    path = written(tmp_path / "r", [Outcome(A, Status.STOPPED)])
    whole = path.read_bytes()
    path.write_bytes(whole + end)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    history = asyncio.run(continue_history(descriptor, path, check=lambda _: None))
    os.close(descriptor)
    assert (path.read_bytes(), history.torn_bytes) == (whole, len(end))


@pytest.mark.parametrize("status", [Status.STOPPED, Status.DUPLICATE, Status.INVALID])
def test_a_line_that_is_cut_off_at_any_of_its_bytes_is_removed(tmp_path: Path, status: Status) -> None:
    first, last = line_of(Outcome(A, Status.STOPPED)), line_of(Outcome(B, status, message="why", line=3, source="list"))
    path = tmp_path / "r"
    for cut in range(1, len(last) + 1):
        path.write_bytes(first + last[:cut])
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        history = asyncio.run(continue_history(descriptor, path, check=lambda _: None))
        os.close(descriptor)
        # A line that lacks its end alone is whole: its end is written.
        assert path.read_bytes() == first + (last if cut >= len(last) - 1 else b""), cut
        assert history.statuses.total() == 1 + (cut >= len(last) - 1), cut


@pytest.mark.parametrize("content", [b"{", b'{"AppId":"a","RoomId":"r","TaskId":"t"', bytes(9), b'{"AppId":nul'])
def test_a_file_without_a_whole_line_is_cut_off_only_where_it_is_known_to_be_a_report(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "r"
    path.write_bytes(content)
    with pytest.raises(ReportError, match="is not a report"):
        history_of(path)
    (tmp_path / "r.inflight").write_bytes(b"")
    assert history_of(path).torn_bytes == len(content)
    (tmp_path / "r.inflight").unlink()
    path.write_bytes(b'{"AppId":"a","RoomId":null,"TaskId":"t\\"","status":"sto')
    assert history_of(path).torn_bytes


def test_a_line_longer_than_any_of_a_report_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(b'{"AppId":"a","RoomId":"' + 3_000_000 * b"x")
    with pytest.raises(ReportError, match="line 1"):
        history_of(path)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_report_is_not_continued_and_says_why(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = written(tmp_path / "r", [Outcome(A, Status.STOPPED)] * 50)
    path.write_bytes(compress(path.read_bytes()))
    with pytest.raises(ReportError, match="r is compressed, and so cannot be continued: decompress it first"):
        history_of(path)


def test_a_line_with_a_newline_that_is_not_json_is_not_cut_off(tmp_path: Path) -> None:
    path = written(tmp_path / "r", [Outcome(A, Status.STOPPED)])
    path.write_bytes(path.read_bytes() + b'{"AppId":"a",\n')
    with pytest.raises(ReportError, match="line 2"):
        history_of(path)


# Writing the report anew


@pytest.mark.parametrize("killed", [False, True])
def test_a_report_that_cannot_be_replaced_is_overwritten_and_a_kill_in_between_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, killed: bool
) -> None:
    path = written(tmp_path / "r", [Outcome(A, Status.GAVE_UP), Outcome(B, Status.STOPPED), Outcome(A, Status.STOPPED)])
    number = path.stat().st_ino
    replace = Path.replace

    def bind_mounted(source: Path, target: Path) -> Path:
        if target == path:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", bind_mounted)
    if killed:
        with monkeypatch.context() as dying:
            dying.setattr("stopcast.report.rewriting.shutil.copyfileobj", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                tidied(path)
        # What the copying had done to the report by then.
        path.write_bytes(path.read_bytes()[200:])
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        history = asyncio.run(continue_history(descriptor, path, check=lambda _: None))
        os.close(descriptor)
        assert history.statuses == {Status.STOPPED: 2}
    else:
        tidied(path)
    assert [json.loads(line)["TaskId"] for line in path.read_bytes().splitlines()] == [B.task_id, A.task_id]
    assert path.stat().st_ino == number
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", ["tidying", "tidied"])
def test_a_file_that_stopcast_did_not_write_is_not_removed_for_the_new_report(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / "r", [Outcome(A, Status.GAVE_UP), Outcome(A, Status.STOPPED)])
    mine = tmp_path / f"r.{suffix}"
    mine.write_text("my notes\n")
    if suffix == "tidying":
        with pytest.raises(ReportError, match="was not written by stopcast"):
            tidied(path)
    assert mine.read_text() == "my notes\n"
    assert len(path.read_bytes().splitlines()) == 2


def test_a_file_system_without_modes_keeps_the_report_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "r", [Outcome(A, Status.GAVE_UP), Outcome(A, Status.STOPPED)])

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "chmod", refused)
    assert [line["status"] for line in tidied(path)] == ["stopped"]


def test_a_resumed_run_counts_each_task_once_over_many_replaced_lines(shell: Shell, at: At) -> None:
    listed = tasks(3)
    times = 20
    old = [Outcome(task, Status.GAVE_UP) for _ in range(times) for task in listed]
    written(shell / REPORT, old)
    assert shell.run("run", write_csv(shell / "list.csv", listed), *at, "--resume").status == 0
    assert statuses(shell / REPORT) == {"stopped": 3}
    assert lines_by_task(shell / REPORT) == dict.fromkeys(listed, 1)
