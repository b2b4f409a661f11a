"""What the commands print, on streams that may be closed, and what they import."""

from __future__ import annotations

import json
import os
import sys

import pytest

from stopcast.sandbox import Emulator, Faults
from support.processes import COMMAND, Shell, end_of, read_report, statuses, tasks, until, write_csv

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"


# Output


def test_json_prints_one_object_whose_totals_add_up(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": tasks(1)})
    name = write_csv(shell / "list.csv", [*tasks(4), *tasks(1)])
    ended = shell.run("run", name, "-", *at, "--json", given=b"x\n,,\n1,2,3\n".replace(b"x\n", b""))
    summary = ended.summary
    assert ended.status == 1
    assert summary["rows"] == len(read_report(shell / REPORT)) == sum(summary["statuses"].values())
    assert summary["good"] + summary["bad"] == summary["rows"]
    assert {key: value for key, value in summary["statuses"].items() if value} == statuses(shell / REPORT)
    assert summary["calls"] == api.calls


def test_quiet_prints_nothing_when_the_run_is_good(shell: Shell, at: At) -> None:
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(2)), *at, "-q")
    assert ended == (0, "", "")


def test_verbose_logs_every_retry(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"internal": tasks(1)})
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(1)), *at, "-v")
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
    assert ended.without_traceback, ended.err
    assert ended.status == 0
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
    assert ended.without_traceback
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
    ended = shell.run(*arguments)
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
    assert shell.run("stop").status == 2


def test_summary_prints_the_totals_of_a_report(shell: Shell, at: At) -> None:
    assert shell.run("run", "-", *at, given=b"a,r,1\na,r,1\n,r,\n").status == 1
    ended = shell.run("summary", REPORT, "--json")
    assert ended.status == 1
    assert {key: number for key, number in ended.summary["statuses"].items() if number} == statuses(shell / REPORT)
    assert "3 rows" in shell.run("summary", REPORT).out


@pytest.mark.parametrize("content", [None, "no report\nat all\n"])
def test_summary_of_another_file_has_status_2(shell: Shell, content: str | None) -> None:
    if content:
        (shell / REPORT).write_text(content)
    ended = shell.run("summary", REPORT)
    assert (ended.status, ended.out) == (2, "")
    assert ended.without_traceback


def test_the_sandbox_prints_its_address(shell: Shell) -> None:
    process = shell.start("sandbox", "--quota", "0")
    assert process.stdout is not None
    url = process.stdout.readline().decode().strip()
    name = write_csv(shell / "list.csv", tasks(2))
    assert shell.run("run", name, "--endpoint", url).status == 0
    process.terminate()
    ended = end_of(process)
    assert ended.status == 0
    assert "2 tasks stopped" in ended.err
    assert json.dumps(url) not in ended.out
