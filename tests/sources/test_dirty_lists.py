from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from stopcast.sandbox import Emulator
from stopcast.tasks.task import Task
from support.command import Finished
from support.processes import Shell, read_report

At = tuple[str, ...]
GOOD = [Task("a", "r", "first"), Task("a", "r", "last")]


def stop(shell: Shell, name: str, data: bytes, at: At) -> tuple[Finished, dict[int, dict[str, Any]]]:
    """Run a list that has bad rows; return how it ended, and the report's lines by their line in the list."""
    (shell / name).write_bytes(data)
    ended = shell.run("run", name, *at, "--json")
    assert ended.without_traceback, ended.err
    lines = read_report(shell / "stopcast-report.jsonl")
    assert ended.summary["rows"] == len(lines)
    assert all(line["source"] == name for line in lines)
    by_place = {line["line"]: line for line in lines}
    assert len(by_place) == len(lines)
    return ended, by_place


def in_json(*values: object) -> bytes:
    return json.dumps(dict(zip(("AppId", "RoomId", "TaskId"), values, strict=True))).encode()


#: Rows that are no task, and a word of the reason.
BAD_CSV = [
    (b"a,r,", "TaskId is empty"),
    (b"a", "missing"),
    (b",r,", "AppId is empty"),
    (b"a,r,x\0y", "TaskId"),
    (b"a,r,\0", "TaskId"),
    (b"a,r,caf\xe9", "UTF-8"),
    (b"a,r," + b"x" * 129, "longer than 128 characters"),
    (b"a," + b"x" * 129 + b",t", "longer than 128 characters"),
    (b"a,r," + b"x" * 10_000_000, "longer"),
    (b"a,r,t,u", "4 fields"),
    (b'a,r,"t', "quote"),
    (b'a,r,"t"u', "quote"),
    ("a,r,räum".encode(), "may not hold"),
    ("a,r,\u2028".encode(), "may not hold"),
    ("a,r,\ufeffx".encode(), "may not hold"),
    (b"a,r,t u", "may not hold"),
    (b"a,r,t\ru", ""),
    (b"a,r,t/../u", "may not hold"),
    (b"a,r,t?Action=StopRecord", "may not hold"),
    (b"a,r,t&Version=1", "may not hold"),
    (b"a,r,t%0d%0aHost:evil", "may not hold"),
    (b"a,r,t#u", "may not hold"),
    (b'a,r,"=""001"""', "a formula, which makes a spreadsheet keep it as text"),
    (b"a,r,'001", "the apostrophe that makes a spreadsheet keep it"),
    (b"a,r,t:u", "may not hold"),
    (b'a,r,"t"",""AppId"":""b"', "may not hold"),
    (b"a,r,t\\u0022", "may not hold"),
    (b"a,r,$(reboot)", "may not hold"),
    (b"=cmd(),r,t", "may not hold"),
]


def test_a_csv_of_every_dirt_gives_each_bad_row_its_place_and_reason(shell: Shell, api: Emulator, at: At) -> None:
    rows = [b"a,r,first", *(row for row, _ in BAD_CSV), b"", b"  ", b"a,r,last"]
    data = b"\xef\xbb\xbfAppId,RoomId,TaskId\r\n" + b"".join(row + b"\r\n" for row in rows)
    ended, lines = stop(shell, "list.csv", data, at)
    assert ended.status == 1
    assert api.stopped == set(GOOD)
    for place, (row, reason) in enumerate(BAD_CSV, start=3):
        line = lines.pop(place)
        assert line["status"] == "invalid", row[:80]
        assert reason in line["message"], row[:80]
        assert len(json.dumps(line)) < 4000
        assert line["attempts"] == 0
    assert {line["status"] for line in lines.values()} == {"stopped"}
    assert len(lines) == 2


