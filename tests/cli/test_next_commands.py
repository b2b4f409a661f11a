"""The commands that messages suggest: typed exactly as they are printed, they do what the message says."""

from __future__ import annotations

import gzip
import random
import shlex
import signal
import sys
from pathlib import Path

import click
import pytest

from stopcast.cli.commands.run import run
from stopcast.cli.display.next_commands import (
    ask_again_command,
    doctor_command,
    resume_command,
    run_again_command,
    summary_command,
)
from stopcast.cli.options import CallOptions, ListOptions, Options, ReportOptions
from stopcast.sandbox import Emulator, Faults
from support.command import Finished
from support.processes import Shell, end_of, statuses, tasks, until, write_csv

REPORT = "stopcast-report.jsonl"
CALLS = CallOptions(endpoint="http://127.0.0.1:1", max_per_second=20, api_version="2023-11-01", sandbox=True)


@pytest.fixture(autouse=True)
def _program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["stopcast", "run", "list.csv"])


def interrupted(shell: Shell, api: Emulator, *arguments: str, **variables: str) -> Finished:
    """Run the command, interrupt it, and return how it ended."""
    shell.variables |= variables
    process = shell.start("run", *arguments)
    until(lambda: len(api.arrivals) > 3)
    process.send_signal(signal.SIGINT)
    return end_of(process)


def printed(ended: Finished) -> str:
    """Return the last command that was printed."""
    return [line for line in ended.err.splitlines() if line.startswith("  ")][-1].strip()


def test_the_command_that_continues_has_the_variables_that_set_options(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(300))
    ended = interrupted(shell, api, name, STOPCAST_ENDPOINT=api.url, STOPCAST_REPORT="a report")
    assert ended.status == 130
    # The variables were those of that one command.
    for variable in ("STOPCAST_ENDPOINT", "STOPCAST_REPORT"):
        del shell.variables[variable]
    again = shell.start("-c", printed(ended).replace(" stopcast ", f" {sys.executable} -m stopcast "), program=("sh",))
    assert end_of(again).status == 0
    assert statuses(shell / "a report") == {"stopped": 300}


def test_a_variable_that_holds_a_password_is_not_printed(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(300))
    url = api.url.replace("//", "//user:secret@")
    ended = interrupted(shell, api, name, "--endpoint", api.url, STOPCAST_QUEUE=url, STOPCAST_MAX_PER_SECOND="50")
    assert printed(ended).startswith("STOPCAST_MAX_PER_SECOND=50 ")
    assert "secret" not in ended.err


def test_a_deadline_that_was_a_variable_does_not_refuse_the_command_that_continues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STOPCAST_UNTIL", "06:00")
    monkeypatch.setenv("STOPCAST_TIMEOUT", "1")
    with click.Context(run, info_name="run") as context:
        run.parse_args(context, ["list.csv"])
        assert resume_command(time_is_up=True) == (
            "env -u STOPCAST_UNTIL STOPCAST_TIMEOUT=1 stopcast run --resume list.csv"
        )
        assert resume_command() == "STOPCAST_TIMEOUT=1 STOPCAST_UNTIL=06:00 stopcast run --resume list.csv"


def test_what_was_read_from_standard_input_has_to_be_given_again(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(300))
    with (shell / name).open("rb") as given:
        process = shell.start("run", "--endpoint", api.url, "--max-per-second", "50", stdin=given)
        until(lambda: len(api.arrivals) > 3)
        process.send_signal(signal.SIGINT)
        ended = end_of(process)
    assert ended.err.endswith("Give it the same list on standard input again.\n")


