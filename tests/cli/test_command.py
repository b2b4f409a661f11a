from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stopcast.sandbox import Emulator, Faults
from stopcast.tasks.task import Task
from support.processes import (
    COMMAND,
    Shell,
    end_of,
    obey_permissions,
    read_report,
    settled_by,
    statuses,
    tasks,
    told,
    until,
    write_csv,
    write_jsonl,
)

At = tuple[str, ...]
EXAMPLE = Path(__file__).parents[2] / "examples" / "tasks.csv"
REPORT = "stopcast-report.jsonl"
ELSEWHERE = "https://0.0.0.0:1"  # not loopback by its name, and no server listens there


def refused(shell: Shell, *arguments: str, report: str = REPORT, given: bytes = b"") -> str:
    """Run a command that must be refused as wrong usage and leave no report; return its standard error."""
    ended = shell.invoke(*arguments, given=given)
    assert ended.status == 2, ended
    assert ended.told_in_words
    assert not (shell / report).exists()
    return ended.err


# The happy path


def test_a_sandbox_run_over_the_example_writes_one_line_for_each_row(shell: Shell) -> None:
    shell.variables.clear()
    ended = shell.invoke("run", str(EXAMPLE), "--sandbox", "-o", "report.jsonl")
    rows = len(EXAMPLE.read_text().splitlines()) - 1
    assert (ended.status, ended.out) == (0, "")
    lines = read_report(shell / "report.jsonl")
    assert sorted(line["line"] for line in lines) == list(range(2, rows + 2))
    assert {line["status"] for line in lines} <= {"stopped", "duplicate"}
    assert f"{rows} rows" in ended.err
    assert "report.jsonl" in ended.err


def test_the_report_has_a_default_name(shell: Shell) -> None:
    write_csv(shell / "list.csv", tasks(1))
    assert shell.invoke("run", "list.csv", "--sandbox").status == 0
    assert statuses(shell / REPORT) == {"stopped": 1}


def test_a_run_stops_only_the_listed_tasks(shell: Shell, api: Emulator, at: At) -> None:
    listed = tasks(5)
    assert shell.invoke("run", write_csv(shell / "list.csv", listed), *at).status == 0
    assert api.stopped == set(listed)


def test_one_run_reads_several_lists_of_different_formats(shell: Shell, api: Emulator, at: At) -> None:
    one, two = write_csv(shell / "one.csv", tasks(3)), write_jsonl(shell / "two.jsonl", tasks(3, first=2))
    (shell / "three").write_bytes(gzip.compress(b"TaskId\tAppId\troom_id\nt\ta\tr\n"))
    ended = shell.invoke("run", one, two, "three", "-", *at, given=b"x,y,z\n")
    assert ended.status == 0
    assert statuses(shell / REPORT) == {"stopped": 7, "duplicate": 1}
    assert api.stopped == {*tasks(5), Task("a", "r", "t"), Task("x", "y", "z")}
    places = {(line["source"], line["line"]) for line in read_report(shell / REPORT)}
    assert {("one.csv", 2), ("two.jsonl", 1), ("three", 2), ("-", 1)} <= places


def test_a_run_without_a_list_reads_standard_input(shell: Shell, api: Emulator, at: At) -> None:
    assert shell.invoke("run", *at, given=b'["a","r","t"]\n').status == 0
    assert api.stopped == {Task("a", "r", "t")}


def test_a_run_sends_the_rows_of_a_pipe_while_the_pipe_stays_open(shell: Shell, api: Emulator, at: At) -> None:
    process = shell.start("run", "-", *at, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"AppId,RoomId,TaskId\na,r,1\n")
    process.stdin.flush()
    until(lambda: api.stopped == {Task("a", "r", "1")})
    assert end_of(process, b"a,r,2\n").status == 0
    assert len(api.stopped) == 2


def test_a_run_reads_a_fifo(shell: Shell, api: Emulator, at: At) -> None:
    os.mkfifo(shell / "fifo")
    process = shell.start("run", "fifo", *at)
    (shell / "fifo").write_bytes(b"a,r,1\n")
    assert end_of(process).status == 0
    assert len(api.stopped) == 1


# Exit statuses


def test_the_status_is_1_when_a_row_names_no_task(shell: Shell, at: At) -> None:
    assert shell.invoke("run", "-", *at, given=b"a,r,1\na,,2\n").status == 1
    assert statuses(shell / REPORT) == {"stopped": 1, "invalid": 1}


