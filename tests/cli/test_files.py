"""Files that a command writes beside the report: nothing that stopcast did not write is overwritten."""

from __future__ import annotations

import errno
import os
import subprocess
from functools import partial

import pytest

from stopcast.cli.files import unusable
from stopcast.sandbox import Emulator
from support.processes import Shell, obey_permissions, tasks, write_csv

At = tuple[str, ...]


@pytest.mark.parametrize("name", ["list.csv", "old.jsonl", "folder", "fifo", "/dev/null", "-", "/dev/stdout"])
def test_a_metrics_file_replaces_only_a_metrics_file(shell: Shell, api: Emulator, at: At, name: str) -> None:
    listed = write_csv(shell / "list.csv", tasks(2))
    (shell / "old.jsonl").write_text('{"AppId":"a"}\n')
    (shell / "folder").mkdir()
    os.mkfifo(shell / "fifo")
    # Not the time of the last access: reading changes it.
    before = {path: path.lstat()[:7] for path in shell.directory.iterdir() if not path.is_dir()}
    ended = shell.run("run", listed, *at, "--metrics-file", name)
    assert (ended.status, api.calls) == (2, 0)
    assert f"--metrics-file {name}" in ended.err
    assert {path: path.lstat()[:7] for path in before} == before
    assert not (shell / "stopcast-report.jsonl").exists()


def test_a_metrics_file_is_written_again_by_the_next_run_and_a_link_to_it_stays_one(shell: Shell, at: At) -> None:
    listed = write_csv(shell / "list.csv", tasks(2))
    (shell / "link.prom").symlink_to("real.prom")
    for report in ("one.jsonl", "two.jsonl"):
        assert shell.run("run", listed, *at, "--metrics-file", "link.prom", "-o", report).status == 0
    assert (shell / "link.prom").is_symlink()
    assert (shell / "real.prom").read_text().startswith("# HELP stopcast_")


@pytest.mark.parametrize("option", ["--metrics-file", "--control", "--accounts", "--report"])
def test_a_file_in_a_folder_without_access_is_one_line_that_names_it(shell: Shell, option: str) -> None:
    listed = write_csv(shell / "list.csv", tasks(2))
    (shell / "locked").mkdir(mode=0)
    options = ("--sandbox", option, "locked/file")
    ended = shell.run_process("run", listed, *options, before=obey_permissions)
    (shell / "locked").chmod(0o700)
    assert ended.status in {2, 3}
    assert ended.without_traceback
    assert "locked/file" in ended.err
    assert "Permission denied" in ended.err
    assert listed not in ended.err.splitlines()[-1]


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_a_page_on_standard_output_is_all_that_is_printed_there(shell: Shell, at: At, name: str) -> None:
    assert shell.run("run", write_csv(shell / "list.csv", tasks(2)), *at, "-o", "r.jsonl").status == 0
    ended = shell.run("summary", "r.jsonl", "--html", name)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("<!doctype html>")
    assert ended.out.rstrip().endswith("</html>")
    assert not (shell / "-").exists()


@pytest.mark.parametrize("path", ["accounts.toml", "home/.volc/config", "stopcast-report.jsonl.inflight"])
def test_a_pipe_that_brings_nothing_holds_up_no_run_for_ever(shell: Shell, api: Emulator, at: At, path: str) -> None:
    listed = write_csv(shell / "list.csv", tasks(2))
    (shell / path).parent.mkdir(exist_ok=True)
    os.mkfifo(shell / path)
    if path.startswith("home"):
        shell.variables.clear()
    accounts = ("--accounts", path) if path.startswith("accounts") else ()
    ended = shell.run_process("run", listed, *at, *accounts)
    assert ended.status in {2, 3}
    assert path.removeprefix("home/") in ended.err
    assert api.calls == 0


def test_an_accounts_file_may_come_through_a_pipe(shell: Shell) -> None:
    listed = write_csv(shell / "list.csv", tasks(2))
    os.mkfifo(shell / "fifo")
    text = '[accounts.first]\napps = ["*"]\nprofile = "first"'
    with subprocess.Popen(["sh", "-c", 'echo "$0" > fifo', text], cwd=shell.directory):
        ended = shell.run("run", listed, "--sandbox", "--accounts", "fifo")
    assert "account first: 2 calls" in ended.err


@pytest.mark.parametrize("arguments", [("summary", "-"), ("run", "-", "--sandbox")])
def test_a_closed_standard_input_is_one_line(shell: Shell, arguments: At) -> None:
    ended = shell.run_process(*arguments, before=partial(os.close, 0))
    assert ended.status == 2
    assert "standard input: it is closed" in ended.err


