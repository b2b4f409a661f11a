"""The page of a summary, opened in a browser: nothing fails, and it can be read by everyone, anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stopcast.i18n import STATUS_WORDS
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Task
from support.axe import fetch_axe, violations
from support.browser import Tab, chromium, tab_of
from support.outcomes import HOSTILE, mixed, outcome, page_of
from support.processes import Shell

ROWS_SHOWN = "Array.from(document.querySelectorAll('#tasks tbody tr')).filter((row) => row.offsetHeight).length"


@pytest.fixture(scope="module")
def browser() -> Iterator[str]:
    """One Chromium for all tests; each opens a tab of its own."""
    with chromium() as address:
        yield address


async def choose(tab: Tab, scheme: str) -> None:
    """Let the reader have chosen light or dark."""
    await tab.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


async def on_a_phone(tab: Tab) -> None:
    await tab.command("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=True)


async def test_nothing_fails_or_is_fetched_and_the_table_can_be_searched(shell: Shell, browser: str) -> None:
    bad = [each for each in mixed(600) if not each.good]
    gave_up = [each for each in bad if each.status is Status.GAVE_UP and each.task.app_id == "app-1"]
    page_of(shell, mixed(600))
    async with tab_of(shell / "page.html", browser) as tab:
        everything = await tab.evaluate(ROWS_SHOWN)
        await tab.type_into("#find", "GAVE app-1")
        found = await tab.evaluate(ROWS_SHOWN)
        count = await tab.evaluate("document.getElementById('found').textContent")
        first = await tab.evaluate("document.querySelector('#tasks tbody tr:not([hidden])').textContent")
        await tab.type_into("#find", "nothing of this kind")
        nothing = await tab.evaluate(ROWS_SHOWN)
        assert (everything, found, nothing) == (len(bad), len(gave_up), 0)
        assert count == f"{len(gave_up)} / {len(bad)}"
        assert "gave up" in first
        assert "app-1" in first
        assert tab.complaints == []
        assert [event["request"]["url"] for event in tab.events("Network.requestWillBeSent")] == [
            (shell / "page.html").as_uri()
        ]


async def test_hostile_texts_are_shown_and_not_executed(shell: Shell, browser: str) -> None:
    page_of(shell, mixed(60, text=HOSTILE), "--account", HOSTILE[:40], "--endpoint", HOSTILE[:40])
    async with tab_of(shell / "page.html", browser) as tab:
        assert await tab.evaluate("document.title") != "owned"
        assert "</script><script>" in await tab.evaluate("document.querySelector('article').textContent")
        assert tab.complaints == []


async def test_the_page_fits_on_a_phone(shell: Shell, browser: str) -> None:
    page_of(shell, mixed(600, text="x" * 90))
    async with tab_of(shell / "page.html", browser) as tab:
        await on_a_phone(tab)
        assert await tab.evaluate("document.documentElement.scrollWidth") <= 400


#: Of the cells of the first row: the name that is shown for it, and whether its text stands to the right of the names.
CELLS = """Array.from(document.querySelector('#tasks tbody tr').cells, (cell) => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  const texts = Array.from(range.getClientRects());
  return [getComputedStyle(cell, '::before').content, Math.min(...texts.map((rect) => rect.left)) >= 100];
})"""


async def test_on_a_phone_each_value_stands_beside_the_name_of_its_column(shell: Shell, browser: str) -> None:
    page_of(shell, mixed(600))
    async with tab_of(shell / "page.html", browser) as tab:
        await on_a_phone(tab)
        names = ["status", "code", "AppId", "RoomId", "TaskId", "line", "RequestId"]
        assert await tab.evaluate(CELLS) == [[f'"{name}"', True] for name in names]


async def test_only_the_first_rows_are_printed(shell: Shell, browser: str) -> None:
    page_of(shell, [outcome(Task("a", "r", str(n)), Status.FAILED, code="LackPolicy") for n in range(900)])
    async with tab_of(shell / "page.html", browser) as tab:
        await tab.command("Emulation.setEmulatedMedia", media="print")
        assert await tab.evaluate(ROWS_SHOWN) == 40


#: The contrasts to the background, as WCAG 2 defines them, of texts and of the colours of marks.
CONTRASTS = """(() => {
  const channels = (colour) => colour.match(/[0-9.]+/g).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (colour) => { const [r, g, b] = channels(colour); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const contrast = (colour) => (Math.max(light(colour), paper) + 0.05) / (Math.min(light(colour), paper) + 0.05);
  const texts = ["body", ".soft", "figcaption", "dt", "th", ".of", "code", ".plot span", "summary"];
  const mark = document.body.appendChild(document.createElement("i"));
  const marks = MARKS.map((name) => {
    mark.className = name; mark.style.color = "var(--c)"; return contrast(getComputedStyle(mark).color);
  });
  return [texts.map((name) => contrast(getComputedStyle(document.querySelector(name)).color)), marks];
})()""".replace("MARKS", str([*map(str, STATUS_WORDS), "a", "b"]))


#: The number of different colours of statuses.
COLOURS = """new Set(Array.from(document.querySelectorAll(".legend li"),
  (item) => getComputedStyle(item, "::before").backgroundColor)).size"""


async def test_texts_and_marks_have_enough_contrast_in_light_and_dark(shell: Shell, browser: str) -> None:
    page_of(shell, mixed(600))
    async with tab_of(shell / "page.html", browser) as tab:
        papers = []
        for scheme in ("light", "dark"):
            await choose(tab, scheme)
            texts, marks = await tab.evaluate(CONTRASTS)
            assert min(texts) >= 4.5
            assert min(marks) >= 3
            assert await tab.evaluate(COLOURS) == len(STATUS_WORDS)
            papers.append(await tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert papers[0] != papers[1]


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fetch_axe(tmp_path_factory.mktemp("axe"))


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_checker_of_accessibility_finds_nothing_in_either_theme(
    shell: Shell, browser: str, axe: str, language: str
) -> None:
    page_of(shell, mixed(600), "--lang", language)
    async with tab_of(shell / "page.html", browser) as tab:
        for scheme in ("light", "dark"):
            await choose(tab, scheme)
            assert await violations(tab, axe) == []
        await on_a_phone(tab)
        assert await violations(tab, axe) == []


#: Every part of a bar that is drawn must have a text that says the same: of its own, or in the table of its chart.
WITHOUT_TEXT = """Array.from(document.querySelectorAll('.bar, .whole, figure')).filter((drawn) =>
  drawn.matches('figure') ? !drawn.querySelector('details table tbody tr')
  : drawn.matches('.whole') ? !drawn.ariaLabel : !drawn.closest('tr').textContent.match(/[0-9]/)).length"""


async def test_every_bar_has_a_text_that_says_the_same(shell: Shell, browser: str) -> None:
    page_of(shell, mixed(600))
    async with tab_of(shell / "page.html", browser) as tab:
        assert await tab.evaluate("document.querySelectorAll('.bar, .whole, figure').length") > 10
        assert await tab.evaluate(WITHOUT_TEXT) == 0
