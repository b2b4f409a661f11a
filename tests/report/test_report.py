"""The lines of a report: their form, what stands in them, and where they are written to."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

import orjson
import pytest

from stopcast.report.line import line_of, read_line, task_of
from stopcast.sandbox import Emulator, Faults
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task
from support.processes import Shell, end_of, read_report, statuses, tasks, until, write_csv
from support.report_lines import KEYS, REPORT, At


def written(outcome: Outcome) -> dict[str, Any]:
    """Return what a line says, read by another parser than the one that wrote it."""
    line = line_of(outcome)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    values: dict[str, Any] = json.loads(line.decode())
    assert list(values) == KEYS
    return values


# The form of a line


def test_a_line_is_what_the_contract_shows_to_the_byte() -> None:
    outcome = Outcome(
        Task("a", "r", "t"), Status.STOPPED, 2, None, None, 200, "...", "tasks.csv", 17, 1795377600.123, 0.2311
    )
    assert line_of(outcome).decode() == (
        '{"AppId":"a","RoomId":"r","TaskId":"t","status":"stopped","attempts":2,"code":null,"message":null,'
        '"http_status":200,"request_id":"...","source":"tasks.csv","line":17,'
        '"finished_at":"2026-11-22T20:00:00.123Z","seconds":0.231}\n'
    )


@pytest.mark.parametrize("at", [0.0, 0.9999, 1795377599.9996, 1795377600.0, 1795377600.0004, 4102444799.999])
def test_the_time_is_utc_with_three_digits_and_never_rounded_into_the_next_second(at: float) -> None:
    text = written(Outcome(Task("a", "r", "t"), Status.STOPPED, finished_at=at))["finished_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    from datetime import datetime

    assert 0 <= at - datetime.fromisoformat(text).timestamp() < 0.0011


def test_one_writer_dates_lines_of_several_seconds_each_by_its_own() -> None:
    lines = [line_of(Outcome(Task("a", "r", "t"), Status.STOPPED, finished_at=at)) for at in (5.5, 6.25, 5.75)]
    assert [json.loads(line)["finished_at"][-7:] for line in lines] == ["05.500Z", "06.250Z", "05.750Z"]


@pytest.mark.parametrize(
    "text",
    ["\ud800", "x\udfff\ud800y", "\x00\x1b[2J\x7f\x85", "\u2028\u2029", '"\\\n\r\t', "\U0001f600", "\ufffe\ufeff", ""],
    ids=ascii,
)
def test_odd_characters_anywhere_still_give_one_line_that_others_can_read(text: str) -> None:
    outcome = Outcome(Task(text, text, text), Status.FAILED, 1, text, text, 400, text, text, 1, 1.0, 0.0)
    values = written(outcome)
    if all(not "\ud800" <= character <= "\udfff" for character in text):
        assert values["message"] == values["source"] == values["code"] == text
    back = read_line(line_of(outcome))
    assert back is not None
    assert back["status"] is Status.FAILED


@pytest.mark.parametrize("status", list(Status))
def test_a_line_that_was_written_reads_back_as_the_same_task_and_status(status: Status) -> None:
    values = read_line(line_of(Outcome(Task("a", "r", "t"), status)))
    assert values is not None
    assert (task_of(values), values["status"]) == (Task("a", "r", "t"), status)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"{}\n", b"[]\n", b"null\n", b"17\n", b'"stopped"\n', b'{"status":"stopped"}\n', b"\0\0\0\n",
        b'{"AppId":"a","RoomId":"r","TaskId":"t","status":"gone"}\n',
        b'{"AppId":"a","RoomId":"r","TaskId":"t","status":["stopped"]}\n',
        b'{"AppId":1,"RoomId":"r","TaskId":"t","status":"stopped"}\n',
        b'{"AppId":"a","RoomId":["r"],"TaskId":"t","status":"stopped"}\n',
        b'{"AppId":"a","RoomId":"r","TaskId":{},"status":"stopped"}\n',
    ],
)  # fmt: skip
def test_what_is_no_line_of_a_report_reads_as_none(line: bytes) -> None:
    assert read_line(line) is None


# What stands in it


def test_every_row_of_every_kind_has_one_line_with_all_keys_in_their_order(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": tasks(1), "internal": tasks(3, first=1), "reset_after": tasks(1, first=4)})
    api.running = set(tasks(8))
    name = write_csv(shell / "list.csv", [*tasks(10), *tasks(2), Task("a", "", "t")])
    assert shell.run("run", name, *at).status == 1
    data = (shell / REPORT).read_bytes()
    lines = [orjson.loads(line) for line in data.splitlines()]
    assert all(list(line) == KEYS for line in lines)
    assert sorted(line["line"] for line in lines) == list(range(2, 15))
    assert statuses(shell / REPORT) == {
        "stopped": 6, "failed": 1, "presumed_stopped": 1, "already_stopped": 2, "duplicate": 2, "invalid": 1,
    }  # fmt: skip


def test_a_line_has_what_the_last_answer_says(shell: Shell, api: Emulator, at: At) -> None:
    one, two = tasks(2)
    api.faults = Faults({"internal": [one], "InvalidParameter": [two]})
    assert shell.run("run", write_csv(shell / "list.csv", [one, two]), *at).status == 1
    lines = {line["TaskId"]: line for line in read_report(shell / REPORT)}
    good, bad = lines[one.task_id], lines[two.task_id]
    assert (good["attempts"], good["code"], good["message"], good["http_status"]) == (2, None, None, 200)
    assert (bad["attempts"], bad["code"], bad["http_status"]) == (1, "InvalidParameter", 400)
    assert bad["message"]
    assert good["request_id"] != bad["request_id"]
    assert all(line["seconds"] >= 0 for line in lines.values())


def test_an_attempt_without_an_answer_leaves_nothing_of_an_earlier_answer(shell: Shell, api: Emulator, at: At) -> None:
    (task,) = tasks(1)
    api.faults = Faults({"internal": [task], "reset": [task]})
    name = write_csv(shell / "list.csv", [task])
    assert shell.run("run", name, *at, "--max-attempts", "2").status == 1
    (line,) = read_report(shell / REPORT)
    assert (line["status"], line["http_status"], line["code"], line["request_id"]) == ("gave_up", None, None, None)
    assert line["message"]


def test_the_report_cannot_be_written_by_other_users(shell: Shell, at: At) -> None:
    assert shell.run("run", write_csv(shell / "list.csv", tasks(1)), *at).status == 0
    assert (shell / REPORT).stat().st_mode & 0o022 == 0


def test_an_empty_file_of_that_name_is_not_overwritten_either(shell: Shell, at: At) -> None:
    (shell / REPORT).touch()
    assert shell.run("run", write_csv(shell / "list.csv", tasks(1)), *at).status == 2
    assert (shell / REPORT).read_bytes() == b""


# Reports that are no plain files


def test_a_report_to_standard_output_is_all_that_stands_there(shell: Shell, at: At) -> None:
    ended = shell.run_process("run", write_csv(shell / "list.csv", tasks(200)), *at, "-o", "/dev/stdout")
    assert ended.status == 0
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert {Task(line["AppId"], line["RoomId"], line["TaskId"]) for line in lines} == set(tasks(200))
    assert len(lines) == 200


def test_a_report_to_a_fifo_is_written_line_by_line(shell: Shell, at: At) -> None:
    os.mkfifo(shell / "fifo")
    process = shell.start("run", write_csv(shell / "list.csv", tasks(50)), *at, "-o", "fifo")
    assert (shell / "fifo").read_bytes().count(b"\n") == 50
    assert end_of(process).status == 0


def test_a_pipe_whose_reader_has_left_stops_the_calls(shell: Shell, api: Emulator) -> None:
    os.mkfifo(shell / "fifo")
    name = write_csv(shell / "list.csv", tasks(5000))
    process = shell.start("run", name, "--endpoint", api.url, "--max-per-second", "200", "-o", "fifo")
    with (shell / "fifo").open("rb") as fifo:
        assert fifo.readline().startswith(b'{"AppId":')
    ended = end_of(process)
    assert ended.status == 3
    assert ended.without_traceback
    assert api.calls < 5000


def test_two_runs_may_throw_their_reports_away_at_the_same_time(shell: Shell, api: Emulator, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    first = shell.start("run", "-", *at, "-o", "/dev/null", stdin=subprocess.PIPE)
    assert first.stdin is not None
    first.stdin.write(b"a,r,t\n")
    first.stdin.flush()
    until(lambda: api.calls)
    assert shell.run("run", name, *at, "-o", "/dev/null").status == 0
    assert end_of(first).status == 0
