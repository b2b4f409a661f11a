from __future__ import annotations

import json
import random
import signal
import subprocess

import pytest

from stopcast.sandbox import Emulator, Faults
from stopcast.tasks.task import Task
from support.processes import (
    Shell,
    end_of,
    lines_by_task,
    read_report,
    settled_by,
    statuses,
    tasks,
    until,
    write_csv,
    write_jsonl,
)

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"


def test_a_settled_row_is_not_sent_again_and_what_is_new_in_the_list_is(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": tasks(1)})
    assert shell.run("run", write_csv(shell / "list.csv", tasks(5)), *at).status == 1
    before = (shell / REPORT).read_bytes()
    listed = tasks(9)
    random.Random(1).shuffle(listed)
    ended = shell.run("run", write_jsonl(shell / "list.jsonl", listed), *at, "--resume", "--json")
    assert ended.status == 1
    assert api.calls == 9
    assert (shell / REPORT).read_bytes().startswith(before)
    assert lines_by_task(shell / REPORT) == dict.fromkeys(tasks(9), 1)
    assert (ended.summary["rows"], ended.summary["settled_earlier"]) == (9, 5)


def test_a_finished_report_is_left_as_it_is_to_the_byte(shell: Shell, api: Emulator, at: At) -> None:
    (shell / "list.csv").write_text("a,r,1\na,r,1\na,,2\nb,r,1\n\n,,\n")
    assert shell.run("run", "list.csv", *at).status == 1
    before, calls = (shell / REPORT).read_bytes(), api.calls
    for _ in range(2):
        assert shell.run("run", "list.csv", *at, "--resume").status == 1
    assert (shell / REPORT).read_bytes() == before
    assert api.calls == calls


def test_duplicates_and_invalid_rows_are_not_reported_twice_and_new_ones_once(shell: Shell, at: At) -> None:
    bad = {"AppId": "a", "RoomId": "r", "TaskId": "no id"}
    rows = [*tasks(2), *tasks(2), *tasks(1)]
    listed = [dict(zip(("AppId", "RoomId", "TaskId"), task, strict=True)) for task in rows]
    (shell / "list.jsonl").write_text("\n".join(map(json.dumps, [*listed, bad, bad, {}, 7, 7])))
    assert shell.run("run", "list.jsonl", *at).status == 1
    assert statuses(shell / REPORT) == {"stopped": 2, "duplicate": 3, "invalid": 5}
    reordered = [bad, 7, {}, *reversed(listed), 7, bad, bad, listed[1], 7, {"AppId": 1}]
    (shell / "other.jsonl").write_text("\n".join(map(json.dumps, reordered)))
    assert shell.run("run", "other.jsonl", *at, "--resume").status == 1
    assert statuses(shell / REPORT) == {"stopped": 2, "duplicate": 4, "invalid": 8}


def test_what_was_given_up_is_sent_again_and_has_one_line_in_the_end(shell: Shell, api: Emulator, at: At) -> None:
    listed = tasks(40)
    api.fail_forever = set(listed[10:30])
    name = write_csv(shell / "list.csv", listed)
    for option in ((), ("--resume",), ("--resume",)):
        ended = shell.run("run", name, *at, *option, "--max-attempts", "1", "--json")
        assert ended.status == 1
        assert statuses(shell / REPORT) == {"stopped": 20, "gave_up": 20}
        assert (ended.summary["rows"], ended.summary["bad"]) == (40, 20)
    assert api.calls == 80
    api.fail_forever = ()
    assert shell.run("run", name, *at, "--resume").status == 0
    assert statuses(shell / REPORT) == {"stopped": 40}
    assert lines_by_task(shell / REPORT) == dict.fromkeys(listed, 1)
    assert not (shell / f"{REPORT}.tidying").exists()


def test_what_was_set_aside_is_sent_again_and_has_one_line_in_the_end(shell: Shell, api: Emulator) -> None:
    api.refused_apps = {"bad": "InvalidParameter.NotExistAppId"}
    listed = [*tasks(50, app="bad"), *tasks(20, app="good")]
    name = write_csv(shell / "list.csv", listed)
    options = ("--endpoint", api.url, "--max-per-second", "1000", "--max-at-once", "2")
    assert shell.run("run", name, *options).status == 1
    assert statuses(shell / REPORT) == {"stopped": 20, "set_aside": 50}
    assert {line["code"] for line in read_report(shell / REPORT) if line["AppId"] == "bad"} == {
        "InvalidParameter.NotExistAppId"
    }
    api.refused_apps = {}
    assert shell.run("run", name, *options, "--resume").status == 0
    assert statuses(shell / REPORT) == {"stopped": 70}
    assert lines_by_task(shell / REPORT) == dict.fromkeys(listed, 1)


def test_a_task_that_is_no_longer_listed_keeps_its_line(shell: Shell, api: Emulator, at: At) -> None:
    api.fail_forever = set(tasks(4))
    assert shell.run("run", write_csv(shell / "list.csv", tasks(4)), *at, "--max-attempts", "1").status == 1
    api.fail_forever = ()
    assert shell.run("run", write_csv(shell / "list.csv", tasks(2)), *at, "--resume").status == 1
    assert statuses(shell / REPORT) == {"stopped": 2, "gave_up": 2}


def test_a_report_behind_a_link_stays_where_it_is(shell: Shell, api: Emulator, at: At) -> None:
    (shell / "elsewhere").mkdir()
    (shell / REPORT).symlink_to("elsewhere/report.jsonl")
    api.faults = Faults({"internal": tasks(2)})
    name = write_csv(shell / "list.csv", tasks(3))
    assert shell.run("run", name, *at, "--max-attempts", "1", "--resume").status == 1
    assert shell.run("run", name, *at, "--resume").status == 0
    assert (shell / REPORT).is_symlink()
    assert statuses(shell / "elsewhere" / "report.jsonl") == {"stopped": 3}


def test_what_lies_in_the_way_of_writing_the_report_anew_is_not_followed(shell: Shell, api: Emulator, at: At) -> None:
    (shell / "precious").write_text("precious\n")
    (shell / f"{REPORT}.tidying").symlink_to("precious")
    api.faults = Faults({"internal": tasks(2)})
    name = write_csv(shell / "list.csv", tasks(3))
    assert shell.run("run", name, *at, "--max-attempts", "1").status == 1
    assert shell.run("run", name, *at, "--resume").status == 0
    assert (shell / "precious").read_text() == "precious\n"
    assert statuses(shell / REPORT) == {"stopped": 3}


# Reports that a crash or a person left in disorder


def test_a_torn_last_line_is_cut_off_and_logged_and_its_task_sent_again(shell: Shell, api: Emulator, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(6))
    assert shell.run("run", name, *at, "--limit", "4").status == 0
    whole = (shell / REPORT).read_bytes()
    (shell / REPORT).write_bytes(whole[:-30])
    torn = len((whole[:-30]).rpartition(b"\n")[2])
    ended = shell.run("run", name, *at, "--resume")
    assert ended.status == 0
    assert str(torn) in ended.err
    assert lines_by_task(shell / REPORT) == dict.fromkeys(tasks(6), 1)
    assert api.calls == 7


def test_zeros_that_a_power_cut_left_at_the_end_are_cut_off(shell: Shell, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(6))
    assert shell.run("run", name, *at, "--limit", "4").status == 0
    with (shell / REPORT).open("ab") as report:
        report.write(bytes(5000))
    assert shell.run("run", name, *at, "--resume").status == 0
    assert lines_by_task(shell / REPORT) == dict.fromkeys(tasks(6), 1)


@pytest.mark.parametrize("line_from_the_end", [3, 2, 1])
def test_cutting_a_report_off_in_its_last_three_lines_loses_and_doubles_nothing(
    shell: Shell, api: Emulator, line_from_the_end: int
) -> None:
    listed = tasks(8)
    name = write_csv(shell / "list.csv", [*listed, *tasks(1), Task("a", "", "t")])
    at = ("--endpoint", api.url, "--max-per-second", "100000")
    assert shell.run("run", name, *at).status == 1
    whole = (shell / REPORT).read_bytes()
    api.running = set()
    lines = whole.splitlines(keepends=True)
    begin = len(b"".join(lines[:-line_from_the_end]))
    # What a cut leaves is removed alike at every byte, which is a test of test_history.py. Here a run follows each.
    ends = begin + len(lines[-line_from_the_end])
    for cut in {*range(begin, ends, 12), begin + 1, ends - 2, ends - 1, ends}:
        (shell / REPORT).write_bytes(whole[:cut])
        ended = shell.run("run", name, *at, "--resume", "-q")
        assert ended.status == 1, (cut, ended)
        assert len(read_report(shell / REPORT)) == 10, cut
        counts = statuses(shell / REPORT)
        assert (counts["duplicate"], counts["invalid"]) == (1, 1), cut
        assert settled_by(shell / REPORT, "stopped") | settled_by(shell / REPORT, "already_stopped") == set(listed), cut


@pytest.mark.parametrize(
    "line", [b"garbage", b"{}", b'{"AppId":1,"RoomId":"r","TaskId":"t","status":"stopped"}', b"\xff", b"\0" * 9]
)
def test_a_broken_line_in_the_middle_is_refused_and_the_report_left_alone(
    shell: Shell, api: Emulator, at: At, line: bytes
) -> None:
    name = write_csv(shell / "list.csv", tasks(6))
    assert shell.run("run", name, *at, "--limit", "4").status == 0
    first, rest = (shell / REPORT).read_bytes().split(b"\n", 1)
    (shell / REPORT).write_bytes(first + b"\n" + line + b"\n" + rest)
    before = (shell / REPORT).read_bytes()
    ended = shell.run("run", name, *at, "--resume")
    assert ended.status == 3
    assert ended.without_traceback
    assert "line 2" in ended.err
    assert (shell / REPORT).read_bytes() == before
    assert api.calls == 4


def test_a_file_that_is_no_report_is_not_touched_by_resume(shell: Shell, api: Emulator, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    for content in (b"dear diary\nnothing happened\n", b"dear diary, without an end", b"AppId,RoomId,TaskId\na,r,t\n"):
        (shell / REPORT).write_bytes(content)
        ended = shell.run("run", name, *at, "--resume")
        assert ended.status in {2, 3}, content
        assert (shell / REPORT).read_bytes() == content
    assert api.calls == 0


def test_a_report_that_is_read_as_a_list_says_what_is_in_doubt(shell: Shell, api: Emulator, at: At) -> None:
    lost, refused = tasks(3), tasks(3, first=3)
    api.faults = Faults({"reset_after": lost, "internal": refused})
    api.running = set(lost)
    name = write_csv(shell / "list.csv", [*lost, *refused, *tasks(1, first=6)])
    assert shell.run("run", name, *at, "--max-attempts", "1", "-o", "first.jsonl").status == 1
    assert statuses(shell / "first.jsonl") == {"gave_up": 6, "already_stopped": 1}
    rows = [*(shell / "first.jsonl").read_text().splitlines(), '{"AppId":"app","RoomId":"room-6","TaskId":"task-6"}']
    (shell / "first.jsonl").write_text("".join(f"{row}\n" for row in rows))
    assert shell.run("run", "first.jsonl", *at).status == 0
    assert settled_by(shell / REPORT, "presumed_stopped") == {*lost, *refused}
    assert settled_by(shell / REPORT, "already_stopped") == set(tasks(1, first=6))


# One run, one report


def test_a_second_run_on_the_same_report_is_refused_while_the_first_lives(shell: Shell, api: Emulator, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    first = shell.start("run", "-", *at, stdin=subprocess.PIPE)
    assert first.stdin is not None
    first.stdin.write(b"a,r,t\n")
    first.stdin.flush()
    until(lambda: api.calls)
    second = shell.run("run", name, *at, "--resume")
    assert second.status in {2, 3}
    assert "another run" in second.err
    assert api.calls == 1
    assert shell.run("summary", REPORT).status in {0, 2}
    assert end_of(first, b"a,r,u\n").status == 0
    assert statuses(shell / REPORT) == {"stopped": 2}


def test_the_lock_of_a_killed_process_is_no_obstacle(shell: Shell, api: Emulator, at: At) -> None:
    first = shell.start("run", "-", *at, stdin=subprocess.PIPE)
    assert first.stdin is not None
    first.stdin.write(b"a,r,t\n")
    first.stdin.flush()
    until(lambda: api.calls)
    first.send_signal(signal.SIGKILL)
    end_of(first)
    assert shell.run("run", "-", *at, "--resume", given=b"a,r,t\na,r,u\n").status == 0
    assert lines_by_task(shell / REPORT) == {Task("a", "r", "t"): 1, Task("a", "r", "u"): 1}