def test_the_status_is_1_when_the_api_refuses_a_task(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": [Task("a", "r", "1")]})
    assert shell.invoke("run", "-", *at, given=b"a,r,1\na,r,2\n").status == 1
    assert statuses(shell / REPORT) == {"stopped": 1, "failed": 1}


def test_the_status_is_0_when_the_tasks_were_already_stopped(shell: Shell, api: Emulator, at: At) -> None:
    api.running = set()
    assert shell.invoke("run", "-", *at, given=b"a,r,1\n").status == 0
    assert statuses(shell / REPORT) == {"already_stopped": 1}


def test_the_status_is_0_and_there_is_no_report_when_the_list_is_empty(shell: Shell, at: At) -> None:
    assert shell.invoke("run", "-", *at, given=b"AppId,RoomId,TaskId\n").status == 0
    assert not (shell / REPORT).exists() or not (shell / REPORT).read_bytes()


@pytest.mark.parametrize("secret", ["not-the-secret", "AKLT.secret"])
def test_the_status_is_3_when_the_key_is_refused_and_the_secret_appears_nowhere(
    shell: Shell, api: Emulator, at: At, secret: str
) -> None:
    shell.variables["VOLCENGINE_SECRET_KEY"] = secret
    ended = shell.invoke("run", write_csv(shell / "list.csv", tasks(500)), *at, "-v", "--max-at-once", "4")
    assert ended.status == 3
    assert ended.told_in_words
    assert secret not in ended.err
    assert "--resume" in ended.err
    assert api.calls <= 14
    assert not (shell / REPORT).exists() or secret not in (shell / REPORT).read_text()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_that_waits_for_the_next_row(
    shell: Shell, api: Emulator, at: At, number: signal.Signals, status: int
) -> None:
    process = shell.start("run", "-", *at, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"a,r,1\n")
    process.stdin.flush()
    until(lambda: api.stopped)
    process.send_signal(number)
    # The pipe stays open: nothing but the signal ends the run.
    process.wait(20)
    ended = end_of(process)
    assert ended.status == status
    assert statuses(shell / REPORT) == {"stopped": 1}


@pytest.mark.parametrize("options", [("--dry-run",), ("--expect", "3")])
def test_a_signal_ends_the_reading_of_a_list_for_a_plan(shell: Shell, options: At) -> None:
    write_csv(shell / "first.csv", tasks(1))
    process = shell.start("run", "first.csv", "-", "--sandbox", *options, stdin=subprocess.PIPE)
    # From outside it is not visible whether the command reads already. It must end whenever the signal comes.
    assert process.stdin is not None
    process.stdin.write(b"a,r,1\n" * 20_000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    process.wait(20)
    ended = end_of(process)
    assert ended.status == 130
    assert ended.told_in_words


# Wrong usage: status 2, a message, and no report left behind


def test_an_existing_report_is_never_overwritten(shell: Shell, api: Emulator, at: At) -> None:
    (shell / REPORT).write_text("precious\n")
    ended = shell.invoke("run", write_csv(shell / "list.csv", tasks(3)), *at)
    assert ended.status == 2
    assert "--resume" in ended.err
    assert (shell / REPORT).read_text() == "precious\n"
    assert api.calls == 0


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--expect", "1")])
def test_a_missing_list_is_reported_in_one_line(shell: Shell, options: At) -> None:
    said = refused(shell, "run", "none.csv", "--sandbox", *options)
    assert said.count("\n") == 1
    assert "none.csv" in said


def test_a_missing_list_after_a_good_one_is_refused_before_any_call(shell: Shell, api: Emulator, at: At) -> None:
    assert "none.csv" in refused(shell, "run", write_csv(shell / "list.csv", tasks(3)), "none.csv", *at)
    assert api.calls == 0


def test_a_directory_is_refused_as_a_list(shell: Shell) -> None:
    said = refused(shell, "run", ".", "--sandbox")
    assert said.count("\n") == 1
    assert "directory" in said


def test_a_list_without_read_permission_is_reported_in_one_line(shell: Shell) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    (shell / name).chmod(0)
    ended = shell.run("run", name, "--sandbox", before=obey_permissions)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert name in ended.err
    assert not (shell / REPORT).exists()


@pytest.mark.parametrize("name", [REPORT, f"./{REPORT}", f"home/../{REPORT}", "link"])
def test_the_report_itself_is_refused_as_a_list(shell: Shell, name: str) -> None:
    (shell / REPORT).write_text("")
    (shell / "link").symlink_to(shell / REPORT)
    ended = shell.invoke("run", name, "--sandbox", "--resume")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "report" in ended.err


def test_a_list_whose_first_row_is_neither_header_nor_task_is_reported_in_one_line(shell: Shell, api: Emulator) -> None:
    said = refused(shell, "run", "-", "--endpoint", api.url, given=b"name,phone,city,country\na,b,c,d\n")
    assert said.count("\n") == 1
    assert api.calls == 0


def test_a_truncated_gzip_list_gives_status_2_and_keeps_the_outcomes(shell: Shell, api: Emulator, at: At) -> None:
    whole = gzip.compress("".join(f"{','.join(task)}\n" for task in tasks(200)).encode(), mtime=0)
    (shell / "list.csv.gz").write_bytes(whole[:-20])
    ended = shell.invoke("run", "list.csv.gz", *at)
    assert ended.status == 2
    assert ended.told_in_words
    assert "list.csv.gz" in ended.err
    assert set(told(shell / REPORT)) == set(api.stopped)
    assert api.stopped <= set(tasks(200))


@pytest.mark.parametrize(
    "options",
    [
        ("--no-such-option",),
        ("--format", "xml"),
        ("--columns", "app=A,app=B"),
        ("--columns", "user=A"),
        ("--max-per-second", "0"),
        ("--max-per-second", "-1"),
        ("--max-per-second", "nan"),
        ("--max-per-second", "inf"),
        ("--max-per-second", "many"),
        ("--max-at-once", "0"),
        ("--max-attempts", "0"),
        ("--timeout", "0"),
        ("--timeout", "-1"),
        ("--timeout", "nan"),
        ("--grace", "-1"),
        ("--grace", "nan"),
        ("--arrival-jitter", "-1"),
        ("--arrival-jitter", "nan"),
        ("--limit", "0"),
        ("--expect", "-1"),
        ("--only", "gone"),
        ("--only", ""),
        ("--api-version", "newest"),
        ("--endpoint", "http://127.0.0.1:1"),
        ("-", "-"),
    ],
    ids=" ".join,
)
def test_an_invalid_setting_is_refused_before_any_call(shell: Shell, options: At) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    assert refused(shell, "run", name, "--sandbox", *options)


@pytest.mark.parametrize("region", ["a b", "cn/north", "x\r\ny"])
def test_a_region_that_could_inject_a_header_is_refused(shell: Shell, region: str) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    assert "region" in refused(shell, "run", name, "--endpoint", "http://127.0.0.1:1", "--region", region)


@pytest.mark.parametrize(
    "url", ["http://rtc.volcengineapi.com", "http://192.0.2.1", "http://127.0.0.1.nip.io", "http://localhost.evil"]
)
def test_plain_http_to_another_machine_is_refused(shell: Shell, url: str) -> None:
    assert "https" in refused(shell, "run", write_csv(shell / "list.csv", tasks(1)), "--endpoint", url)


@pytest.mark.parametrize(
    "url", ["", "rtc.volcengineapi.com", "ftp://localhost", "https://u:geheim@localhost", "https://"]
)
def test_an_invalid_endpoint_is_refused_and_its_password_is_not_shown(shell: Shell, url: str) -> None:
    if url:
        said = refused(shell, "run", write_csv(shell / "list.csv", tasks(1)), "--endpoint", url)
        assert "geheim" not in said


def test_a_cap_above_the_quota_is_refused_for_a_vendors_host_without_raised_quota(shell: Shell) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    assert "--raised-quota" in refused(shell, "run", name, "--max-per-second", "151")
    ended = shell.invoke(
        "run", name, "--max-per-second", "151", "--raised-quota", "--endpoint", ELSEWHERE, "--max-attempts", "1"
    )
    assert ended.status == 1
    assert statuses(shell / REPORT) == {"gave_up": 1}


def test_without_credentials_the_message_names_every_place_and_the_sandbox(shell: Shell) -> None:
    shell.variables.clear()
    said = refused(shell, "run", write_csv(shell / "list.csv", tasks(1)))
    for place in (
        "VOLCENGINE_ACCESS_KEY",
        "VOLC_ACCESSKEY",
        "~/.volcengine/config.json",
        "~/.volc/credentials",
        "~/.volc/config",
        "--sandbox",
    ):
        assert place in said


def test_a_run_without_a_list_at_a_terminal_prints_the_usage(shell: Shell) -> None:
    status, shown = shell.terminal("run", "--sandbox")
    assert status == 2
    assert "name a list" in shown


# The options


def test_columns_renames_the_columns(shell: Shell, api: Emulator, at: At) -> None:
    (shell / "list.csv").write_text("Mandant,Raum,AppId,Aufnahme\na,r,wrong,t\n")
    assert shell.invoke("run", "list.csv", "--columns", "app=mandant,room=RAUM,task=Aufnahme", *at).status == 0
    assert api.stopped == {Task("a", "r", "t")}


def test_format_overrides_the_extension_of_the_list(shell: Shell, api: Emulator, at: At) -> None:
    (shell / "list.csv").write_text('["a","r","t"]\n')
    assert shell.invoke("run", "list.csv", "--format", "jsonl", *at).status == 0
    assert api.stopped == {Task("a", "r", "t")}


def test_limit_takes_the_first_tasks_and_resume_without_it_the_others(shell: Shell, api: Emulator, at: At) -> None:
    name = write_csv(shell / "list.csv", [*tasks(2), *tasks(8)])
    assert shell.invoke("run", name, "--limit", "3", *at).status == 0
    assert api.stopped == set(tasks(3))
    assert shell.invoke("run", name, "--resume", *at).status == 0
    assert api.calls == 8
    assert statuses(shell / REPORT) == {"stopped": 8, "duplicate": 2}


def test_max_attempts_bounds_the_calls_for_a_task(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"internal": 1.0})
    assert shell.invoke("run", "-", *at, "--max-attempts", "2", given=b"a,r,t\n").status == 1
    (line,) = read_report(shell / REPORT)
    assert (api.calls, line["status"], line["attempts"], line["http_status"]) == (2, "gave_up", 2, 500)


def test_a_call_that_exceeds_the_timeout_is_retried(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"hang": [Task("a", "r", "t")]})
    assert shell.invoke("run", "-", *at, "--timeout", "0.2", given=b"a,r,t\n").status == 0
    (line,) = read_report(shell / REPORT)
    assert (line["status"], line["attempts"]) == ("stopped", 2)


