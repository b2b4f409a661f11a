"""The figures of one report and of several."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from stopcast.summary.latency import Durations
from stopcast.summary.timeline import Timeline
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import OTHERS, Task
from support.outcomes import NOON, outcome, write_report
from support.processes import Shell
from support.report_figures import NOT_FOUND, figures_of


def test_within_one_report_the_later_line_counts_as_when_it_is_resumed() -> None:
    task = Task("a", "r", "1")
    figures = figures_of([outcome(task, Status.STILL_RUNNING, http_status=200), outcome(task, Status.UNKNOWN)])
    assert figures.total.statuses == {Status.UNKNOWN: 1}


# Several reports


@pytest.mark.parametrize("order", [("first", "again"), ("again", "first")])
def test_of_several_reports_each_task_is_counted_once_by_its_most_reliable_line(
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
    summary = shell.run("summary", *names, "--json").summary
    assert {status: number for status, number in summary["statuses"].items() if number} == {
        "stopped": 1,
        "presumed_stopped": 1,
        "failed": 1,
        "set_aside": 1,
    }
    assert (summary["lines"], summary["lines_replaced"], summary["calls"]) == (7, 3, 25)
    assert {code["code"]: code["rows"] for code in summary["codes"]} == {
        "InvalidParameter": 1,
        NOT_FOUND: 1,
        "not sent": 1,
    }


@pytest.mark.parametrize(
    ("asked", "counted"),
    [
        ([Status.STILL_RUNNING], Status.STILL_RUNNING),
        ([Status.STILL_RUNNING, Status.ENDED], Status.ENDED),
        ([Status.UNKNOWN], Status.STOPPED),
    ],
)
def test_the_answer_of_verify_counts_more_than_the_answer_of_the_stop(
    shell: Shell, asked: list[Status], counted: Status
) -> None:
    lines = [Status.STOPPED, *asked]
    names = [
        write_report(shell / f"{n}.jsonl", [outcome(Task("a", "r", "t"), status, http_status=200)])
        for n, status in enumerate(lines)
    ]
    summary = shell.run("summary", *names, "--json").summary
    assert (summary["rows"], summary["statuses"][counted]) == (1, 1)
    assert [code["code"] for code in summary["codes"]] == (["not ended"] if counted is Status.STILL_RUNNING else [])


def test_stop_and_verify_calls_are_counted_apart(shell: Shell) -> None:
    task = Task("a", "r", "t")
    stops = [outcome(task, Status.GAVE_UP, attempts=3), outcome(task, attempts=2)]
    asked = [outcome(task, Status.ENDED, attempts=4, http_status=200)]
    names = [write_report(shell / "r.jsonl", stops), write_report(shell / "v.jsonl", asked)]
    summary = shell.run("summary", *names, "--json").summary
    assert (summary["calls"], summary["kinds"]["stop"]["calls"], summary["kinds"]["verify"]["calls"]) == (9, 5, 4)
    assert (summary["rows"], summary["lines_replaced"], summary["lines_asked_about"]) == (1, 2, 1)
    out = shell.run("summary", *names).out
    assert "1 task was stopped and then asked about" in out
    assert "1 line was superseded" in out
    assert "Stop calls\n  5 calls for 2 tasks" in out
    assert "Verify calls\n  4 calls for 1 task" in out
    assert out.index("(the cap is 150)") < out.index("(the cap is 60)")


# Figures


def test_percentiles_are_exact_below_a_second_and_within_half_a_percent_above() -> None:
    chance = random.Random(7)
    lengths = [int(chance.lognormvariate(6, 2)) for _ in range(20_000)]
    durations = Durations()
    for length in lengths:
        durations.add(length)
    ordered = sorted(lengths)
    for share, found in zip((1, 50, 90, 99, 100), durations.percentiles((1, 50, 90, 99, 100)), strict=True):
        true = ordered[len(ordered) * share // 100 - 1] / 1000
        assert found == pytest.approx(true, rel=0.005 if true >= 1 else 1e-9)
    assert len(durations.by_length) < 6000


def test_the_busiest_second_is_found_among_all_windows_whatever_the_order_of_lines() -> None:
    chance = random.Random(8)
    starts = sorted(int((chance.random() ** 2) * 130_000) for _ in range(3000))
    timeline, shuffled = Timeline(), list(starts)
    chance.shuffle(shuffled)
    for start in shuffled:
        took = chance.randrange(40_000)
        timeline.add(int(NOON) * 1000 + start + took, took, Status.STOPPED, attempts=1, calls=1)
    most = max(sum(start <= other < start + 1000 for other in starts) for start in starts)
    assert timeline.worst_second().calls == most
    assert timeline.began_at == NOON + starts[0] / 1000


def test_the_timeline_has_few_bins_over_any_time_and_loses_nothing() -> None:
    timeline = Timeline()
    for n in range(40_000):
        timeline.add((int(NOON) + n * 7) * 1000, 30_000, Status.STOPPED, attempts=1 + n % 3, calls=1 + n % 3)
    bins = timeline.bins.values()
    assert len(bins) <= 240
    assert sum(each.first_calls for each in bins) == 40_000
    assert sum(each.retries for each in bins) == sum(n % 3 for n in range(40_000))
    assert sum(each.ended[Status.STOPPED] for each in bins) == 40_000


def test_appids_and_codes_beyond_the_listed_ones_are_counted_together() -> None:
    figures = figures_of(outcome(Task(f"app-{n}", "r", "t"), Status.FAILED, code=f"Code{n}") for n in range(3000))
    apps, codes = figures.by_app(), figures.by_reason()
    assert (len(apps), apps[-1].key, apps[-1].rows) == (1001, OTHERS, 2000)
    assert (len(codes), codes[-1].key, codes[-1].rows) == (201, OTHERS, 2800)
    assert sum(app.rows for app in apps) == sum(code.rows for code in codes) == figures.total.rows == 3000


def test_a_sample_has_a_request_id_if_any_line_has_one() -> None:
    refused = outcome(Task("a", "r", "t"), Status.FAILED, code="InvalidParameter", message="first")
    figures = figures_of([refused, replace(refused, request_id="second"), replace(refused, request_id="third")])
    assert figures.samples["InvalidParameter"].request_id == "second"


def test_rows_are_counted_once_however_they_are_grouped() -> None:
    figures = figures_of(outcome(Task(f"app-{n % 4}", "r", str(n)), list(Status)[n % 12]) for n in range(1200))
    by_app = sum((app.statuses for app in figures.by_app()), Counter())
    assert by_app + Counter({Status.INVALID: 100}) == figures.total.statuses
