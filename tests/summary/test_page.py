"""The page that `stopcast summary --html` writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stopcast.summary import Timeline
from stopcast.summary.page.columns import columns_of
from stopcast.summary.page.markup import percent
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task
from support.browser import chromium, tab_of
from support.documents import page
from support.outcomes import NOON, outcome, write_report
from support.processes import Shell

EXAMPLES = Path(__file__).parents[2] / "examples"
#: A list or an answer may contain this, and a page must show it as text.
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\x00\x1b\u202e\u2066"
)


class _Reader(HTMLParser):
    """Collects the elements and the texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._within = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._within, []).append(data)


def page_of(shell: Shell, outcomes: Iterable[Outcome], *options: str) -> str:
    name = write_report(shell / "r.jsonl", outcomes)
    ended = shell.run("summary", name, "--html", "page.html", *options)
    assert (ended.status in {0, 1}, ended.err) == (True, "")
    return (shell / "page.html").read_text("utf-8")


def mixed(number: int, *, text: str = "") -> list[Outcome]:
    """Return outcomes with every status, ten in each second."""
    all_statuses = list(Status)
    return [
        outcome(
            Task(f"app-{n % 5}", f"room-{n}", f"task-{n}"),
            all_statuses[n % len(all_statuses)],
            attempts=1 + n % 4,
            seconds=0.02 * (1 + n % 9),
            code=f"Code{n % 7}{text}",
            message=f"message {n} {text}",
            request_id=f"request-{n}{text}",
            source=f"list{text}.csv",
            line=n + 1,
            finished_at=NOON + n // 10,
        )
        for n in range(number)
    ]


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
    reader = _Reader(page_of(shell, mixed(200)))
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
    reader = _Reader(page)
    assert sum(tag == "script" for tag, _ in reader.elements) == 1
    assert not any(tag == "img" for tag, _ in reader.elements)
    assert not set("\x00\x1b\u202e\u2066") & set(page)
    assert "\\u202e" in page


def test_the_first_thousand_bad_rows_are_listed_and_a_command_lists_all(shell: Shell) -> None:
    bad = [outcome(Task("a", "r", str(n)), Status.FAILED, code="InvalidParameter") for n in range(1300)]
    reader = _Reader(page_of(shell, [*bad, outcome(Task("a", "r", "good"))]))
    assert sum(text == "failed" for text in reader.texts["span"]) == 1000
    (command,) = [text for text in reader.texts["code"] if text.startswith("grep")]
    listed = subprocess.run(command, shell=True, cwd=shell.directory, capture_output=True, check=True).stdout
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
        timeline.add((int(NOON) + second) * 1000, 0, Status.STOPPED, 1)
    columns = columns_of(timeline)
    (gap,) = [column for column in columns if column.bin is None]
    assert sum(column.columns for column in columns) < 60
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
    assert written == (tmp_path / "page.html").read_bytes(), "run examples/report_page.py, look at the page, commit it"
    printed = re.sub(r"/\S*/(?=report\.jsonl)", "", done.stdout)
    assert f"```\n{printed}```" in page("summary")


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[str]:
    """One Chromium for all tests; each opens a tab of its own."""
    with chromium() as address:
        yield address


async def test_in_a_browser_nothing_fails_or_is_fetched_and_the_table_can_be_searched(
    shell: Shell, browser: str
) -> None:
    page_of(shell, mixed(600))
    shown = "Array.from(document.querySelectorAll('#tasks tbody tr')).filter((row) => row.offsetHeight).length"
    async with tab_of(shell / "page.html", browser) as tab:
        everything = await tab.evaluate(shown)
        await tab.type_into("#find", "GAVE app-1")
        found = await tab.evaluate(shown)
        count = await tab.evaluate("document.getElementById('found').textContent")
        first = await tab.evaluate("document.querySelector('#tasks tbody tr:not([hidden])').textContent")
        await tab.type_into("#find", "nothing of this kind")
        nothing = await tab.evaluate(shown)
        assert (everything, found, nothing) == (350, 10, 0)
        assert count == "10 / 350"
        assert "gave up" in first
        assert "app-1" in first
        assert tab.complaints == []
        assert [event["request"]["url"] for event in tab.events("Network.requestWillBeSent")] == [
            (shell / "page.html").as_uri()
        ]


async def test_in_a_browser_hostile_texts_are_shown_and_not_executed(shell: Shell, browser: str) -> None:
    page_of(shell, mixed(60, text=HOSTILE))
    async with tab_of(shell / "page.html", browser) as tab:
        assert await tab.evaluate("document.title") != "owned"
        assert "</script><script>" in await tab.evaluate("document.querySelector('article').textContent")
        assert tab.complaints == []


async def test_in_a_browser_the_page_fits_on_a_phone(shell: Shell, browser: str) -> None:
    page_of(shell, mixed(600, text="x" * 90))
    async with tab_of(shell / "page.html", browser) as tab:
        await tab.command("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=True)
        assert await tab.evaluate("document.documentElement.scrollWidth") <= 400


#: The contrast of texts to the background, as WCAG 2 defines it.
CONTRASTS = """(() => {
  const channels = (colour) => colour.match(/[0-9.]+/g).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (colour) => { const [r, g, b] = channels(colour); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return ["body", ".soft", "figcaption", "dt", "th", ".of", "code", ".plot span"].map((name) => {
    const ink = light(getComputedStyle(document.querySelector(name)).color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  });
})()"""


async def test_in_a_browser_texts_have_enough_contrast_in_light_and_dark(shell: Shell, browser: str) -> None:
    page_of(shell, mixed(600))
    async with tab_of(shell / "page.html", browser) as tab:
        papers = []
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            await tab.command("Emulation.setEmulatedMedia", features=features)
            assert min(await tab.evaluate(CONTRASTS)) >= 4.5
            papers.append(await tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert papers[0] != papers[1]


async def test_in_a_browser_only_the_first_rows_are_printed(shell: Shell, browser: str) -> None:
    page_of(shell, [outcome(Task("a", "r", str(n)), Status.FAILED, code="LackPolicy") for n in range(900)])
    async with tab_of(shell / "page.html", browser) as tab:
        await tab.command("Emulation.setEmulatedMedia", media="print")
        rows = "Array.from(document.querySelectorAll('#tasks tbody tr')).filter((row) => row.offsetHeight).length"
        assert await tab.evaluate(rows) == 40