def test_the_second_version_of_the_api_can_be_called(shell: Shell, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    assert shell.invoke("run", name, *at, "--api-version", "2023-11-01").status == 0


def test_options_can_be_environment_variables(shell: Shell, api: Emulator) -> None:
    (shell / "list").write_text("A,B,C\na,r,1\na,r,2\na,r,3\n")
    shell.variables |= {
        "STOPCAST_REPORT": "there.jsonl",
        "STOPCAST_ENDPOINT": api.url,
        "STOPCAST_COLUMNS": "app=A,room=B,task=C",
        "STOPCAST_FORMAT": "csv",
        "STOPCAST_LIMIT": "2",
        "STOPCAST_EXPECT": "2",
        "STOPCAST_MAX_PER_SECOND": "1000",
        "STOPCAST_MAX_AT_ONCE": "1",
        "STOPCAST_REGION": "cn-shanghai",
        "STOPCAST_JSON": "1",
        "STOPCAST_QUIET": "1",
        "STOPCAST_YES": "1",
    }
    ended = shell.invoke("run", "list")
    assert (ended.status, ended.err) == (0, "")
    assert ended.summary["statuses"]["stopped"] == 2
    assert statuses(shell / "there.jsonl") == {"stopped": 2}


def test_help_lists_every_option_of_the_contract(shell: Shell) -> None:
    ended = shell.invoke("run", "-h")
    assert ended.status == 0
    for name in [
        "--report",
        "--resume",
        "--dry-run",
        "--format",
        "--columns",
        "--max-per-second",
        "--max-at-once",
        "--max-attempts",
        "--timeout",
        "--limit",
        "--expect",
        "--only",
        "--endpoint",
        "--region",
        "--api-version",
        "--sandbox",
        "--json",
        "--yes",
        "--quiet",
        "--verbose",
    ]:
        assert name in ended.out
    assert not re.search(r"secret.?key[ =]", ended.out.lower().replace("volcengine_secret_key", ""))


def test_an_invalid_variable_is_reported_with_the_name_of_its_option(shell: Shell) -> None:
    shell.variables["STOPCAST_MAX_AT_ONCE"] = "lots"
    assert "--max-at-once" in refused(shell, "run", write_csv(shell / "list.csv", tasks(1)), "--sandbox")


# An earlier report as a list


def test_an_earlier_report_is_a_list_of_its_rows_that_are_not_good(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": tasks(2)})
    name = write_csv(shell / "list.csv", tasks(5))
    assert shell.invoke("run", name, *at, "-o", "first.jsonl").status == 1
    assert shell.invoke("run", "first.jsonl", *at, "-o", "second.jsonl").status == 0
    assert settled_by(shell / "second.jsonl", "stopped") == set(tasks(2))
    assert api.calls == 7


def test_only_selects_the_rows_of_a_report_by_status(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": tasks(1), "internal": tasks(1, first=1)})
    name = write_csv(shell / "list.csv", tasks(4))
    assert shell.invoke("run", name, *at, "-o", "first.jsonl", "--max-attempts", "1").status == 1
    assert shell.invoke("run", "first.jsonl", "--only", "gave_up,invalid", *at, "-o", "second.jsonl").status == 0
    assert told(shell / "second.jsonl") == {tasks(2)[1]: 1}
    assert shell.invoke("run", "first.jsonl", "--only", "stopped", *at, "-o", "third.jsonl").status == 0
    assert statuses(shell / "third.jsonl") == {"already_stopped": 2}


def test_only_is_refused_for_a_list_that_is_not_a_report(shell: Shell) -> None:
    assert "report" in refused(shell, "run", write_csv(shell / "list.csv", tasks(1)), "--only", "failed", "--sandbox")


# The plan


def test_a_dry_run_prints_the_plan_without_credentials_and_without_calls(shell: Shell, api: Emulator) -> None:
    shell.variables.clear()
    listed = [*tasks(298, app="one"), *tasks(150, app="two"), *tasks(2, app="one")]
    name = write_csv(shell / "list.csv", listed)
    with (shell / name).open("a") as rows:
        rows.writelines(f"one,room {n},t\n" for n in range(12))
    ended = shell.invoke("run", name, "--dry-run", "--endpoint", api.url)
    assert ended.status == 1
    assert ended.err == ""
    plan = ended.out
    assert "448 tasks" in plan
    assert "one: 298" in plan
    assert "two: 150" in plan
    assert re.search(r"\b2 rows given twice", plan)
    assert "12 rows that name no task" in plan
    assert [f"list.csv:{line}:" in plan for line in range(452, 464)] == [True] * 10 + [False] * 2
    assert "3 s at 149 calls a second" in plan
    assert api.calls == 0
    assert not (shell / REPORT).exists()


def test_a_dry_run_of_good_rows_has_status_0(shell: Shell) -> None:
    ended = shell.invoke("run", write_csv(shell / "list.csv", tasks(3)), "--dry-run", "--json")
    assert ended.status == 0
    assert (ended.summary["tasks"], ended.summary["per_app"], ended.summary["invalid"]) == (3, {"app": 3}, 0)


def test_a_dry_run_with_resume_counts_the_rows_that_the_report_settles(shell: Shell, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(5))
    assert shell.invoke("run", name, *at, "--limit", "2").status == 0
    before = (shell / REPORT).read_bytes()
    ended = shell.invoke("run", name, "--dry-run", "--resume")
    assert ended.status == 0
    assert "3 tasks to stop" in ended.out
    assert "2 rows settled" in ended.out
    assert (shell / REPORT).read_bytes() == before


def test_resume_without_a_report_starts_one(shell: Shell, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(2))
    assert shell.invoke("run", name, "--dry-run", "--resume").status == 0
    assert shell.invoke("run", name, *at, "--resume", "--expect", "2").status == 0
    assert statuses(shell / REPORT) == {"stopped": 2}


@pytest.mark.parametrize("given", [True, False], ids=["standard input", "file"])
def test_a_run_that_expects_another_number_of_tasks_sends_nothing(
    shell: Shell,
    api: Emulator,
    at: At,
    given: bool,  # noqa: FBT001
) -> None:
    name = write_csv(shell / "list.csv", [*tasks(3), *tasks(1)])
    source, data = ("-", (shell / name).read_bytes()) if given else (name, b"")
    for wrong in ("2", "4", "0"):
        said = refused(shell, "run", source, *at, "--expect", wrong, given=data)
        assert said.count("\n") == 1
    assert api.calls == 0
    assert shell.invoke("run", source, *at, "--expect", "3", given=data).status == 0
    assert api.stopped == set(tasks(3))
    assert {line["source"] for line in read_report(shell / REPORT)} == {source}


def test_a_dry_run_reports_that_another_number_was_expected(shell: Shell) -> None:
    assert "4" in refused(shell, "run", write_csv(shell / "list.csv", tasks(3)), "--dry-run", "--expect", "4")


# At a terminal


def test_many_tasks_at_a_vendors_host_need_a_yes(shell: Shell) -> None:
    name = write_csv(shell / "list.csv", tasks(101))
    status, shown = shell.terminal("run", name, typed="n\n", expect="[y/N]")
    assert status not in {0, 1}
    assert "101 tasks" in shown
    assert "rtc.volcengineapi.com" in shown
    assert "othing was sent" in shown
    assert not (shell / REPORT).exists()


def test_control_c_at_the_question_ends_the_command_with_130(shell: Shell) -> None:
    status, shown = shell.terminal(
        "run", write_csv(shell / "list.csv", tasks(101)), "--endpoint", ELSEWHERE, typed="\x03", expect="[y/N]"
    )
    assert status == 130
    assert "Traceback" not in shown
    assert not (shell / REPORT).exists()


@pytest.mark.parametrize(("number", "options"), [(101, ("--yes",)), (100, ())])
def test_there_is_no_question_with_yes_or_for_few_tasks(shell: Shell, number: int, options: At) -> None:
    name = write_csv(shell / "list.csv", tasks(number))
    status, shown = shell.terminal("run", name, "--endpoint", ELSEWHERE, "--max-attempts", "1", *options)
    assert status == 1
    assert "[y/N]" not in shown
    assert statuses(shell / REPORT) == {"gave_up": number}


def test_the_display_has_no_colours_with_no_color(shell: Shell, api: Emulator) -> None:
    shell.variables |= {"NO_COLOR": "1", "TERM": "xterm"}
    name = write_csv(shell / "list.csv", tasks(60))
    status, shown = shell.terminal("run", name, "--endpoint", api.url, "--max-per-second", "50")
    assert status == 0
    assert "in flight" in shown
    assert not re.search(r"\x1b\[[0-9;]*m", shown)


def test_the_display_is_not_drawn_without_a_terminal(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(60))
    ended = shell.invoke("run", name, "--endpoint", api.url, "--max-per-second", "50")
    assert ended.status == 0
    assert "\r" not in ended.err
    assert "\x1b" not in ended.err
    assert ended.out == ""


def test_control_characters_of_an_answer_never_reach_the_terminal(shell: Shell) -> None:
    (shell / "list.csv").write_bytes(b"a,r,t\na,r\x1b[2J\x07,u\n")
    status, shown = shell.terminal("run", "list.csv", "--sandbox", "--dry-run")
    assert status == 1
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown


# Output


def test_json_prints_one_object_whose_totals_add_up(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": tasks(1)})
    name = write_csv(shell / "list.csv", [*tasks(4), *tasks(1)])
    ended = shell.invoke("run", name, "-", *at, "--json", given=b"x\n,,\n1,2,3\n".replace(b"x\n", b""))
    summary = ended.summary
    assert ended.status == 1
    assert summary["rows"] == len(read_report(shell / REPORT)) == sum(summary["statuses"].values())
    assert summary["good"] + summary["bad"] == summary["rows"]
    assert {key: value for key, value in summary["statuses"].items() if value} == statuses(shell / REPORT)
    assert summary["calls"] == api.calls


def test_quiet_prints_nothing_when_the_run_is_good(shell: Shell, at: At) -> None:
    ended = shell.invoke("run", write_csv(shell / "list.csv", tasks(2)), *at, "-q")
    assert ended == (0, "", "")


def test_verbose_logs_every_retry(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"internal": tasks(1)})
    ended = shell.invoke("run", write_csv(shell / "list.csv", tasks(1)), *at, "-v")
    assert ended.status == 0
    assert "InternalError" in ended.err


@pytest.mark.parametrize("option", ["--json", "--dry-run", "--quiet"])
def test_a_closed_standard_output_causes_no_traceback(shell: Shell, option: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    name = write_csv(shell / "list.csv", tasks(2))
    process = shell.start("run", name, "--sandbox", option, stdout=writing)
    os.close(writing)
    ended = end_of(process)
    assert ended.told_in_words, ended.err
    assert ended.status in ({0} if option != "--dry-run" else {0, 1})
    if option != "--dry-run":
        assert statuses(shell / REPORT) == {"stopped": 2}


def test_a_closed_standard_error_does_not_stop_the_run(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"internal": tasks(5)})
    reading, writing = os.pipe()
    os.close(reading)
    process = shell.start("run", write_csv(shell / "list.csv", tasks(20)), *at, "-v", stderr=writing)
    os.close(writing)
    assert end_of(process).status == 0
    assert statuses(shell / REPORT) == {"stopped": 20}


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_missing_standard_stream_does_not_stop_the_run(shell: Shell, at: At, closed: int) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    ended = end_of(shell.start("run", name, *at, before=lambda: os.close(closed)))
    assert ended.status == 0
    assert ended.told_in_words
    assert statuses(shell / REPORT) == {"stopped": 3}


def test_a_closed_terminal_does_not_stop_the_run(shell: Shell, api: Emulator) -> None:
    ours, theirs = os.openpty()
    name = write_csv(shell / "list.csv", tasks(60))
    process = shell.start("run", name, "--endpoint", api.url, "--max-per-second", "50", stdout=theirs, stderr=theirs)
    os.close(theirs)
    until(lambda: api.calls > 5)
    os.close(ours)
    assert process.wait(60) == 0
    assert statuses(shell / REPORT) == {"stopped": 60}


# The command as a whole


@pytest.mark.parametrize("arguments", [("-h",), ("--help",), ("run", "-h"), ("summary", "-h"), ("sandbox", "--help")])
def test_help_is_printed_on_standard_output(shell: Shell, arguments: At) -> None:
    ended = shell.invoke(*arguments)
    assert (ended.status, ended.err) == (0, "")
    assert "Usage:" in ended.out


def imports_of(shell: Shell, *arguments: str) -> set[str]:
    ended = end_of(shell.start(*arguments, program=(sys.executable, "-X", "importtime", *COMMAND[1:])))
    assert ended.status == 0
    imported = {line.rpartition("|")[2].strip() for line in ended.err.splitlines()}
    assert "stopcast.cli" in imported
    return imported


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("--version",)])
def test_help_imports_neither_aiohttp_nor_asyncio(shell: Shell, arguments: At) -> None:
    imported = imports_of(shell, *arguments)
    assert imported.isdisjoint({"aiohttp", "asyncio", "orjson", "tenacity", "aiolimiter", "rich", "ssl"})


def test_a_dry_run_imports_nothing_that_only_calls_need(shell: Shell) -> None:
    imported = imports_of(shell, "run", write_csv(shell / "list.csv", tasks(3)), "--dry-run")
    assert imported.isdisjoint({"aiohttp", "aiolimiter", "tenacity", "rich", "redis", "stopcast.engine.dispatch"})


def test_an_unknown_command_is_wrong_usage(shell: Shell) -> None:
    assert shell.invoke("stop").status == 2
    assert shell.invoke().status in {0, 2}


def test_summary_prints_the_totals_of_a_report(shell: Shell, at: At) -> None:
    assert shell.invoke("run", "-", *at, given=b"a,r,1\na,r,1\n,,\n").status == 1
    ended = shell.invoke("summary", REPORT, "--json")
    assert ended.status == 1
    assert {key: number for key, number in ended.summary["statuses"].items() if number} == statuses(shell / REPORT)
    assert "3 rows" in shell.invoke("summary", REPORT).out


@pytest.mark.parametrize("content", [None, "no report\nat all\n"])
def test_summary_of_another_file_has_status_2(shell: Shell, content: str | None) -> None:
    if content:
        (shell / REPORT).write_text(content)
    ended = shell.invoke("summary", REPORT)
    assert (ended.status, ended.out) == (2, "")
    assert ended.told_in_words


def test_the_sandbox_prints_its_address(shell: Shell) -> None:
    process = shell.start("sandbox", "--quota", "0")
    assert process.stdout is not None
    url = process.stdout.readline().decode().strip()
    name = write_csv(shell / "list.csv", tasks(2))
    assert shell.invoke("run", name, "--endpoint", url).status == 0
    process.terminate()
    ended = end_of(process)
    assert ended.status == 0
    assert "2 tasks stopped" in ended.err
    assert json.dumps(url) not in ended.out
