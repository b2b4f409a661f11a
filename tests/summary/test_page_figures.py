"""Every figure of the page, recomputed from the lines of the reports by other means."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from stopcast.i18n import STATUS_WORDS
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task
from support.outcomes import NOON, outcome, write_report
from support.page_reader import PageReader
from support.processes import Shell

STOPS: Final = (Status.STOPPED, Status.ALREADY_STOPPED, Status.FAILED, Status.GAVE_UP, Status.SET_ASIDE)
ANSWERS: Final = (Status.ENDED, Status.STILL_RUNNING)
Lines = list[dict[str, Any]]


def outcomes_of(tasks: range, statuses: tuple[Status, ...], *, begins: float, seed: int) -> list[Outcome]:
    """Return outcomes of a minute and a half, some of them after retries."""
    chance = random.Random(seed)
    made = []
    for n in tasks:
        attempts = chance.choice((1, 1, 1, 2, 4, 7, 30))
        took = round(chance.lognormvariate(-3, 0.6) if attempts == 1 else chance.uniform(1, 20), 3)
        status = chance.choice(statuses)
        code = None if status.good else f"Code{n % 3}"
        ended = begins + round(chance.uniform(0, 60), 3) + took
        unsent = chance.randint(0, attempts - 1) if attempts > 1 and n % 5 == 0 else 0
        made.append(
            outcome(
                Task(f"app-{n % 4}", "r", str(n)),
                status,
                attempts=attempts,
                seconds=took,
                finished_at=ended,
                code=code,
                http_status=200,
                message=code and f"message {n % 2}",
                unsent=unsent,
            )
        )
    return made


@pytest.fixture(scope="module")
def reports() -> dict[str, list[Outcome]]:
    """A run that resumed 40 tasks, with rows that name no task and calls that never left, and its verification."""
    first = outcomes_of(range(600), STOPS, begins=NOON, seed=1)
    unsettled = [each for each in first if not each.status.settled][:40]
    again = [
        outcome(each.task, attempts=2, seconds=0.5, finished_at=NOON + 90 + n / 10) for n, each in enumerate(unsettled)
    ]
    rows = [outcome(Task("", "", ""), Status.INVALID, attempts=0, message="AppId is missing")] * 5
    rows += [outcome(Task("app-0", "r", "0"), Status.DUPLICATE, attempts=0)] * 3
    rows += [
        outcome(
            Task("app-1", "away", f"away-{n}"),
            Status.GAVE_UP,
            attempts=6,
            unsent=6,
            message="a message of the system",
            seconds=2.5,
        )
        for n in range(400)
    ]
    asked = outcomes_of(range(100, 500), ANSWERS, begins=NOON + 200, seed=2)
    return {"r.jsonl": [*first, *rows, *again], "v.jsonl": asked}


@pytest.fixture
def lines(shell: Shell, reports: dict[str, list[Outcome]]) -> dict[str, Lines]:
    """The lines of the two reports, which are written into the shell's directory."""
    return {name: _read(shell / write_report(shell / name, outcomes)) for name, outcomes in reports.items()}


def _read(path: Path) -> Lines:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def shown(shell: Shell, lines: dict[str, Lines]) -> PageReader:
    """The page of both reports."""
    shell.run("summary", *lines, "--html", "page.html")
    return PageReader((shell / "page.html").read_text())


def counting(lines: dict[str, Lines]) -> Lines:
    """Return the lines that count: an answer before a stop, and of two stops the later one."""
    latest: dict[object, dict[str, Any]] = {}
    for number, line in enumerate([*lines["r.jsonl"], *lines["v.jsonl"]]):
        sent_or_asked = line["status"] not in {"invalid", "duplicate"}
        latest[(line["AppId"], line["TaskId"]) if sent_or_asked else number] = line
    return list(latest.values())


def began(line: dict[str, Any]) -> int:
    return ended(line) - round(float(line["seconds"]) * 1000)


def ended(line: dict[str, Any]) -> int:
    return round(datetime.fromisoformat(line["finished_at"]).timestamp() * 1000)


def number(text: str) -> int:
    return 0 if text.startswith("no calls") else int(text.replace(",", "") or 0)


def second_of(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp())


def calls(line: dict[str, Any]) -> int:
    return int(line["attempts"]) - int(line.get("unsent", 0))


def tried(lines: Lines) -> Lines:
    return [line for line in lines if line["attempts"]]


def sent(lines: Lines) -> Lines:
    return [line for line in lines if calls(line)]


def sent_at_once(lines: Lines) -> Lines:
    """Return the lines whose first attempt is known to have been a call."""
    return [line for line in sent(lines) if not line.get("unsent")]


def test_the_legend_and_the_headline_count_each_task_once(shown: PageReader, lines: dict[str, Lines]) -> None:
    statuses = Counter(line["status"] for line in counting(lines))
    assert shown.legend == statuses
    tasks = statuses.total() - statuses["invalid"] - statuses["duplicate"]
    good = sum(number for status, number in statuses.items() if Status(status).good) - statuses["duplicate"]
    assert shown.texts["h1"][0] == f"{good:,} of {tasks:,} tasks are stopped or have ended"


def test_the_table_of_appids_counts_each_task_once(shown: PageReader, lines: dict[str, Lines]) -> None:
    (apps,) = shown.tables_of("AppId", "rows", "not good", "by status")
    by_app = {app: Counter[str]() for app, *_ in apps}
    for line in counting(lines):
        if line["status"] != "invalid":
            by_app[line["AppId"]][line["status"]] += 1
    for app, rows, bad, in_words in apps:
        statuses = by_app[app]
        assert number(rows) == statuses.total()
        assert number(bad) == sum(count for status, count in statuses.items() if not Status(status).good)
        words = [f"{statuses[status]:,} {word}" for status, word in STATUS_WORDS.items() if statuses[status]]
        assert in_words == ", ".join(words)


