"""The page that `stopcast summary --html` writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stopcast.summary.page.columns import columns_of
from stopcast.summary.page.numbers import percent
from stopcast.summary.timeline import Timeline
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task
from support.documents import page
from support.outcomes import HOSTILE, NOON, mixed, outcome, page_of, write_report
from support.page_reader import PageReader
from support.processes import Shell

EXAMPLES = Path(__file__).parents[2] / "examples"


# Its size, and what it contains and loads


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_page_is_below_300_kb_whatever_the_report_contains(shell: Shell, language: str) -> None:
    long = "<&'\"" * 32
    outcomes = [
        outcome(
            Task(f"{n:0128}", "r" * 128, f"{n:0128}"),
            Status.FAILED,
            attempts=1 + n % 90,
            code=f"Code{n}" + long,
            message=long * 15,
            request_id=f"{n}{long}",
            source=long,
            line=n,
            finished_at=NOON + n * 3600,
            seconds=n / 7,
        )
        for n in range(3000)
    ]
    page = page_of(shell, outcomes, "--lang", language)
    assert 100_000 < len(page.encode()) < 300_000


def test_a_page_loads_nothing_and_runs_only_its_own_script(shell: Shell) -> None:
    reader = PageReader(page_of(shell, mixed(200)))
    for _, attributes in reader.elements:
        assert not attributes.keys() & {"src", "href", "srcset", "data", "action"}
        assert not any(name.startswith("on") for name in attributes)
    (policy,) = [each["content"] for _, each in reader.elements if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "sha256-" in policy
    assert not any("url(" in style or "@import" in style for style in reader.texts["style"])


def test_texts_from_outside_are_shown_as_text_and_never_as_markup(shell: Shell) -> None:
    page = page_of(shell, [*mixed(60, text=HOSTILE), outcome(Task(HOSTILE, HOSTILE, HOSTILE), Status.INVALID)])
    reader = PageReader(page)
    assert sum(tag == "script" for tag, _ in reader.elements) == 1
    assert not any(tag == "img" for tag, _ in reader.elements)
    assert not set("\x00\x1b\u202e\u2066") & set(page)
    assert "\\u202e" in page


def test_the_first_thousand_bad_rows_are_listed_and_a_command_lists_all(shell: Shell) -> None:
    bad = [outcome(Task("a", "r", str(n)), Status.FAILED, code="InvalidParameter") for n in range(1300)]
    reader = PageReader(page_of(shell, [*bad, outcome(Task("a", "r", "good"))]))
    assert sum(text == "failed" for text in reader.texts["span"]) == 1000
    (command,) = [text for text in reader.texts["code"] if text.endswith(" --list failed")]
    listed = shell.run(*command.split()[1:]).out
    assert [json.loads(line)["TaskId"] for line in listed.splitlines()] == [str(n) for n in range(1300)]


@pytest.mark.parametrize(
    "outcomes",
    [
        [],
        [outcome(Task("a", "r", "t"))],
        [outcome(Task("", "", ""), Status.INVALID, attempts=0)],
        [outcome(Task("a", "r", "t"), Status.GAVE_UP, attempts=2, seconds=0.0)],
        [outcome(Task("a", "r", "t"), Status.STILL_RUNNING, http_status=200)],
    ],
)
def test_an_almost_empty_report_has_a_page(shell: Shell, outcomes: list[Outcome]) -> None:
    assert page_of(shell, outcomes).endswith("</html>\n")


def test_a_page_is_in_the_language_of_the_option(shell: Shell) -> None:
    page = page_of(shell, mixed(50), "--lang", "zh")
    assert '<html lang="zh-CN">' in page
    assert "错误码" in page


def test_a_long_time_without_calls_is_folded_into_a_gap() -> None:
    timeline = Timeline()
    for second in (*range(30), 500_000, 500_001):
        timeline.add((int(NOON) + second) * 1000, 0, Status.STOPPED, attempts=1, calls=1)
    columns = columns_of(timeline)
    (gap,) = [column for column in columns if column.is_gap]
    assert sum(column.width for column in columns) < 60
    assert gap.seconds == pytest.approx(500_000 - 30, abs=2 * timeline.bin_seconds)


@pytest.mark.parametrize(
    ("status", "options", "cap"),
    [
        (Status.STOPPED, (), "150"),
        (Status.ENDED, (), "60"),
        (Status.STOPPED, ("--max-per-second", "33"), "33"),
    ],
)
def test_the_cap_in_the_chart_is_the_quota_of_the_api_or_that_of_the_option(
    shell: Shell, status: Status, options: tuple[str, ...], cap: str
) -> None:
    assert f">cap {cap}<" in page_of(shell, [outcome(Task("a", "r", "t"), status)], *options)


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 9, "0%"), (1, 10**7, "0.1%"), (1, 3, "33.3%"), (2, 3, "66.7%"), (9_999_999, 10**7, "99.9%"), (9, 9, "100%")],
)
def test_only_the_whole_is_100_percent(part: int, whole: int, shown: str) -> None:
    assert percent(part, whole) == shown


@pytest.mark.parametrize(
    ("zone", "in_text", "on_page"),
    [
        (
            "Asia/Shanghai",
            "in local time (UTC+08:00) from 2025-11-22 19:59:59",
            "(2025-11-22 19:59:59, UTC+08:00)",
        ),
        ("America/St_Johns", "in local time (UTC-03:30) from 2025-11-22 08:29:59", "(2025-11-22 08:29:59, UTC-03:30)"),
    ],
)
def test_local_time_stands_beside_utc(shell: Shell, zone: str, in_text: str, on_page: str) -> None:
    name = write_report(shell / "r.jsonl", mixed(50))
    shell.variables |= {"TZ": zone, "SOURCE_DATE_EPOCH": ""}
    ended = shell.run_process("summary", name, "--html", "page.html")
    assert in_text in ended.out
    assert on_page in (shell / "page.html").read_text()


@pytest.mark.parametrize("epoch", ["never", "-1", "1e9", "86400.5", "99999999999"])
def test_a_source_date_epoch_that_is_no_number_is_refused_by_name(shell: Shell, epoch: str) -> None:
    shell.variables["SOURCE_DATE_EPOCH"] = epoch
    ended = shell.run("summary", write_report(shell / "r.jsonl", mixed(5)), "--html", "page.html")
    assert (ended.status, (shell / "page.html").exists()) == (2, False)
    assert f"SOURCE_DATE_EPOCH is '{epoch}'" in ended.err


def test_where_local_time_is_utc_it_is_not_said_twice(shell: Shell) -> None:
    name = write_report(shell / "r.jsonl", mixed(50))
    shell.variables |= {"TZ": "UTC", "SOURCE_DATE_EPOCH": "86400"}
    ended = shell.run_process("summary", name, "--html", "page.html")
    page = (shell / "page.html").read_text()
    assert "local time" not in ended.out + page
    assert "1970-01-02 00:00:00 UTC" in page


def test_without_jinja_the_page_is_refused_with_what_to_install(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    ended = shell.run("summary", write_report(shell / "r.jsonl", mixed(5)), "--html", "page.html")
    assert (ended.status, ended.out) == (2, "")
    assert "pip install Jinja2" in ended.err


def test_the_page_names_the_account_and_the_endpoint_where_they_are_given(shell: Shell) -> None:
    assert "team-a" not in page_of(shell, mixed(5))
    page = page_of(shell, mixed(5), "--account", "team-a", "--endpoint", "https://rtc.volcengineapi.com")
    assert "<dt>account</dt><dd>team-a</dd>" in page
    assert "https://rtc.volcengineapi.com" in page


def test_more_calls_than_the_cap_are_explained_and_not_shown_as_a_broken_cap(shell: Shell) -> None:
    outcomes = [outcome(Task("a", "r", str(n))) for n in range(300)]
    explained = (
        "more than the cap of 150: several accounts, another cap (--max-per-second), or a clock that was set back"
    )
    assert explained in page_of(shell, outcomes)
    assert explained in shell.run("summary", write_report(shell / "many.jsonl", outcomes), "--lang", "en").out


def test_retries_have_a_chart_without_a_cap_and_without_a_scale(shell: Shell) -> None:
    outcomes = [outcome(Task("a", "r", str(n)), attempts=9, seconds=5.0) for n in range(150)]
    page = page_of(shell, outcomes)
    retries = page[page.index("Retries, at estimated times") : page.index("Outcomes over time")]
    assert 'class="cap"' not in retries
    assert 'class="limit"' not in retries
    assert 'class="y"' not in retries
    assert "1,200 of them retries" in page


def test_a_long_pause_is_labelled(shell: Shell) -> None:
    outcomes = [outcome(Task("a", "r", str(n)), finished_at=NOON + n + (900 if n > 20 else 0)) for n in range(40)]
    page = page_of(shell, outcomes)
    assert '<span class="pause" style="left:' in page
    assert "no calls for 14 min 59 s" in page


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        ([Status.STOPPED], "The task is stopped"),
        ([Status.FAILED], "The task is not stopped"),
        ([Status.STOPPED, Status.ALREADY_STOPPED, Status.DUPLICATE, Status.EXCLUDED], "All 2 tasks are stopped"),
        ([Status.STOPPED, Status.GAVE_UP, Status.INVALID, Status.INVALID], "1 of 2 tasks are stopped"),
        ([Status.ENDED, Status.STILL_RUNNING], "1 of 2 tasks have ended"),
        ([Status.INVALID], "No tasks"),
    ],
)
def test_the_headline_counts_tasks_and_not_rows(shell: Shell, statuses: list[Status], words: str) -> None:
    rows = [outcome(Task("a", "r", str(n)), status, http_status=200) for n, status in enumerate(statuses)]
    assert PageReader(page_of(shell, rows)).texts["h1"][0] == words


def test_no_english_sentence_is_on_a_chinese_page(shell: Shell) -> None:
    reader = PageReader(page_of(shell, mixed(300), "--lang", "zh", "--account", "team-a"))
    texts = [text for tag, texts in reader.texts.items() if tag not in {"style", "script"} for text in texts]
    texts += [
        str(attributes[name]) for _, attributes in reader.elements for name in ("aria-label",) if name in attributes
    ]
    # What is left are names, ids, commands and the messages of the API.
    english = [text for text in texts if re.search(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}", text)]
    assert not [text for text in english if "stopcast" not in text and "message" not in text]


# Where it is written


def test_only_an_earlier_page_is_overwritten(shell: Shell) -> None:
    name = write_report(shell / "r.jsonl", mixed(5))
    (shell / "notes.html").write_text("<!doctype html>\nmy own")
    for taken in ("notes.html", name):
        before = (shell / taken).read_bytes()
        ended = shell.run("summary", name, "--html", taken)
        assert (ended.status, ended.out) == (2, "")
        assert "name another one" in ended.err
        assert (shell / taken).read_bytes() == before
    assert [shell.run("summary", name, "--html", "page.html").status for _ in range(2)] == [1, 1]


def test_a_page_that_cannot_be_written_is_an_error_in_one_line(shell: Shell) -> None:
    name = write_report(shell / "r.jsonl", mixed(5))
    ended = shell.run("summary", name, "--html", "nowhere/page.html")
    assert ended.status == 2
    assert ended.without_traceback
    assert "nowhere/page.html" in ended.err


def test_a_page_does_not_show_the_folders_of_its_author(shell: Shell) -> None:
    write_report(shell / "r.jsonl", mixed(20))
    assert shell.run("summary", str(shell / "r.jsonl"), "--html", "page.html").status == 1
    assert str(shell.directory) not in (shell / "page.html").read_text()


def test_the_example_page_and_the_manual_show_what_the_example_script_makes_today(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "report_page.py", tmp_path / "page.html"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    written = (EXAMPLES / "report_page.html").read_bytes()
    assert len(written) < 300_000
    # But for the version, which is that of the installed package.
    pages = [
        re.sub(rb"stopcast [0-9.]+", b"stopcast", page) for page in (written, (tmp_path / "page.html").read_bytes())
    ]
    assert pages[0] == pages[1], "run examples/report_page.py, look at the page, commit it"
    printed = re.sub(r"/\S*/(?=report\.jsonl)", "", done.stdout)
    assert f"```\n{printed}```" in page("summary")