def test_a_list_that_ends_too_early_is_continued_when_it_is_whole(shell: Shell, at: tuple[str, ...]) -> None:
    digits = random.Random(1)
    rows = [f"app,room-{digits.randrange(10**9)},task-{digits.randrange(10**9)}\n" for _ in range(2000)]
    whole = gzip.compress(("AppId,RoomId,TaskId\n" + "".join(rows)).encode(), mtime=0)
    (shell / "list.csv.gz").write_bytes(whole[: len(whole) * 3 // 4])
    ended = shell.run("run", "list.csv.gz", *at)
    assert ended.status == 2
    (shell / "list.csv.gz").write_bytes(whole)
    assert shell.run(*shlex.split(printed(ended))[1:]).status == 0
    assert statuses(shell / REPORT) == {"stopped": 2000}


def test_a_report_that_exists_is_continued_by_the_command_that_is_printed(shell: Shell, at: tuple[str, ...]) -> None:
    name = write_csv(shell / "list.csv", tasks(5))
    shell.run("run", name, *at, "--limit", "2")
    ended = shell.run("run", name, *at)
    assert ended.status == 2
    assert shell.run(*shlex.split(printed(ended))[1:]).status == 0
    assert statuses(shell / REPORT) == {"stopped": 5}


def test_a_list_of_which_nothing_was_read_is_not_continued(shell: Shell, at: tuple[str, ...]) -> None:
    assert "--resume" not in shell.run("run", "missing.csv", *at).err


def test_a_program_that_the_shell_would_not_find_is_named_by_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("sys.argv", ["/opt/s c/bin/stopcast", "run", "l.csv"])
    assert resume_command() == "'/opt/s c/bin/stopcast' run --resume l.csv"
    assert summary_command("r.jsonl") == "'/opt/s c/bin/stopcast' summary r.jsonl"
    monkeypatch.setattr("sys.argv", ["/x/site-packages/stopcast/__main__.py", "run", "l.csv"])
    assert resume_command().endswith(f"{Path(sys.executable).name} -m stopcast run --resume l.csv")


def test_other_commands_go_to_the_same_place_at_the_same_cap() -> None:
    lists = ListOptions(tasks=("-l.csv",), columns="app=1,room=2,task=3")
    options = Options(lists=lists, calls=CALLS, report=ReportOptions(path="r.jsonl"))
    place = "--endpoint http://127.0.0.1:1 --api-version 2023-11-01"
    assert doctor_command(options) == f"stopcast doctor {place}"
    assert ask_again_command(options) == (
        f"stopcast verify ./-l.csv -o r.jsonl --resume --columns app=1,room=2,task=3 {place}"
    )
    assert run_again_command(options, only="still_running") == (
        f"stopcast run r.jsonl --only still_running -o again.jsonl {place} --sandbox --max-per-second 20"
    )


def test_an_option_with_a_password_is_left_out() -> None:
    options = Options(lists=ListOptions(), calls=CallOptions(proxy="http://user:secret@proxy:3128", accounts="a.toml"))
    assert doctor_command(options) == "stopcast doctor --accounts a.toml"


def test_a_run_that_is_given_up_says_why_then_the_totals_then_what_to_type(shell: Shell, api: Emulator) -> None:
    api.faults = Faults({"signature": 1.0})
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(50)), "--endpoint", api.url)
    why, totals, doctor, resume = (
        ended.err.index(text)
        for text in ("SignatureDoesNotMatch", " rows: ", "stopcast doctor", "stopcast run --resume")
    )
    assert why < totals < doctor < resume
    assert "stopcast summary" not in ended.err


def test_after_too_many_failures_the_report_is_a_list_for_the_failed_tasks(shell: Shell, api: Emulator) -> None:
    api.faults = Faults({"parameter": 1.0})
    at = ("--endpoint", api.url)
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(50)), *at, "--halt-after", "5")
    assert f"  stopcast summary {REPORT}\n" in ended.err
    assert f"  stopcast run {REPORT} -o again.jsonl --endpoint {api.url}\n" in ended.err


def test_a_rehearsal_says_at_its_end_that_it_was_one(shell: Shell) -> None:
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), "--sandbox")
    assert ended.err.endswith("a rehearsal with --sandbox: nothing real was stopped\n")


def test_the_report_of_a_rehearsal_is_not_verified_at_the_real_api(shell: Shell) -> None:
    shell.run("run", write_csv(shell / "list.csv", tasks(3)), "--sandbox")
    ended = shell.run("verify", REPORT)
    assert ended.status == 2
    assert "nothing in it was really stopped" in ended.err


def test_control_c_before_the_verification_keeps_the_result_of_the_run(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    options = ("--endpoint", api.url, "--verify", "--verify-after", "1000", "--json")
    process = shell.start("run", name, *options)
    assert process.stderr is not None
    while b"the API is asked whether they ended" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    ended = end_of(process)
    assert ended.status == 130
    assert ended.summary["statuses"]["stopped"] == 3
    assert "stopcast run --resume" in ended.err