@pytest.mark.parametrize(("section", "name"), [("Stop calls", "r.jsonl"), ("Verify calls", "v.jsonl")])
def test_the_facts_of_each_kind_of_calls(shown: PageReader, lines: dict[str, Lines], section: str, name: str) -> None:
    firsts = sent_at_once(lines[name])
    number_of_calls = sum(map(calls, lines[name]))
    retries = number_of_calls - len(firsts)
    share = f"{retries / number_of_calls:.1%}"
    assert shown.facts[section, "calls"] == f"{number_of_calls:,}{retries:,} of them retries ({share})"
    unsent = sum(line.get("unsent", 0) for line in lines[name])
    assert shown.facts[section, "attempts without a connection"].startswith(f"{unsent:,}no calls")
    starts = sorted(map(began, firsts))
    busiest = max(sum(start <= other < start + 1000 for other in starts) for start in starts)
    cap = {"Stop calls": 150, "Verify calls": 60}[section]
    assert shown.facts[section, "busiest second"].startswith(f"{busiest} first callsthe cap is {cap};")
    took = max(map(ended, tried(lines[name]))) - min(map(began, tried(lines[name])))
    in_words, mean = f"{took // 60000} min {round(took / 1000) % 60:02d} s", number_of_calls / took * 1000
    assert shown.facts[section, "time"].startswith(f"{in_words}{mean:.{0 if mean >= 10 else 1}f} calls a second")
    durations = sorted(line["seconds"] for line in firsts if line["attempts"] == 1)
    p50, p95, p99 = (durations[-(-len(durations) * share // 100) - 1] * 1000 for share in (50, 95, 99))
    text = f"median {p50:.0f} ms95% within {p95:.0f} ms, 99% within {p99:.0f} ms"
    assert shown.facts[section, "duration of a call"] == text


@pytest.mark.parametrize(("place", "name"), [(0, "r.jsonl"), (1, "v.jsonl")])
def test_the_charts_of_each_kind_of_calls(shown: PageReader, lines: dict[str, Lines], place: int, name: str) -> None:
    called = tried(lines[name])
    firsts = Counter(began(line) // 1000 for line in sent_at_once(lines[name]))
    table = shown.tables_of("1 s from (UTC)", "first calls")[place]
    assert {second_of(at): number(calls) for at, calls in table if number(calls)} == firsts
    retries = shown.tables_of("1 s from (UTC)", "retries")[place]
    assert sum(number(count) for _at, count in retries) == sum(map(calls, called)) - firsts.total()
    statuses = [status for status in (*STOPS, *ANSWERS) if any(line["status"] == status for line in called)]
    (ends,) = [
        rows
        for head, *rows in shown.tables
        if head[0] == "1 s from (UTC)" and set(head[1:]) == {STATUS_WORDS[status] for status in statuses}
        for columns in [head[1:]]
    ]
    (head,) = [rows[0] for rows in shown.tables if rows[1:] == ends]
    for column, word in enumerate(head[1:], 1):
        status = next(status for status, its_word in STATUS_WORDS.items() if its_word == word)
        counted = Counter(ended(line) // 1000 for line in called if line["status"] == status)
        assert {second_of(row[0]): number(row[column]) for row in ends if number(row[column])} == counted


@pytest.mark.parametrize(("place", "name"), [(0, "r.jsonl"), (1, "v.jsonl")])
def test_the_durations_and_the_calls_for_each_task(
    shown: PageReader, lines: dict[str, Lines], place: int, name: str
) -> None:
    called = sent(lines[name])
    attempts = Counter(map(calls, called))
    rows = shown.tables_of("calls", "tasks", "share", "share as a bar")[place]
    assert {row[0]: number(row[1]) for row in rows} == {
        **{str(few): attempts[few] for few in range(1, 6) if attempts[few]},
        "6\u201310": sum(attempts[number_of] for number_of in range(6, 11)),
        "11\u201320": sum(attempts[number_of] for number_of in range(11, 21)),
        "21+": sum(attempts[number_of] for number_of in range(21, 31)),
    }
    assert [row[2] for row in rows] == [f"{number(row[1]) / len(called):.1%}" for row in rows]
    durations = [round(line["seconds"] * 1000) for line in sent_at_once(lines[name]) if line["attempts"] == 1]
    for between, count, share in shown.tables_of("duration", "calls", "share")[place]:
        left, right = (int(edge) for edge in between.removesuffix(" ms").split(" to "))
        assert number(count) == sum(left <= length < right for length in durations)
        assert share == f"{number(count) / len(durations):.1%}"


def test_the_codes_and_the_rows_are_those_of_the_lines_that_count(shown: PageReader, lines: dict[str, Lines]) -> None:
    bad = [line for line in counting(lines) if not Status(line["status"]).good]
    (rows,) = shown.tables_of("status", "code", "AppId", "RoomId", "TaskId", "line", "RequestId")
    assert len(rows) == len(bad)
    assert Counter((row[2], row[4]) for row in rows) == Counter(
        (line["AppId"] or "", line["TaskId"] or "") for line in bad
    )
    assert all("message" in row[1] or "missing" in row[1] for row in rows)
    by_code = Counter((line["code"], line["message"]) for line in bad if line["code"])
    texts = " ".join(shown.items)
    for (_code, message), count in by_code.items():
        assert f"{count:,} rows: {message}" in texts
    assert "5 rows: AppId is missing" in texts
