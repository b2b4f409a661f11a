"""A message about an error says what is wrong, where, and what to type next."""

from __future__ import annotations

import fcntl
import gzip
import json
import shlex
from pathlib import Path

import pytest

from stopcast.sandbox import Emulator, Faults
from stopcast.tasks.outcome import Status
from support.processes import Shell, obey_permissions, tasks, write_csv


@pytest.fixture
def desk(shell: Shell) -> Shell:
    """A folder with good and bad files of every sort, and a key in the environment."""
    write_csv(shell / "tasks.csv", tasks(1))
    (shell / "folder").mkdir()
    (shell / "odd.csv").write_text("AppId,Room,Task\na,r,t\n")
    (shell / "four.csv").write_text("a,b,c,d\n")
    (shell / "tasks.parquet").write_bytes(b"PAR1")
    (shell / "torn.csv.gz").write_bytes(gzip.compress(b"a,r,t\n" * 99)[:-9])
    (shell / "notes.txt").write_text("shopping list\n")
    line = {"AppId": "a", "RoomId": "r", "TaskId": "t", "status": "stopped", "attempts": 1, "finished_at": "2026"}
    (shell / "report.jsonl").write_text(json.dumps(line, separators=(",", ":")) + "\n")
    return shell


#: What is typed, the exit status, and words that the answer must hold.
TYPED: list[tuple[str, int, tuple[str, ...]]] = [
    # Commands and options
    ("rnu tasks.csv", 2, ("No such command 'rnu'", "Did you mean: stopcast run tasks.csv")),
    ("tasks.csv --sandbox", 2, ("No such command 'tasks.csv'", "Did you mean: stopcast run tasks.csv --sandbox")),
    ("frobnicate", 2, ("No such command 'frobnicate'", "The commands are run, verify")),
    ("run tasks.csv --sanbox", 2, ("--sanbox", "Did you mean '--sandbox'?", "stopcast run --help")),
    ("run tasks.csv --expect x", 2, ("'--expect'", "'x' is not a valid whole number", "stopcast run --help")),
    ("run tasks.csv --limit 0", 2, ("'--limit'", "0 is not in the range x>=1")),
    ("run tasks.csv --timeout 0", 2, ("'--timeout'", "not in the range x>0")),
    ("run tasks.csv --max-per-second 0", 2, ("'--max-per-second'", "not in the range x>=0.001")),
    ("run tasks.csv --max-per-second nan", 2, ("'--max-per-second'", "must be a finite number")),
    ("run tasks.csv --max-per-second 151", 2, ("--max-per-second 151", "quota of 150", "--raised-quota")),
    ("verify tasks.csv --max-per-second 61", 2, ("--max-per-second 61", "quota of 60", "--raised-quota")),
    ("run tasks.csv --format xml", 2, ("'--format'", "'xml' is not one of", "'jsonl'")),
    ("run tasks.csv --halt-after x", 2, ("'--halt-after'", "such as 5%")),
    ("verify", 2, ("Missing argument 'REPORT|LIST...'", "stopcast verify --help")),
    ("summary", 2, ("Missing argument 'REPORT...'", "stopcast summary --help")),
    ("help nonsense", 2, ("nonsense is unknown", "`stopcast help` lists the topics")),
    ("help resum", 2, ("Did you mean: --resume, STOPCAST_RESUME?",)),
    ("help exits", 2, ("Did you mean: exit?",)),
    ("sandbox --fault trottled=5%", 2, ("fault 'trottled'", "Did you mean 'throttled'?")),
    ("sandbox --fault nonsense=5%", 2, ("fault 'nonsense'", "stopcast sandbox --help")),
    ("sandbox --fault throttled=5", 2, ("'throttled=5'", "NAME=SHARE%, such as throttled=5%")),
    ("sandbox --tls-cert tasks.csv", 2, ("--tls-cert and --tls-key", "name both")),
    # Lists
    ("run task.csv --sandbox", 2, ("task.csv does not exist", "Did you mean tasks.csv?")),
    ("run nowhere --sandbox", 2, ("nowhere does not exist", "The working directory is /")),
    ("run folder --sandbox", 2, ("folder is a directory", "folder/*.csv")),
    ("run - - --sandbox", 2, ("standard input (-) can be read only once",)),
    (
        "run odd.csv --sandbox",
        2,
        ("odd.csv", "no RoomId and no TaskId", "'Room', 'Task'", "--columns room=NAME,task=NAME"),
    ),
    ("run four.csv --sandbox", 2, ("four.csv", "not 4: 'a', 'b', 'c', 'd'", "--columns app=NAME,room=NAME,task=NAME")),
    ("run tasks.parquet --sandbox", 2, ("tasks.parquet", "a Parquet file", "duckdb -csv")),
    ("run tasks.csv --columns A,B,C --sandbox", 2, ("columns 'A,B,C'", "--columns room=Room,task=Task")),
    ("run tasks.csv --columns app=x,room=x --sandbox", 2, ("two ids in one column", "name a column for each")),
    ("run tasks.csv --only lost", 2, ("--only lost", "gave_up", "with commas")),
    ("run tasks.csv --only failed --sandbox", 2, ("tasks.csv", "this is CSV", "leave --only out")),
    ("run tasks.csv --expect 2 --sandbox", 2, ("1 task, not the 2 expected", "Nothing was sent", "--dry-run")),
    # Endpoints
    ("run tasks.csv --endpoint api", 2, ("endpoint 'api'", "such as https://rtc.volcengineapi.com")),
    (
        "run tasks.csv --endpoint http://api.example",
        2,
        ("plain http is allowed to loopback only", "https://api.example"),
    ),
    ("run tasks.csv --endpoint https://api.example:99999", 2, ("the address or the port is not valid", "65535")),
    (
        "run tasks.csv --endpoint https://u:hush@api.example",
        2,
        ("must not hold a user or a password", "VOLCENGINE_ACCESS_KEY"),
    ),
    ("run tasks.csv --region a/b", 2, ("region 'a/b'", "such as cn-north-1")),
    ("run tasks.csv --api-version 1", 2, ("API version '1'", "such as 2020-12-01")),
    ("run tasks.csv --sandbox --endpoint https://api.example", 2, ("--sandbox", "leave --endpoint out")),
    ("doctor --endpoint api", 2, ("endpoint 'api'", "such as https://")),
    # Reports
    ("run tasks.csv --sandbox -o report.jsonl", 2, ("report.jsonl exists already", "--resume", "-o PATH")),
    ("run tasks.csv --sandbox -o new/report.jsonl", 3, ("new/report.jsonl cannot be opened", "mkdir -p new")),
    ("run tasks.csv --sandbox -o folder", 3, ("folder cannot be opened", "-o folder/report.jsonl")),
    (
        "run tasks.csv --sandbox -o notes.txt --resume",
        3,
        ("notes.txt is not a report (line 1)", "Name a file that `stopcast run` wrote"),
    ),
    ("run report.jsonl --sandbox -o report.jsonl --resume", 2, ("is the report itself", "-o again.jsonl")),
    (
        "verify tasks.csv -o report.jsonl --resume --endpoint http://127.0.0.1:9",
        2,
        ("report of `stopcast run`", "-o PATH"),
    ),
    ("run tasks.csv --sandbox --verify -o /dev/null", 2, ("--verify", "/dev/null is not a file", "-o PATH")),
    ("summary notes.txt", 2, ("notes.txt is not a report (line 1)", "Name a file that `stopcast run` wrote")),
    ("summary reprt.jsonl", 2, ("'reprt.jsonl' does not exist", "stopcast summary --help")),
    ("summary report.jsonl --html new/page.html", 2, ("--html new/page.html", "folder that exists")),
]