BAD_JSON = [
    (b"{", "JSON"),
    (b"null", ""),
    (b"17", ""),
    (b'"a,r,t"', ""),
    (b"{}", "AppId is missing"),
    (b"[]", "array"),
    (b'["a","r"]', "array of 2"),
    (b'["a","r","t","u"]', "array of 4"),
    (b'["a","r",7]', "not a string"),
    (in_json("a", "r", 17), "TaskId is a number, not a string"),
    (in_json(1.5, "r", "t"), "not a string"),
    (in_json("a", None, "t"), "RoomId is missing"),
    (in_json("a", True, "t"), "not a string"),
    (in_json("a", ["r"], "t"), "not a string"),
    (in_json("a", {"r": 1}, "t"), "not a string"),
    (in_json("a", "r", ""), "TaskId is empty"),
    (in_json("a", "r", " t"), "may not hold"),
    (in_json("a", "r", "t\n"), "may not hold"),
    (in_json("a", "r", "t\x00"), "may not hold"),
    (in_json("a", "r", "t\r\nX-Evil: 1"), "may not hold"),
    (in_json("a", "r", "t\u2028"), "may not hold"),
    (in_json("a", "r", "\u0661"), "may not hold"),
    (in_json("a", "r", "t\ud800"), ""),
    (in_json("a", "r", "x" * 129), "longer than 128 characters"),
    (in_json("a", "r", "x" * 60_000), "longer than 128 characters"),
    (b'{"AppId":"a","RoomId":"r","TaskId":"' + b"x" * 10_000_000 + b'"}', "longer"),
    (b'{"AppId":"a","RoomId":"r","TaskId":"caf\xe9"}', "JSON"),
    (b'{"AppId":"a","RoomId":"r","TaskId":NaN}', "JSON"),
    (b'{"AppId":"a","RoomId":"r","TaskId":' + b"9" * 400 + b"}", ""),
    (b'{"AppId":"a","RoomId":"r","TaskId":"t","task_id":"u"}', "different values"),
    (b"[" * 20_000 + b"]" * 20_000, ""),
    (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, ""),
    (b"\0", "JSON"),
    (b'{"AppId":"a","RoomId":"r","TaskId":"t"}{"AppId":"a","RoomId":"r","TaskId":"u"}', "JSON"),
]


def test_a_jsonl_of_every_dirt_gives_each_bad_row_its_place_and_reason(shell: Shell, api: Emulator, at: At) -> None:
    rows = [in_json(*GOOD[0]), *(row for row, _ in BAD_JSON), b"", b"\t", b'["a","r","last"]']
    ended, lines = stop(shell, "list.jsonl", b"\xef\xbb\xbf" + b"\r\n".join(rows), at)
    assert ended.status == 1
    assert set(api.stopped) == set(GOOD)
    for place, (row, reason) in enumerate(BAD_JSON, start=2):
        line = lines.pop(place)
        assert line["status"] == "invalid", row[:80]
        assert reason in line["message"], (row[:80], line["message"])
        assert len(json.dumps(line)) < 4000
    assert {line["status"] for line in lines.values()} == {"stopped"}
    assert len(lines) == 2


def test_the_reason_shows_no_more_than_a_little_of_what_was_wrong(shell: Shell, at: At) -> None:
    _, lines = stop(shell, "list.jsonl", in_json("a", "r", "x" * 60_000) + b"\n" + in_json("a", "y" * 50_000, 1), at)
    assert all(len(line["message"]) < 200 for line in lines.values())
    assert all(len(json.dumps(line)) < 2000 for line in lines.values())


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("list.csv", b"AppId,RoomId,TaskId\r\na,r,first\r\na,r,last"),
        ("list.csv", b'"App ID","room-id",TASK_ID\na , r,"first"\n"a","r","last"\n'),
        ("list.csv", b'note,TaskId,AppId,RoomId\n"two\nlines",first,a,r\n"a ""quoted"", word",last,a,r\n'),
        ("list.tsv", b"AppId\tRoomId\tTaskId\na\tr\tfirst\n\n\na\tr\tlast\n\n"),
        ("list.csv", b"\xef\xbb\xbfa,r,first\na,r,last\n"),
        ("list", b"\n\nAppId,RoomId,TaskId\na,r,first\na,r,last\n"),
        ("list", b'\xef\xbb\xbf\n{"app_id":"a","room-id":"r","TASKID":"first"}\n["a","r","last"]\n'),
        ("list.csv.gz", gzip.compress(b"a,r,first\n", mtime=0) + gzip.compress(b"a,r,last\n", mtime=0)),
        ("list", gzip.compress(b'["a","r","first"]\r\n["a","r","last"]', mtime=0)),
        ("list.csv", b"AppId,RoomId,TaskId,\na,r,first,\na,r,last,\n"),
        ("list.csv", "AppId,RoomId,TaskId\na,r,first\na,r,last\n".encode("utf-16")),
        ("list.csv", b"AppId,RoomId,TaskId\r\r\na,r,first\r\r\n,,\r\r\na,r,last\r\r\n,,\r\r\n"),
    ],
)
def test_what_is_only_odd_is_read_as_it_is_meant(shell: Shell, api: Emulator, at: At, name: str, data: bytes) -> None:
    ended, lines = stop(shell, name, data, at)
    assert ended.status == 0
    assert api.stopped == set(GOOD)
    assert {line["status"] for line in lines.values()} == {"stopped"}


