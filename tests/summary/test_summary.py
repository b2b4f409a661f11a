"""What a report adds up to: `stopcast summary`."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from stopcast.report.line import LineWriter
from stopcast.sandbox import Emulator, Faults
from stopcast.summary import Figures
from stopcast.summary.latency import Times
from stopcast.summary.timeline import Timeline
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import OTHERS, Task
from support.outcomes import NOON, outcome, write_report
from support.processes import Shell, read_report, serving, statuses, tasks, with_variables, write_csv

NOT_FOUND = "InvalidParameter.ErrorActiveTaskNotFound"


def figures_of(outcomes: Iterable[Outcome], **options: Any) -> Figures:
    writer, figures = LineWriter(), Figures(**options)
    figures.take({**json.loads(writer.line(one)), "status": one.status} for one in outcomes)
    return figures


# A real run's report


def test_the_summary_of_a_run_tells_its_statuses_appids_codes_and_calls(shell: Shell) -> None:
    gone, refused, foreign = tasks(3), tasks(2, first=10), tasks(2, app="foreign")
    faults = Faults({"gone": gone, "parameter": refused, "app": foreign[:1], "internal": tasks(1, first=50)})
    name = write_csv(shell / "list.csv", [*foreign, *tasks(60)])
    with serving(Emulator(quota_per_second=None, faults=faults)) as api:
        at = ("--endpoint", api.url, "--max-per-second", "100000", "--max-at-once", "1", "-o", "r.jsonl")
        assert shell.run("run", name, *at).status == 1
        calls = api.calls
    ended = shell.run("summary", "r.jsonl", "--json")
    told = ended.summary
    assert ended.status == 1
    assert {status: number for status, number in told["statuses"].items() if number} == statuses(shell / "r.jsonl")
    assert (told["rows"], told["good"], told["bad"], told["calls"]) == (62, 58, 4, calls)
    assert {one["AppId"]: (one["rows"], one["bad"]) for one in told["apps"]} == {"app": (60, 2), "foreign": (2, 2)}
    codes = {one["code"]: one for one in told["codes"]}
    assert {code: one["rows"] for code, one in codes.items()} == {
        NOT_FOUND: 3,
        "InvalidParameter": 2,
        "InvalidParameter.NotExistAppId": 1,
        "not sent": 1,
    }
    sample = codes[NOT_FOUND]["request_id"]
    assert sample in {line["request_id"] for line in read_report(shell / "r.jsonl") if line["code"] == NOT_FOUND}
    assert told["attempts"] == {"1": 60, "2": 1}
    assert told["latency"]["tasks"] == 60
    assert 0 < told["worst_second"]["first_calls"] <= 61


def test_a_run_that_did_not_go_well_says_where_to_look_next(shell: Shell, at: tuple[str, ...]) -> None:
    told = "what went wrong, and what to do: stopcast summary 'a report.jsonl'"
    assert told in shell.run("run", "-", *at, "-o", "a report.jsonl", given=b"a,r,1\n,,\n").err
    assert "what to do" not in shell.run("run", "-", *at, "-o", "b.jsonl", given=b"a,r,1\n").err
    assert "run again" not in shell.run("summary", "a report.jsonl", "--lang", "en").out


def test_the_words_tell_what_the_object_tells(shell: Shell) -> None:
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
        "such as RequestId the-request",
        "HTTP 502: 1 gave up",
        "22 calls for 3 tasks: 2 took 1, 1 took 20",
        "worst second: 2 first calls",
        "the 19 further calls are not in it",
        "run again what did not go well: stopcast run r.jsonl -o again.jsonl",
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
def test_the_language_is_the_option_s_or_else_the_locale_s(
    shell: Shell, variables: dict[str, str], options: tuple[str, ...], words: str
) -> None:
    name = write_report(shell / "r.jsonl", [outcome(Task("a", "r", "1"), Status.FAILED, code="LackPolicy")])
    assert words in with_variables(shell, variables).run("summary", name, *options).out


# What may be wrong with a report


def test_a_torn_last_line_is_left_out_and_told(shell: Shell) -> None:
    name = write_report(shell / "r.jsonl", [outcome(Task("a", "r", "1"))], torn=b'{"AppId":"a","Roo')
    ended = shell.run("summary", name)
    assert ended.status == 0
    assert "1 row: 1 stopped" in ended.out
    assert "not whole" in ended.out
    assert shell.run("summary", name, "--json").summary["torn"] == ["r.jsonl"]


def test_a_line_that_is_none_in_the_middle_is_status_2_and_names_its_place(shell: Shell) -> None:
    good = write_report(shell / "r.jsonl", [outcome(Task("a", "r", "1"))])
    (shell / "bad.jsonl").write_bytes((shell / good).read_bytes() + b"{}\n" + (shell / good).read_bytes())
    ended = shell.run("summary", "bad.jsonl")
    assert (ended.status, ended.out) == (2, "")
    assert "line 2 of bad.jsonl" in ended.err


def test_a_report_is_read_from_a_pipe_too(shell: Shell) -> None:
    name = write_report(shell / "r.jsonl", [outcome(Task("a", "r", "1"))])
    assert shell.run_process("summary", "/dev/stdin", "--json", given=(shell / name).read_bytes()).summary["rows"] == 1


def test_a_line_that_a_later_one_replaces_is_counted_as_calls_only() -> None:
    task = Task("a", "r", "1")
    figures = figures_of(
        [
            outcome(task, Status.GAVE_UP, attempts=20, code="InternalError"),
            outcome(Task("a", "r", "2"), Status.FAILED, code="InvalidParameter"),
            outcome(task, Status.SET_ASIDE, attempts=0),
            outcome(task, Status.ALREADY_STOPPED, code=NOT_FOUND),
        ],
        keep=10,
    )
    assert figures.total.statuses == {Status.ALREADY_STOPPED: 1, Status.FAILED: 1}
    assert (figures.lines, figures.replaced, figures.calls) == (4, 2, 22)
    assert [one.key for one in figures.by_reason()] == ["InvalidParameter", NOT_FOUND]
    assert [kept.task.task_id for kept in figures.kept] == ["2"]


def test_values_of_the_wrong_kind_cost_a_line_its_times_and_not_its_place(shell: Shell) -> None:
    (line,) = [LineWriter().line(outcome(Task("a", "r", "1"), Status.FAILED))]
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
    lines = [json.dumps({**json.loads(line), **values}) for values in odd]
    (shell / "r.jsonl").write_text("".join(f"{one}\n" for one in lines))
    ended = shell.run("summary", "r.jsonl", "--json")
    assert (ended.status, ended.err) == (1, "")
    assert ended.summary["statuses"]["failed"] == len(odd)


def test_what_would_not_show_on_a_terminal_is_written_as_an_escape(shell: Shell) -> None:
    hostile = "\x1b[2J\u202e"
    failed = outcome(Task("a", "r", "1"), Status.FAILED, code=hostile, message=hostile, request_id=hostile)
    out = shell.run("summary", write_report(shell / "r.jsonl", [failed])).out
    assert hostile[0] not in out
    assert hostile[-1] not in out
    assert "\\x1b[2J\\u202e" in out


def test_on_a_terminal_the_reading_of_a_long_report_is_shown(shell: Shell) -> None:
    line = LineWriter().line(outcome(Task("a", "r", "1"), message="long" * 500))
    (shell / "r.jsonl").write_bytes(line * (21_000_000 // len(line)))
    status, shown = shell.terminal("summary", "r.jsonl")
    assert (status, "reading r.jsonl" in shown, "100%" in shown) == (0, True, True)
    assert shell.run("summary", "r.jsonl").err == ""


# Several reports


@pytest.mark.parametrize("order", [("first", "again"), ("again", "first")])
def test_of_several_reports_each_task_is_told_once_by_its_most_settled_line(
    shell: Shell, order: tuple[str, str]
) -> None:
    one, two, three, four = (Task("a", "r", str(n)) for n in range(4))
    reports = {
        "first": [
            outcome(one),
            outcome(two, Status.GAVE_UP, code="InternalError", attempts=20),
            outcome(three, Status.FAILED, code="InvalidParameter"),
        ],
        "again": [
            outcome(one, Status.ALREADY_STOPPED, code=NOT_FOUND),
            outcome(two, Status.PRESUMED_STOPPED, code=NOT_FOUND),
            outcome(three, Status.GAVE_UP, code="InternalError"),
            outcome(four, Status.SET_ASIDE, attempts=0),
        ],
    }
    names = [write_report(shell / f"{name}.jsonl", reports[name]) for name in order]
    told = shell.run("summary", *names, "--json").summary
    assert {status: number for status, number in told["statuses"].items() if number} == {
        "stopped": 1,
        "presumed_stopped": 1,
        "failed": 1,
        "set_aside": 1,
    }
    assert (told["lines"], told["lines_replaced"], told["calls"]) == (7, 3, 25)
    assert {code["code"]: code["rows"] for code in told["codes"]} == {
        "InvalidParameter": 1,
        NOT_FOUND: 1,
        "not sent": 1,
    }


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ([Status.STILL_RUNNING], Status.STILL_RUNNING),
        ([Status.STILL_RUNNING, Status.ENDED], Status.ENDED),
        ([Status.UNKNOWN], Status.STOPPED),
    ],
)
def test_what_the_api_says_when_asked_goes_before_what_it_said_when_stopping(
    shell: Shell, asked: list[Status], told: Status
) -> None:
    words = [Status.STOPPED, *asked]
    names = [
        write_report(shell / f"{n}.jsonl", [outcome(Task("a", "r", "t"), word, http_status=200)])
        for n, word in enumerate(words)
    ]
    summary = shell.run("summary", *names, "--json").summary
    assert (summary["rows"], summary["statuses"][told]) == (1, 1)
    assert [one["code"] for one in summary["codes"]] == (["not ended"] if told is Status.STILL_RUNNING else [])


# Figures


def test_percentiles_are_exact_below_a_second_and_within_half_a_percent_above() -> None:
    chance = random.Random(7)
    lengths = [int(chance.lognormvariate(6, 2)) for _ in range(20_000)]
    times = Times()
    for length in lengths:
        times.add(length)
    ordered = sorted(lengths)
    for share, found in zip((1, 50, 90, 99, 100), times.percentiles((1, 50, 90, 99, 100)), strict=True):
        true = ordered[len(ordered) * share // 100 - 1] / 1000
        assert found == pytest.approx(true, rel=0.005 if true >= 1 else 1e-9)
    assert len(times.by_length) < 6000


def test_the_worst_second_is_that_of_every_window_whatever_the_lines_order() -> None:
    chance = random.Random(8)
    starts = sorted(int((chance.random() ** 2) * 130_000) for _ in range(3000))
    timeline, shuffled = Timeline(), list(starts)
    chance.shuffle(shuffled)
    for start in shuffled:
        took = chance.randrange(40_000)
        timeline.add(int(NOON) * 1000 + start + took, took, Status.STOPPED, 1)
    most = max(sum(start <= other < start + 1000 for other in starts) for start in starts)
    assert timeline.worst_second().calls == most
    assert timeline.began_at == NOON + starts[0] / 1000


def test_the_bins_are_few_over_any_span_and_lose_nothing() -> None:
    timeline = Timeline()
    for n in range(40_000):
        timeline.add((int(NOON) + n * 7) * 1000, 30_000, Status.STOPPED, 1 + n % 3)
    bins = timeline.bins.values()
    assert len(bins) <= 240
    assert sum(one.first_calls for one in bins) == 40_000
    assert sum(one.further_calls for one in bins) == sum(n % 3 for n in range(40_000))
    assert sum(one.ended[Status.STOPPED] for one in bins) == 40_000


def test_appids_and_codes_beyond_those_told_apart_are_counted_together() -> None:
    figures = figures_of(outcome(Task(f"app-{n}", "r", "t"), Status.FAILED, code=f"Code{n}") for n in range(3000))
    apps, codes = figures.by_app(), figures.by_reason()
    assert (len(apps), apps[-1].key, apps[-1].rows) == (1001, OTHERS, 2000)
    assert (len(codes), codes[-1].key, codes[-1].rows) == (201, OTHERS, 2800)
    assert sum(one.rows for one in apps) == sum(one.rows for one in codes) == figures.total.rows == 3000


def test_a_sample_is_one_that_the_vendor_can_look_up_where_there_is_one() -> None:
    refused = outcome(Task("a", "r", "t"), Status.FAILED, code="InvalidParameter", message="first")
    figures = figures_of([refused, replace(refused, request_id="second"), replace(refused, request_id="third")])
    assert figures.samples["InvalidParameter"].request_id == "second"


def test_rows_are_counted_once_by_whatever_they_are_grouped() -> None:
    figures = figures_of(outcome(Task(f"app-{n % 4}", "r", str(n)), list(Status)[n % 12]) for n in range(1200))
    by_app = sum((one.statuses for one in figures.by_app()), Counter())
    assert by_app + Counter({Status.INVALID: 100}) == figures.total.statuses
