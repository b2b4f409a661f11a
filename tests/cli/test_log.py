"""The log of a run without a terminal: what cron, a container or nohup keep of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from stopcast.sandbox import Emulator
from support.processes import Shell, end_of, tasks, write_csv

At = tuple[str, ...]
PROXY = {"STOPCAST_PROXY": "http://me:secret@127.0.0.1:9"}


def test_each_line_has_its_time_whatever_logs_it(shell: Shell) -> None:
    shell.variables["STOPCAST_UNKNOWN"] = "1"
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), "--sandbox", "-v")
    assert "STOPCAST_UNKNOWN" in ended.log
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S", line) for line in ended.log.splitlines())


@pytest.mark.parametrize(
    "wrong", [["--nonsense"], ["--expect", "x"], ["--until", "x"], ["--sandbox", "--endpoint", "x"]]
)
@pytest.mark.parametrize("command", ["run", "verify", "enqueue", "worker"])
def test_an_error_of_usage_has_its_time_in_a_log(shell: Shell, command: str, wrong: list[str]) -> None:
    ended = shell.run(command, *wrong)
    assert ended.status == 2
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S", line) for line in ended.log.splitlines()), ended.log
    ended = shell.run(command, *wrong, "--log-format", "json")
    assert all(json.loads(line)["time"] for line in ended.log.splitlines())
    shell.variables["STOPCAST_LOG_FORMAT"] = "json"
    assert all(json.loads(line)["time"] for line in shell.run(command, *wrong).log.splitlines())


def test_an_unexpected_error_has_the_form_of_the_log_and_its_language(shell: Shell) -> None:
    shell.variables["SSLKEYLOGFILE"] = "/nowhere/keys"
    command = ("run", write_csv(shell / "list.csv", tasks(1)), "--sandbox")
    for options in ((), ("-v",)):
        ended = end_of(shell.start(*command, *options, "--lang", "zh", fresh=True))
        assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in ended.log.splitlines()), ended.log
        assert "环境变量 SSLKEYLOGFILE 指向此路径" in ended.log
    ended = end_of(shell.start(*command, "--lang", "zh", "--log-format", "json", fresh=True))
    line = json.loads(ended.log.splitlines()[-1])
    assert (line["event"], line["level"]) == ("unexpected_error", "error")
    assert "SSLKEYLOGFILE names this path" in line["message"]
    ended = end_of(shell.start("doctor", "--lang", "zh", fresh=True))
    assert ended.log == ended.err, "it is not a log"


def test_a_plan_is_not_a_log_and_has_no_times(shell: Shell) -> None:
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), "--dry-run")
    assert (ended.status, ended.log) == (0, ended.err)


def test_the_first_line_of_the_log_has_what_the_report_does_not_say(shell: Shell, api: Emulator) -> None:
    shell.variables |= {"VOLCENGINE_ACCESS_KEY": "AKLTexample-9f3c", "VOLCENGINE_SECRET_KEY": "hidden"}
    given = ("--endpoint", api.url, "--region", "ap-singapore-1", "--max-per-second", "70", "--until", "90m")
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), *given, "-o", "kept.jsonl")
    opening = next(line for line in ended.err.splitlines() if line.startswith("Stopping "))
    host = api.url.removeprefix("http://")
    for fact in ("list.csv", host, "ap-singapore-1", "AKLT…9f3c", "at most 70 calls", "until ", "kept.jsonl", "PID "):
        assert fact in opening
    assert "example" not in opening


def test_the_proxy_is_logged_without_its_password(shell: Shell) -> None:
    shell.variables |= PROXY
    listed = write_csv(shell / "list.csv", tasks(1))
    ended = shell.run("run", listed, "--max-attempts", "1")
    assert "through the proxy http://***@127.0.0.1:9" in ended.err
    assert "secret" not in ended.err


def test_a_verification_and_a_rehearsal_say_what_they_are(shell: Shell) -> None:
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), "--sandbox", "--verify", "--verify-after", "0")
    stopping, asking = (line for line in ended.err.splitlines() if "PID" in line)
    assert stopping.startswith("Stopping list.csv, a rehearsal with --sandbox, ")
    assert asking.startswith("Asking about stopcast-report.jsonl, a rehearsal with --sandbox, ")


def test_each_account_of_a_file_has_its_own_line_with_its_cap(shell: Shell) -> None:
    accounts = (
        '[accounts.east]\napps=["app"]\nprofile="p"\nmax_per_second=50\n[accounts.west]\napps=["*"]\nprofile="q"\n'
    )
    (shell / "accounts.toml").write_text(accounts)
    given = ("--accounts", "accounts.toml", "--sandbox", "--log-format", "json")
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), *given)
    started = json.loads(ended.log.splitlines()[0])
    assert started["event"] == "run_started"
    assert [(each["name"], each["max_per_second"]) for each in started["accounts"]] == [("east", 50.0), ("west", 150.0)]
    assert started["message"].count("\n") == 2


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_quiet_logs_nothing_of_a_good_run(shell: Shell, tmp_path: Path, log_format: str) -> None:
    listed = write_csv(tmp_path / "list.csv", tasks(1))
    assert shell.run("run", listed, "--sandbox", "-q", "--log-format", log_format).log == ""


def test_the_summary_says_whether_all_answers_were_no_such_task(shell: Shell, api: Emulator, at: At) -> None:
    listed = write_csv(shell / "list.csv", tasks(3))
    for report, only in (("one.jsonl", False), ("two.jsonl", True)):
        assert shell.run("run", listed, *at, "--json", "-o", report).summary["no_such_task_only"] is only
        assert api.calls