def test_ids_of_every_allowed_character_and_of_full_length_are_sent_as_they_are(
    shell: Shell, api: Emulator, at: At
) -> None:
    odd = [Task("a" * 128, "b@c", "-"), Task("..", ".", "_"), Task("-", "--resume", "@"), Task("0", "00", "1e5")]
    ended, _ = stop(shell, "list.csv", "".join(f"{','.join(task)}\n" for task in odd).encode(), at)
    assert ended.status == 0
    assert api.stopped == set(odd)


def test_ids_that_differ_only_in_case_or_dots_are_different_tasks(shell: Shell, api: Emulator, at: At) -> None:
    ended, _ = stop(shell, "list.csv", b"a,r,t\nA,r,t\na,r.,t\na,r,t.\na,rt,t\nar,t,t\na,r,t\n", at)
    assert ended.summary["statuses"]["duplicate"] == 1
    assert len(api.stopped) == 6


@pytest.mark.parametrize(
    "data", [b"\0" * 300_000, b"\xff\xfe\xfd" * 50_000, b"\x1f\x8b\x08garbage", b"%PDF-1.4\n\xe2\xe3"]
)
def test_what_is_no_list_at_all_is_never_a_traceback(shell: Shell, api: Emulator, at: At, data: bytes) -> None:
    (shell / "list").write_bytes(data)
    ended = shell.run("run", "list", *at)
    assert ended.status in {1, 2}
    assert ended.without_traceback
    assert api.calls == 0


def test_a_list_named_with_odd_characters_is_named_in_every_line(shell: Shell, at: At) -> None:
    ended, _ = stop(shell, "li\u2028st \x1b[31m ü.csv", b"a,r,first\na,r,last\n", at)
    assert ended.status == 0
    assert "\x1b" not in ended.err


def test_a_list_whose_name_is_no_utf_8_is_read_and_its_lines_are_whole(shell: Shell, api: Emulator, at: At) -> None:
    name = b"li\xffst.csv".decode("utf-8", "surrogateescape")
    (shell / name).write_bytes(b"a,r,first\na,r,last\n")
    ended = shell.run("run", name, *at)
    assert ended.status == 0
    assert ended.without_traceback
    assert len(read_report(shell / "stopcast-report.jsonl")) == len(api.stopped) == 2


def test_a_gzip_bomb_is_read_in_bounded_memory(shell: Shell, api: Emulator, at: At) -> None:
    import resource

    # One line of 400 MB, in 16 parts: compressing it whole would take a second.
    part = gzip.compress(b"x" * (25 << 20), 1)
    bomb = [gzip.compress(b"a,r,first\n"), *[part] * 16, gzip.compress(b"\na,r,last\n")]
    (shell / "list.csv.gz").write_bytes(b"".join(bomb))

    def within_one_gigabyte() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    ended = shell.run_process("run", "list.csv.gz", *at, before=within_one_gigabyte)
    assert ended.status == 1
    assert api.stopped == set(GOOD)
