"""``stopcast run --dry-run`` refuses what the run would refuse before its first call."""

from __future__ import annotations

import fcntl
from datetime import datetime, timedelta

import pytest

from support.processes import Shell, tasks, write_csv

#: Options that the run refuses, and words of the refusal.
REFUSED = {
    "--endpoint http://example.com": "plain http is allowed to loopback only",
    "--endpoint https://example.com/path": "nothing more",
    "--sandbox --endpoint http://127.0.0.1:1": "leave --endpoint out",
    "--region a/b": "region 'a/b'",
    "--api-version 3": "API version '3'",
    "--accounts missing.toml": "No such file",
    "--accounts accounts.toml": "'http://far'",
    "--max-per-second 151": "above the account's quota of 150",
    "--quota host --account a": "not the address of a Redis",
    "--quota redis+sentinel://host --account a": "a Sentinel's address",
    "--quota redis://host --account a --quota-lost share:151": "no share for 151 processes",
    "--control missing/control": "there is no folder",
    "--control tasks.csv": "names the same file",
    "--metrics-file missing/metrics": "a folder that exists",
    "--metrics-file report.jsonl": "was not written by stopcast",
    "--until 5s": "leaves no time",
    "-o missing/report.jsonl": "mkdir -p missing",
    "-o tasks.csv/report.jsonl": "Not a directory",
    "-o .": "Name a file in it",
    "-o other.jsonl --resume": "is not a report",
    "-o report.jsonl --resume": "a run with --sandbox",
    "--verify -o -": "reads the report again",
}
#: Options with which the run refuses a report that exists, and words of that.
EXISTING = {
    "-o report.jsonl": "exists already",
    "-o link.jsonl": "a symbolic link to a file that does not exist",
    "--verify -o new.jsonl": "new.verify.jsonl exists already",
}


@pytest.fixture
def desk(shell: Shell) -> Shell:
    write_csv(shell / "tasks.csv", tasks(3))
    (shell / "accounts.toml").write_text(
        "[accounts.a]\napps = ['*']\nenvironment = 'VOLCENGINE'\nendpoint = 'http://far'\n"
    )
    (shell / "other.jsonl").write_text('{"some": "object"}\n')
    (shell / "new.verify.jsonl").touch()
    (shell / "link.jsonl").symlink_to("nothing.jsonl")
    assert shell.run("run", "tasks.csv", "--sandbox", "-o", "report.jsonl").status == 0
    return shell


@pytest.mark.parametrize("options", REFUSED)
def test_a_dry_run_is_refused_as_the_run_is_and_neither_begins_before(desk: Shell, options: str) -> None:
    names = sorted(each.name for each in desk.directory.iterdir())
    run = desk.run("run", "tasks.csv", *options.split())
    dry = desk.run("run", "tasks.csv", *options.split(), "--dry-run")
    assert REFUSED[options] in dry.err
    assert (dry.status, dry.out, dry.err) == (run.status, "", run.err.partition("To continue it:")[0])
    assert sorted(each.name for each in desk.directory.iterdir()) == names


@pytest.mark.parametrize("options", EXISTING)
def test_a_dry_run_shows_its_plan_and_warns_of_a_report_that_makes_the_run_refuse(desk: Shell, options: str) -> None:
    run = desk.run("run", "tasks.csv", *options.split())
    dry = desk.run("run", "tasks.csv", *options.split(), "--dry-run")
    assert (run.status, dry.status) == (2, 0)
    assert "3 tasks to stop" in dry.out
    assert dry.err.startswith("The run itself would be refused: the report ")
    assert EXISTING[options] in dry.err
    assert EXISTING[options] in run.err


def test_a_dry_run_needs_neither_a_key_nor_a_redis_that_answers(desk: Shell) -> None:
    ended = desk.run("run", "tasks.csv", "--dry-run", "--quota", "redis://127.0.0.1:1", "--account", "a")
    assert (ended.status, ended.err) == (0, "")
    assert "3 tasks to stop" in ended.out


def test_a_dry_run_without_a_terminal_refuses_a_time_that_has_just_passed(desk: Shell) -> None:
    passed = f"{datetime.now() - timedelta(minutes=2):%H:%M}"  # noqa: DTZ005 - local
    assert "has just passed" in desk.run("run", "tasks.csv", "--dry-run", "--until", passed).err


def test_a_dry_run_reads_a_report_that_a_run_is_writing(desk: Shell) -> None:
    with (desk / "report.jsonl").open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        arguments = ("run", "tasks.csv", "--sandbox", "-o", "report.jsonl", "--resume")
        assert "another run is writing" in desk.run(*arguments).err
        assert desk.run(*arguments, "--dry-run").status == 0