@pytest.mark.parametrize("arguments", [("/dev/stdin",), ("list.csv", "--except", "/dev/stdin")])
def test_a_closed_standard_input_is_no_empty_list_by_its_name_either(shell: Shell, arguments: At) -> None:
    write_csv(shell / "list.csv", tasks(2))
    ended = shell.run_process("run", *arguments, "--sandbox", before=partial(os.close, 0))
    assert (ended.status, (shell / "stopcast-report.jsonl").exists()) == (2, False)
    assert "stopcast: /dev/stdin: " in ended.err


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("summary", "{device}"),
        ("run", "{device}"),
        ("run", "list.csv", "--except", "{device}"),
        ("run", "list.csv", "--accounts", "{device}"),
        ("verify", "{device}"),
        ("doctor", "--accounts", "{device}"),
    ],
)
def test_a_device_without_an_end_is_refused(shell: Shell, arguments: At, device: str) -> None:
    write_csv(shell / "list.csv", tasks(1))
    ended = shell.run(*(argument.format(device=device) for argument in arguments))
    assert (ended.status, ended.without_traceback) == (2, True)
    assert device in ended.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--metrics-file", "./r.jsonl"), "--metrics-file ./r.jsonl: --report names"),
        (("--metrics-file", "r.jsonl.inflight"), "--metrics-file r.jsonl.inflight: --report names"),
        (("--metrics-file", "link"), "--metrics-file link: TASKS names"),
        (("--control", "r.jsonl"), "--control r.jsonl: --report names"),
        (("--control", "list.csv"), "--control list.csv: TASKS names"),
        (("--control", "x", "--metrics-file", "x"), "--metrics-file x: --control names"),
        (("--except", "keep.csv", "--accounts", "keep.csv"), "--accounts keep.csv: --except names"),
    ],
)
def test_one_file_for_two_things_is_refused_before_anything_is_written(
    shell: Shell, api: Emulator, at: At, arguments: At, words: str
) -> None:
    write_csv(shell / "list.csv", tasks(2))
    write_csv(shell / "keep.csv", tasks(1))
    (shell / "link").symlink_to("list.csv")
    before = {path.name: path.read_bytes() for path in shell.directory.iterdir() if path.is_file()}
    ended = shell.run("run", "list.csv", *at, "-o", "r.jsonl", *arguments)
    assert (ended.status, api.calls) == (2, 0)
    assert f"{words} the same file" in ended.err
    assert {path.name: path.read_bytes() for path in shell.directory.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("option", ["--report", "--metrics-file", "--control", "--accounts"])
@pytest.mark.parametrize("name", ["", " ", "new/", "new/."])
def test_a_name_that_is_empty_or_names_a_folder_is_refused(shell: Shell, option: str, name: str) -> None:
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(2)), "--sandbox", option, name)
    assert ended.status == 2
    assert option in ended.err
    assert ("names a folder" if name.strip() else "the value is empty") in " ".join(ended.err.split())
    assert {path.name for path in shell.directory.iterdir()} == {"list.csv", "home"}


def test_a_list_without_a_name_is_refused(shell: Shell) -> None:
    ended = shell.run("run", "", "--sandbox")
    assert (ended.status, ended.err) == (
        2,
        "stopcast: the name of a list is empty. Is a variable in the command not set?\n",
    )


@pytest.mark.parametrize("name", ["", "page/"])
def test_a_page_needs_the_name_of_a_file(shell: Shell, at: At, name: str) -> None:
    assert shell.run("run", write_csv(shell / "list.csv", tasks(2)), *at, "-o", "r.jsonl").status == 0
    ended = shell.run("summary", "r.jsonl", "--html", name)
    assert (ended.status, ended.out) == (2, "")
    assert "--html" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "list.csv", "--sandbox", "-o", "{}"),
        ("run", "list.csv", "--sandbox", "-o", "{}", "--resume"),
        ("run", "list.csv", "--sandbox", "-o", "{}", "--verify"),
        ("run", "list.csv", "--sandbox", "--control", "{}"),
        ("run", "list.csv", "--sandbox", "--metrics-file", "{}"),
        ("summary", "report.jsonl", "--html", "{}"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("length", [248, 250, 300])
def test_a_name_that_is_too_long_is_answered_in_words_or_is_no_trouble(
    shell: Shell, arguments: tuple[str, ...], length: int
) -> None:
    write_csv(shell / "list.csv", tasks(1))
    (shell / "report.jsonl").write_text('{"AppId":"a","RoomId":"r","TaskId":"t","status":"stopped"}\n')
    ended = shell.run(*(argument.format("n" * length) for argument in arguments))
    assert ended.status == 0 or "shorter name" in ended.err


def test_a_command_that_is_longer_than_any_name_of_a_file_is_unknown(shell: Shell) -> None:
    ended = shell.run("n" * 300)
    assert (ended.status, "No such command" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Make room"), (errno.ENOENT, "a folder that exists"), (errno.EACCES, "Name another file")],
)
def test_what_to_do_about_a_file_that_cannot_be_written_follows_from_the_cause(number: int, advice: str) -> None:
    error = unusable("--metrics-file", "m.prom", OSError(number, os.strerror(number)))
    assert advice in str(error)
