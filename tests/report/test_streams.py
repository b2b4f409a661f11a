"""Reports on standard output, on other descriptors and on pipes: they are just written to."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import pytest

from stopcast.sandbox import Emulator
from support.processes import Shell, end_of, read_report, tasks, write_csv

At = tuple[str, ...]


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_report_on_standard_output_is_written_where_that_stands(shell: Shell, at: At, name: str) -> None:
    with (shell / "out").open("wb") as out:
        out.write(b"before\n")
        out.flush()
        process = shell.start("run", write_csv(shell / "list.csv", tasks(200)), *at, "-o", name, stdout=out)
        ended = end_of(process)
        out.seek(0, os.SEEK_END)
        out.write(b"after\n")
    first, *lines, last = (shell / "out").read_bytes().splitlines()
    assert (ended.status, first, last, len(lines)) == (0, b"before", b"after", 200)
    assert {json.loads(line)["status"] for line in lines} == {"stopped"}
    assert not list(shell.directory.glob("*inflight*"))
    assert not (shell / "-").exists()


def test_a_run_over_nothing_leaves_an_empty_standard_output_in_place(shell: Shell, at: At) -> None:
    (shell / "list.csv").write_text("AppId,RoomId,TaskId\n")
    with (shell / "out").open("wb") as out:
        assert end_of(shell.start("run", "list.csv", *at, "-o", "/dev/stdout", stdout=out)).status == 0
    assert (shell / "out").read_bytes() == b""


@pytest.mark.parametrize("command", ["run list.csv -o - >> list.csv", "run - -o /dev/fd/5 < list.csv 5>> list.csv"])
def test_a_list_that_its_own_report_is_appended_to_is_refused(
    shell: Shell, api: Emulator, at: At, command: str
) -> None:
    before = (shell / write_csv(shell / "list.csv", tasks(3))).read_bytes()
    ended = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m stopcast {command} {shlex.join(at)}"],
        cwd=shell.directory, env=os.environ | shell.variables, capture_output=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, api.calls, (shell / "list.csv").read_bytes()) == (2, 0, before)
    assert b"is the report itself" in ended.stderr


def test_a_report_on_standard_input_is_not_run_again_into_itself(shell: Shell, api: Emulator, at: At) -> None:
    assert shell.run("run", write_csv(shell / "list.csv", tasks(3)), *at).status == 0
    with (shell / "stopcast-report.jsonl").open("rb") as report:
        ended = end_of(shell.start("run", "-", *at, "--resume", stdin=report))
    assert (ended.status, api.calls) == (2, 3)


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
@pytest.mark.parametrize("name", ["-", "/dev/stdout", "fifo", "/dev/null"])
def test_what_is_not_a_file_cannot_be_resumed(
    shell: Shell, api: Emulator, at: At, name: str, options: tuple[str, ...]
) -> None:
    os.mkfifo(shell / "fifo")
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(2)), *at, "-o", name, "--resume", *options)
    assert (ended.status, api.calls) == (2, 0)
    assert "leave --resume out" in ended.err


def test_no_advice_to_resume_is_given_for_a_stream(shell: Shell, at: At) -> None:
    shell.variables["VOLCENGINE_SECRET_KEY"] = "wrong"
    with (shell / "out").open("wb") as out:
        process = shell.start("run", write_csv(shell / "list.csv", tasks(50)), *at, "-o", "-", stdout=out)
        ended = end_of(process)
    assert ended.status == 3
    assert "is left" in ended.err
    assert "--resume" not in ended.err
    assert "stopcast summary" not in ended.err


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_a_closed_standard_output_is_refused_as_a_report_before_any_call(
    shell: Shell, api: Emulator, at: At, name: str
) -> None:
    listed = write_csv(shell / "list.csv", tasks(2))
    ended = end_of(shell.start("run", listed, *at, "-o", name, before=lambda: os.close(1)))
    assert (ended.status, api.calls) == (3, 0)
    assert "Bad file descriptor" in ended.err


def test_verify_at_the_end_needs_a_report_that_is_a_file(shell: Shell, api: Emulator, at: At) -> None:
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(2)), *at, "-o", "-", "--verify")
    assert (ended.status, api.calls) == (2, 0)
    assert "- is not a file" in ended.err


# The sandbox's mark


def test_each_line_of_a_sandbox_is_marked_and_no_line_of_another_run_is(shell: Shell, at: At) -> None:
    (shell / "list.csv").write_text("a,r,1\na,r,1\na,,2\n")
    assert shell.run("run", "list.csv", "--sandbox", "-o", "rehearsed.jsonl").status == 1
    assert [line["sandbox"] for line in read_report(shell / "rehearsed.jsonl")] == [True] * 3
    assert shell.run("run", "list.csv", *at, "-o", "real.jsonl").status == 1
    assert not [line for line in read_report(shell / "real.jsonl") if "sandbox" in line]


@pytest.mark.parametrize("first_in_sandbox", [True, False])
@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_run_and_a_rehearsal_never_continue_each_other_s_report(
    shell: Shell, api: Emulator, at: At, options: At, *, first_in_sandbox: bool
) -> None:
    places = [("--sandbox",), at]
    first, second = places if first_in_sandbox else reversed(places)
    name, report = write_csv(shell / "list.csv", tasks(5)), shell / "stopcast-report.jsonl"
    assert shell.run("run", name, *first).status == 0
    with report.open("ab") as file:
        file.write(b'{"AppId":"torn')
    before, calls = report.read_bytes(), api.calls
    ended = shell.run("run", name, *second, "--resume", *options)
    assert ended.status == 2
    assert "--sandbox" in ended.err
    assert (report.read_bytes(), api.calls) == (before, calls)
    assert shell.run("run", name, *first, "--resume").status == 0