@pytest.mark.parametrize(("typed", "status", "words"), TYPED, ids=[typed for typed, _, _ in TYPED])
def test_a_wrong_command_line_is_answered_with_what_where_and_what_to_type(
    desk: Shell, typed: str, status: int, words: tuple[str, ...]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in desk.directory.rglob("*")}
    ended = desk.run(*shlex.split(typed))
    assert ended.status == status, ended
    assert ended.without_traceback
    assert ended.out == ""
    assert [word for word in words if word not in ended.err] == [], ended.err
    assert "hush" not in ended.err
    assert {path: path.stat().st_mtime_ns for path in desk.directory.rglob("*")} == before


def test_a_report_in_a_folder_without_write_permission_is_answered_with_another_path(desk: Shell) -> None:
    (desk / "locked").mkdir(mode=0o555)
    ended = desk.run_process("run", "tasks.csv", "--sandbox", "-o", "locked/r.jsonl", before=obey_permissions)
    assert ended.status == 3
    assert "locked/r.jsonl cannot be opened" in ended.err
    assert "-o PATH" in ended.err


#: Variables beside a good command line, and words that the answer must hold.
SET: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({}, ("no credentials found", "~/.volc/config: no such file", "Set VOLCENGINE_ACCESS_KEY", "--sandbox")),
    ({"VOLCENGINE_ACCESS_KEY": "k"}, ("VOLCENGINE_ACCESS_KEY without VOLCENGINE_SECRET_KEY", "Fix or remove")),
    ({"VOLCENGINE_PROFILE": "x"}, ("config.json: no such file", "profile 'x' is asked for", "Fix or remove")),
    ({"STOPCAST_MAX_AT_ONCE": "x"}, ("the environment variable STOPCAST_MAX_AT_ONCE", "whole number")),
    ({"STOPCAST_ENDPOINT": "x"}, ("endpoint 'x'", "such as https://")),
]


