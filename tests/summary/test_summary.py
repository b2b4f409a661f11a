"""The summary of a report as text and as JSON: its figures and its rows."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from typing import Any

import pytest

from stopcast.accounts.routes import UNCLAIMED
from stopcast.api.meanings import NO_ACCOUNT
from stopcast.report.line import line_of
from stopcast.sandbox import Emulator, Faults
from stopcast.sandbox.thread import serving
from stopcast.summary import Kind
from stopcast.summary.times import took
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Task
from support.outcomes import outcome, write_report
from support.processes import Shell, read_report, statuses, tasks, with_variables, write_csv
from support.report_figures import NOT_FOUND, figures_of

# A real run's report


def test_the_summary_of_a_run_counts_its_statuses_appids_codes_and_calls(shell: Shell) -> None:
    gone, refused, foreign = tasks(3), tasks(2, first=10), tasks(2, app="foreign")
    faults = Faults({"gone": gone, "parameter": refused, "app": foreign[:1], "internal": tasks(1, first=50)})
    name = write_csv(shell / "list.csv", [*foreign, *tasks(60)])
    with serving(Emulator(quota_per_second=None, faults=faults)) as api:
        at = ("--endpoint", api.url, "--max-per-second", "100000", "--max-at-once", "1", "-o", "r.jsonl")
        assert shell.run("run", name, *at).status == 1
        calls = api.calls
    ended = shell.run("summary", "r.jsonl", "--json")
    summary = ended.summary
    assert ended.status == 1
    assert {status: number for status, number in summary["statuses"].items() if number} == statuses(shell / "r.jsonl")
    assert (summary["rows"], summary["good"], summary["bad"], summary["calls"]) == (62, 58, 4, calls)
    assert {app["AppId"]: (app["rows"], app["bad"]) for app in summary["apps"]} == {"app": (60, 2), "foreign": (2, 2)}
    codes = {code["code"]: code for code in summary["codes"]}
    assert {name: code["rows"] for name, code in codes.items()} == {
        NOT_FOUND: 3,
        "InvalidParameter": 2,
        "InvalidParameter.NotExistAppId": 2,
    }
    sample = codes[NOT_FOUND]["request_id"]
    assert sample in {line["request_id"] for line in read_report(shell / "r.jsonl") if line["code"] == NOT_FOUND}
    assert summary["attempts"] == {"1": 60, "2": 1}
    assert summary["latency"]["tasks"] == 60
    assert 0 < summary["worst_second"]["first_calls"] <= 61


def test_a_run_with_bad_rows_prints_the_command_that_explains_them(shell: Shell, at: tuple[str, ...]) -> None:
    next_command = "To see what went wrong, and what to do:\n  stopcast summary 'a report.jsonl'\n"
    assert next_command in shell.run("run", "-", *at, "-o", "a report.jsonl", given=b"a,r,1\na,r,\n").err
    assert "what to do" not in shell.run("run", "-", *at, "-o", "b.jsonl", given=b"a,r,1\n").err
    assert "-o again.jsonl" not in shell.run("summary", "a report.jsonl", "--lang", "en").out


def test_the_text_has_the_figures_the_meanings_and_the_next_command(shell: Shell) -> None:
    name = write_report(
        shell / "r.jsonl",
        [
            outcome(Task("a", "r", "1")),
            outcome(Task("a", "r", "2"), Status.FAILED, code="LackPolicy", request_id="the-request", message="no"),
            outcome(Task("b", "r", "3"), Status.GAVE_UP, attempts=20, seconds=61.5, http_status=502),
        ],
    )
    out = shell.run("summary", name, "--lang", "en").out
    for words in (
        "3 rows: 1 stopped, 1 failed, 1 gave up",
        "a: 2 rows: 1 stopped, 1 failed",
        "LackPolicy: 1 failed",
        "IAM",
        "for example RequestId the-request",
        "HTTP 502: 1 gave up",
        "22 calls for 3 tasks: 2 took 1, 1 took 20",
        "busiest second: 2 first calls (the cap is 150)",
        "not included: 19 retries",
        "1 row: no\n",
        "list the rows of a status or a code: stopcast summary r.jsonl --list failed",
        "run the rows again that are not good: stopcast run r.jsonl -o again.jsonl",
    ):
        assert words in out


@pytest.mark.parametrize(
    ("variables", "options", "words"),
    [
        ({"LC_ALL": "zh_CN.UTF-8"}, (), "错误码"),
        ({"LC_ALL": "", "LANG": "zh_TW.UTF-8"}, (), "错误码"),
        ({"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, (), "By code"),
        ({"LC_ALL": "zh_CN.UTF-8"}, ("--lang", "en"), "By code"),
        ({"LC_ALL": "C.UTF-8"}, ("--lang", "zh"), "错误码"),
        ({"LC_ALL": "C.UTF-8", "STOPCAST_LANG": "zh"}, (), "错误码"),
    ],
)
def test_the_language_is_that_of_the_option_or_else_of_the_locale(
    shell: Shell, variables: dict[str, str], options: tuple[str, ...], words: str
) -> None:
    name = write_report(shell / "r.jsonl", [outcome(Task("a", "r", "1"), Status.FAILED, code="LackPolicy")])
    assert words in with_variables(shell, variables).run("summary", name, *options).out


# What may be wrong with a report


def test_an_incomplete_last_line_is_not_counted_and_is_reported(shell: Shell) -> None:
    name = write_report(shell / "r.jsonl", [outcome(Task("a", "r", "1"))], torn=b'{"AppId":"a","Roo')
    ended = shell.run("summary", name)
    assert ended.status == 0
    assert "1 row: 1 stopped" in ended.out
    assert "the last line of r.jsonl is incomplete" in ended.out
    assert shell.run("summary", name, "--json").summary["torn"] == ["r.jsonl"]


def test_a_line_in_the_middle_that_is_not_a_report_line_is_status_2_and_named(shell: Shell) -> None:
    good = write_report(shell / "r.jsonl", [outcome(Task("a", "r", "1"))])
    (shell / "bad.jsonl").write_bytes((shell / good).read_bytes() + b"{}\n" + (shell / good).read_bytes())
    ended = shell.run("summary", "bad.jsonl")
    assert (ended.status, ended.out) == (2, "")
    assert "bad.jsonl" in ended.err
    assert "line 2" in ended.err


@pytest.mark.parametrize("name", ["/dev/stdin", "-"])
def test_a_report_can_be_read_from_a_pipe(shell: Shell, name: str) -> None:
    report = (shell / write_report(shell / "r.jsonl", [outcome(Task("a", "r", "1"))])).read_bytes()
    assert shell.run_process("summary", name, "--json", given=report).summary["rows"] == 1
    assert shell.run_process("summary", name, "--list", "stopped", given=report).out.encode() == report


@pytest.mark.parametrize("module", [gzip, bz2, lzma], ids=lambda module: module.__name__)
def test_a_compressed_report_is_read(shell: Shell, module: Any) -> None:
    report = (shell / write_report(shell / "r.jsonl", [outcome(Task("a", "r", "1"))])).read_bytes()
    (shell / "packed").write_bytes(module.compress(report))
    assert shell.run("summary", "packed", "--json").summary["rows"] == 1
    assert shell.run("summary", "packed", "--list", "STOPPED").out.encode() == report
    packed = module.compress(report)
    for damaged in (packed[:-9], packed[:10] + b"\xff" * 99):
        (shell / "packed").write_bytes(damaged)
        ended = shell.run("summary", "packed")
        assert (ended.status, ended.without_traceback) == (2, True)
        assert "packed cannot be read: its " in ended.err


# Its rows


ROWS = [
    outcome(Task("a", "r", "1")),
    outcome(Task("a", "r", "2"), Status.GAVE_UP, code="InternalError", source="l.csv", line=2),
    outcome(Task("a", "r", "3"), Status.GAVE_UP, http_status=502),
    outcome(Task("a", "r", "2"), Status.GAVE_UP, code="InternalError", source="l.csv", line=3),
    outcome(Task("a", "r", "3")),
    outcome(Task("a", "", ""), Status.INVALID, attempts=0, message="RoomId is missing", source="l.csv", line=9),
]


@pytest.mark.parametrize(
    ("listed", "lines"),
    [
        ("stopped", [0, 4]),
        ("gave_up", [3]),
        ("GAVE-UP", [3]),
        ("internalerror", [3]),
        ("no task", [5]),
    ],
)
def test_the_rows_of_a_status_or_a_code_are_printed_as_lines_of_a_report(
    shell: Shell, listed: str, lines: list[int]
) -> None:
    report = (shell / write_report(shell / "r.jsonl", ROWS)).read_bytes().splitlines(keepends=True)
    ended = shell.run("summary", "r.jsonl", "--list", listed)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.encode() == b"".join(report[line] for line in lines)


def test_the_listed_rows_are_a_list_for_a_run(shell: Shell, at: tuple[str, ...]) -> None:
    write_report(shell / "r.jsonl", ROWS)
    listed = shell.run("summary", "r.jsonl", "--list", "gave_up").out
    assert shell.run("run", "-", *at, "-o", "again.jsonl", given=listed.encode()).status == 0
    assert [line["TaskId"] for line in read_report(shell / "again.jsonl")] == ["2"]


@pytest.mark.parametrize("status", ["failed", "set_aside", "unknown"])
def test_a_status_that_no_row_has_is_an_empty_list_and_the_log_says_so(shell: Shell, status: str) -> None:
    ended = shell.run("summary", write_report(shell / "r.jsonl", ROWS), "--list", status)
    assert (ended.status, ended.out, ended.err) == (0, "", f"No row has the status or code {status}.\n")


def test_an_unknown_status_or_code_is_refused_with_those_that_are_there(shell: Shell) -> None:
    ended = shell.run("summary", write_report(shell / "r.jsonl", ROWS), "--list", "InternalEror")
    assert (ended.status, ended.out) == (2, "")
    assert "stopped, gave_up, invalid, InternalError, no task" in ended.err


def test_each_reason_is_shown_with_its_rows_and_where_the_first_of_them_stands(shell: Shell) -> None:
    outcomes = [
        outcome(Task("a", "", ""), Status.INVALID, message=f"reason {n % 3}", source="l.csv", line=n, attempts=0)
        for n in range(2, 9)
    ]
    out = shell.run("summary", write_report(shell / "r.jsonl", outcomes)).out
    assert "3 rows: reason 2 (the first: l.csv:2)" in out
    assert "2 rows: reason 0 (the first: l.csv:3)" in out
    assert "2 rows: reason 1 (the first: l.csv:4)" in out


def test_a_row_that_no_account_claims_is_explained_as_that() -> None:
    unclaimed = outcome(Task("a", "r", "1"), Status.SET_ASIDE, attempts=0, message=UNCLAIMED)
    assert [code.key for code in figures_of([unclaimed]).by_reason()] == [NO_ACCOUNT]


def test_a_superseded_line_counts_only_as_calls() -> None:
    task = Task("a", "r", "1")
    figures = figures_of(
        [
            outcome(task, Status.GAVE_UP, attempts=20, code="InternalError"),
            outcome(Task("a", "r", "2"), Status.FAILED, code="InvalidParameter"),
            outcome(task, Status.SET_ASIDE, attempts=0),
            outcome(task, Status.ALREADY_STOPPED, code=NOT_FOUND),
        ],
        most_listed=10,
    )
    assert figures.total.statuses == {Status.ALREADY_STOPPED: 1, Status.FAILED: 1}
    assert (figures.lines, figures.superseded, figures.calls[Kind.STOP].calls) == (4, 2, 22)
    assert [code.key for code in figures.by_reason()] == ["InvalidParameter", NOT_FOUND]
    assert [row.task.task_id for row in figures.listed] == ["2"]


def test_a_line_with_values_of_the_wrong_type_is_counted_without_its_times(shell: Shell) -> None:
    (line,) = [line_of(outcome(Task("a", "r", "1"), Status.FAILED))]
    odd: list[dict[str, Any]] = [
        {"attempts": "2"},
        {"attempts": -1},
        {"attempts": 10**18},
        {"seconds": None},
        {"seconds": 1e300},
        {"seconds": -1},
        {"finished_at": 5},
        {"finished_at": "yesterday"},
        {"finished_at": "2026-11-22T20:00:00.१२३Z"},
        {"finished_at": "9999-12-31T23:59:59.999Z"},
        {"code": ["x"], "http_status": {}},
        {"http_status": 99999, "message": 7, "request_id": False},
    ]
    lines = [json.dumps({**json.loads(line), "TaskId": str(at), **values}) for at, values in enumerate(odd)]
    (shell / "r.jsonl").write_text("".join(f"{line}\n" for line in lines))
    ended = shell.run("summary", "r.jsonl", "--json")
    assert (ended.status, ended.err) == (1, "")
    assert ended.summary["statuses"]["failed"] == len(odd)


def test_invisible_characters_from_outside_are_printed_as_escapes(shell: Shell) -> None:
    hostile = "\x1b[2J\u202e"
    failed = outcome(Task("a", "r", "1"), Status.FAILED, code=hostile, message=hostile, request_id=hostile)
    out = shell.run("summary", write_report(shell / "r.jsonl", [failed])).out
    assert hostile[0] not in out
    assert hostile[-1] not in out
    assert "\\x1b[2J\\u202e" in out


def test_a_progress_bar_is_shown_on_a_terminal_while_a_large_report_is_read(shell: Shell) -> None:
    line = line_of(outcome(Task("a", "r", "1"), message="long" * 500))
    (shell / "r.jsonl").write_bytes(line * (21_000_000 // len(line)))
    status, shown = shell.terminal("summary", "r.jsonl")
    assert (status, "reading r.jsonl" in shown, "100%" in shown) == (0, True, True)
    assert shell.run("summary", "r.jsonl").err == ""


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.045, "45 ms"), (4.021, "4.02 s"), (34.71, "34.7 s"), (7_500, "2 h 05 min")]
)
def test_a_duration_has_the_unit_that_fits_it(seconds: float, words: str) -> None:
    assert took(seconds) == words
