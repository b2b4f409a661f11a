"""The options of ``stopcast run``, and an earlier report as its list."""

from __future__ import annotations

import re

from stopcast.sandbox import Emulator, Faults
from stopcast.tasks.task import Task
from support.processes import Shell, lines_by_task, read_report, settled_by, statuses, tasks, write_csv
from support.usage import refused

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"


# The options


def test_columns_renames_the_columns(shell: Shell, api: Emulator, at: At) -> None:
    (shell / "list.csv").write_text("Mandant,Raum,AppId,Aufnahme\na,r,wrong,t\n")
    assert shell.run("run", "list.csv", "--columns", "app=mandant,room=RAUM,task=Aufnahme", *at).status == 0
    assert api.stopped == {Task("a", "r", "t")}


def test_format_overrides_the_extension_of_the_list(shell: Shell, api: Emulator, at: At) -> None:
    (shell / "list.csv").write_text('["a","r","t"]\n')
    assert shell.run("run", "list.csv", "--format", "jsonl", *at).status == 0
    assert api.stopped == {Task("a", "r", "t")}


def test_limit_takes_the_first_tasks_and_resume_without_it_the_others(shell: Shell, api: Emulator, at: At) -> None:
    name = write_csv(shell / "list.csv", [*tasks(2), *tasks(8)])
    assert shell.run("run", name, "--limit", "3", *at).status == 0
    assert api.stopped == set(tasks(3))
    assert shell.run("run", name, "--resume", *at).status == 0
    assert api.calls == 8
    assert statuses(shell / REPORT) == {"stopped": 8, "duplicate": 2}


def test_max_attempts_bounds_the_calls_for_a_task(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"internal": 1.0})
    assert shell.run("run", "-", *at, "--max-attempts", "2", given=b"a,r,t\n").status == 1
    (line,) = read_report(shell / REPORT)
    assert (api.calls, line["status"], line["attempts"], line["http_status"]) == (2, "gave_up", 2, 500)


def test_a_call_that_exceeds_the_timeout_is_retried(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"hang": [Task("a", "r", "t")]})
    assert shell.run("run", "-", *at, "--timeout", "0.2", given=b"a,r,t\n").status == 0
    (line,) = read_report(shell / REPORT)
    assert (line["status"], line["attempts"]) == ("stopped", 2)


def test_the_second_version_of_the_api_can_be_called(shell: Shell, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    assert shell.run("run", name, *at, "--api-version", "2023-11-01").status == 0


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
    ended = shell.run("run", "list")
    assert (ended.status, ended.err) == (0, "")
    assert ended.summary["statuses"]["stopped"] == 2
    assert statuses(shell / "there.jsonl") == {"stopped": 2}


def test_help_lists_every_option_of_the_contract(shell: Shell) -> None:
    ended = shell.run("run", "-h")
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
    assert shell.run("run", name, *at, "-o", "first.jsonl").status == 1
    assert shell.run("run", "first.jsonl", *at, "-o", "second.jsonl").status == 0
    assert settled_by(shell / "second.jsonl", "stopped") == set(tasks(2))
    assert api.calls == 7


def test_only_selects_the_rows_of_a_report_by_status(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": tasks(1), "internal": tasks(1, first=1)})
    name = write_csv(shell / "list.csv", tasks(4))
    assert shell.run("run", name, *at, "-o", "first.jsonl", "--max-attempts", "1").status == 1
    assert shell.run("run", "first.jsonl", "--only", "gave_up,invalid", *at, "-o", "second.jsonl").status == 0
    assert lines_by_task(shell / "second.jsonl") == {tasks(2)[1]: 1}
    assert shell.run("run", "first.jsonl", "--only", "stopped", *at, "-o", "third.jsonl").status == 0
    assert statuses(shell / "third.jsonl") == {"already_stopped": 2}


def test_only_is_refused_for_a_list_that_is_not_a_report(shell: Shell) -> None:
    assert "report" in refused(shell, "run", write_csv(shell / "list.csv", tasks(1)), "--only", "failed", "--sandbox")