@pytest.mark.parametrize(("variables", "words"), SET, ids=[" ".join(variables) for variables, _ in SET])
def test_a_wrong_variable_is_answered_with_its_name_and_what_to_set(
    desk: Shell, variables: dict[str, str], words: tuple[str, ...]
) -> None:
    if any(name.startswith("STOPCAST") for name in variables):
        desk.variables |= variables
    else:
        desk.variables = dict(variables)
    ended = desk.run("run", "tasks.csv")
    assert ended.status == 2
    assert ended.without_traceback
    assert [word for word in words if word not in ended.err] == [], ended.err


FILES = [
    (".volcengine/config.json", "{", ("config.json", "not JSON", "line")),
    (".volcengine/config.json", '{"current":"x","profiles":{"y":{}}}', ("no profile 'x'", "VOLCENGINE_PROFILE")),
    (".volc/credentials", "AKLTsecret\n", (".volc/credentials", "not an ini file")),
    (".volc/config", '{"ak":"AKLTsecret"}', (".volc/config", "ak without sk")),
]


@pytest.mark.parametrize(("name", "content", "words"), FILES)
def test_a_malformed_credentials_file_is_named_without_its_content(
    desk: Shell, name: str, content: str, words: tuple[str, ...]
) -> None:
    desk.variables.clear()
    path = desk.home / name
    path.parent.mkdir()
    path.write_text(content)
    ended = desk.run("run", "tasks.csv")
    assert ended.status == 2
    assert [word for word in (*words, "Fix or remove") if word not in ended.err] == [], ended.err
    assert "AKLTsecret" not in ended.err


def test_a_truncated_list_is_named_with_what_to_do(desk: Shell) -> None:
    ended = desk.run("run", "torn.csv.gz", "--sandbox")
    assert ended.status == 2
    assert "torn.csv.gz: its gzip data ends too early; fetch the file again" in ended.err


def test_a_report_that_another_run_writes_is_refused(desk: Shell) -> None:
    with (desk / "report.jsonl").open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ended = desk.run("run", "tasks.csv", "--sandbox", "-o", "report.jsonl", "--resume")
    assert (ended.status, "another run is writing the report" in ended.err) == (3, True)
    assert "-o PATH" in ended.err


def test_the_message_about_a_refused_key_names_the_doctor_command(desk: Shell, api: Emulator) -> None:
    api.faults = Faults({"signature": 1.0})
    ended = desk.run("run", "tasks.csv", "--endpoint", api.url)
    assert ended.status == 3
    assert "stopcast doctor --endpoint" in ended.err


def test_the_reason_for_a_given_up_run_is_printed_once_and_is_an_event_of_the_json_log(
    desk: Shell, api: Emulator
) -> None:
    api.faults = Faults({"signature": 1.0})
    write_csv(desk / "tasks.csv", tasks(5))
    refused = desk.run("run", "tasks.csv", "--endpoint", api.url)
    assert refused.err.count("the API refuses the account's calls") == 1
    logged = desk.run("run", "tasks.csv", "--endpoint", api.url, "-o", "again.jsonl", "--log-format", "json")
    assert [json.loads(line)["event"] for line in logged.err.splitlines()].count("calls_ended") == 1


def test_a_wrong_status_for_only_is_answered_with_all_statuses(desk: Shell) -> None:
    message = desk.run("run", "tasks.csv", "--only", "x").err
    assert [status for status in Status if status not in message] == []


def test_the_help_that_an_error_names_exists(desk: Shell) -> None:
    for command in ("run", "verify", "doctor", "summary", "sandbox", "help"):
        ended = desk.run(command, "--nonsense")
        (line,) = [line for line in ended.err.splitlines() if line.startswith("Try ")]
        assert desk.run(*line.split("'")[1].split()[1:]).status == 0


def test_a_misspelled_list_is_searched_in_its_own_folder(desk: Shell) -> None:
    Path(desk / "folder" / "june.csv").write_text("a,r,t\n")
    assert "Did you mean folder/june.csv?" in desk.run("run", "folder/jun.csv", "--sandbox").err
