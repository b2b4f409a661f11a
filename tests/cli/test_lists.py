"""Lists on the command line: all are understood before the first call, and the plan says how."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
from functools import partial
from typing import Any

import pytest

from stopcast.sandbox import Emulator
from support.processes import Shell, end_of, tasks, write_csv

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"
HEADER = "AppId,RoomId,TaskId\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"app,task,room\nx,y,z\n", "--columns"),
        (b"PAR1", "Parquet"),
        (b"\x1f\x8b\x08garbage", "gzip data is damaged"),
        (b"a|r|\xd6\xd0\n", "--encoding"),
        (b'{"app":"a","room":"r","task":"t"}\n', "--columns"),
        (b"\xd6\xd0\xce\xc4\n", "--columns"),
    ],
)
def test_a_second_list_that_cannot_be_understood_ends_the_run_before_the_first_call(
    shell: Shell, api: Emulator, at: At, content: bytes, words: str
) -> None:
    (shell / "first.csv").write_text(HEADER + "a,r,t1\n")
    (shell / "second").write_bytes(content)
    ended = shell.run("run", "first.csv", "second", *at)
    assert (ended.status, api.calls) == (2, 0)
    assert "second: " in ended.err
    assert words in ended.err
    assert not (shell / REPORT).exists()


@pytest.mark.parametrize("module", [bz2, gzip, lzma], ids=lambda module: module.__name__)
def test_a_damaged_compressed_list_is_named_with_what_is_wrong(shell: Shell, at: At, module: Any) -> None:
    (shell / "list").write_bytes(module.compress(HEADER.encode())[:10] + b"\xff" * 99)
    ended = shell.run("run", "list", *at)
    assert (ended.status, ended.without_traceback) == (2, True)
    assert "data is damaged" in ended.err


@pytest.mark.parametrize("names", [("bad.csv",), ("list.csv", "bad.csv"), ("-",)])
def test_a_list_that_cannot_be_understood_is_refused_without_any_sign_of_a_start(
    shell: Shell, at: At, names: tuple[str, ...]
) -> None:
    write_csv(shell / "list.csv", tasks(3))
    (shell / "bad.csv").write_text("one,two\n1,2\n")
    ended = shell.run("run", *names, *at, given=b"one,two\n1,2\n")
    assert (ended.status, ended.err.startswith("stopcast: ")) == (2, True), ended.err
    assert not (shell / REPORT).exists()


def test_a_closed_standard_input_is_refused_without_any_sign_of_a_start(shell: Shell, at: At) -> None:
    ended = shell.run_process("run", "-", *at, before=partial(os.close, 0))
    assert (ended.status, ended.err) == (2, "stopcast: standard input: it is closed\n")


def test_standard_input_is_understood_before_the_first_call_too(shell: Shell, api: Emulator, at: At) -> None:
    (shell / "first.csv").write_text(HEADER + "a,r,t1\n")
    process = shell.start("run", "first.csv", "-", *at, stdin=subprocess.PIPE)
    ended = end_of(process, b"one,two\n")
    assert (ended.status, api.calls) == (2, 0)
    assert "standard input: " in ended.err


def test_many_lists_and_pipes_are_read_in_their_order(shell: Shell, at: At) -> None:
    names = [f"list{number}.csv" for number in range(5)]
    for number, name in enumerate(names):
        (shell / name).write_text(f"{HEADER}a,r,t{number}\n")
    ended = shell.run("run", *names[:3], "-", *names[3:], *at, "--json", given=b"a;r;piped\n")
    assert (ended.status, ended.summary["statuses"]["stopped"]) == (0, 6)


PLANS = [
    ("a;r;t\n".encode("utf-16"), ("CSV (;)", "UTF-16-LE", "no header: columns taken as AppId, RoomId, TaskId")),
    (b"\nRoomId\tTaskId\tAppId\nr\tt\ta\n", ("TSV", "UTF-8", "header on line 2")),
    (b'[{"AppId":"a","RoomId":"r","TaskId":"t"}]', ("JSON",)),
    ("AppId,RoomId,TaskId,备注\na,r,t,中\n".encode("gbk"), ("CSV (,)", "not UTF-8")),
]


@pytest.mark.parametrize(("content", "words"), PLANS)
def test_the_plan_says_how_a_list_was_read_and_shows_its_first_row(
    shell: Shell, content: bytes, words: tuple[str, ...]
) -> None:
    (shell / "list").write_bytes(content)
    ended = shell.run("run", "list", "--dry-run")
    assert ended.status == 0
    read_as, first_row = ended.out.splitlines()[:2]
    assert all(word in read_as for word in ("list: read as", *words)), read_as
    assert first_row == "  first row: AppId a, RoomId r, TaskId t"


def test_ids_that_look_like_changed_numbers_are_warned_of_in_the_plan_and_after_the_run(shell: Shell, at: At) -> None:
    ids = ["1001.0", "1.2E17", "1001.00", "-7.0", "1.5E-7"]
    (shell / "list.csv").write_text(HEADER + "".join(f"a,r,{id_}\n" for id_ in [*ids, "v1.0", "t", "1.0.0", "12e5"]))
    for arguments in (("run", "list.csv", "--dry-run"), ("run", "list.csv", *at, "-q")):
        ended = shell.run(*arguments)
        assert "5 rows have an id such as 1001.0" in ended.out + ended.err
        again = ("-o", "again.jsonl") if at[0] in arguments else ()
        assert shell.run(*arguments, *again, "--json").summary["rounded_ids"] == len(ids)


def test_what_the_user_says_of_a_list_overrules_what_is_detected(shell: Shell, api: Emulator, at: At) -> None:
    (shell / "list").write_bytes("x^TASK^ROOM^APP^备注\n1^t^r^a^中^\n".encode("gbk"))
    columns = ("--columns", "app=APP,room=ROOM,task=TASK")
    ended = shell.run("run", "list", *at, "--delimiter", "^", "--encoding", "gbk", *columns, "--format", "csv")
    assert ended.status == 0
    assert [tuple(task) for task in api.stopped] == [("a", "r", "t")]
    by_place = ("--columns", "app=4,room=3,task=2", "--delimiter", "^", "--encoding", "GBK", "--resume")
    assert "1 row had been settled" in shell.run("run", "list", *at, *by_place).err


@pytest.mark.parametrize(
    "option",
    [
        ("--delimiter", "ab"), ("--delimiter", "a"), ("--delimiter", "_"), ("--delimiter", '"'), ("--delimiter", "§"),
        ("--encoding", "klingon"), ("--encoding", "hex"), ("--columns", "app=1"), ("--columns", "app=0,room=1,task=2"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_wrong_usage(shell: Shell, option: tuple[str, str]) -> None:
    (shell / "list.csv").write_text(HEADER + "a,r,t\n")
    ended = shell.run("run", "list.csv", "--dry-run", *option)
    assert ended.status == 2
    assert ended.without_traceback
    assert option[0][2:] in ended.err
