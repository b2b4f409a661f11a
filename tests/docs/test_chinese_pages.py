"""The Chinese pages of the manual say what the English ones say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.documents import CHINESE, DOCUMENTS, MANUAL, page, rows, words

HAN = r"[\u4e00-\u9fff]"
EACH_PAGE = pytest.mark.parametrize("path", CHINESE, ids=lambda path: path.stem)
#: What an English page has too: headings, rows of tables, items of lists and steps.
PARTS = re.compile(r"^(#+ |\|(?!-)|- |[0-9]\. |\*\*[0-9]\. |```|    )", re.MULTILINE)
#: Blocks of a fenced or an indented form.
BLOCKS = re.compile(r"^```console\n((?:(?!```).*\n)*)```|^((?:    .*\n)+)", re.MULTILINE)


def commands(text: str) -> list[str]:
    """Return the lines of the blocks without comments and without what the commands print."""
    lines: list[str] = []
    for console, indented in BLOCKS.findall(text):
        shown = console.splitlines() if console else indented.splitlines()
        lines += [line.partition("  #")[0].rstrip() for line in shown if not console or line.startswith("$ ")]
    return lines


def prose(text: str) -> str:
    """Return the text without its blocks, each paragraph on one line."""
    return re.sub(r"\n(?=[^\n|#-])", " ", re.sub(r"^```.*?^```|^    [^\n]*$", "", text, flags=re.DOTALL | re.MULTILINE))


def test_the_pages_for_the_first_hour_are_in_chinese() -> None:
    assert {"quickstart", "statuses", "credentials"} <= {path.stem for path in CHINESE}


@EACH_PAGE
def test_a_chinese_page_has_the_commands_and_the_sections_of_the_english_page(path: Path) -> None:
    english = DOCUMENTS[MANUAL / path.name]
    assert commands(CHINESE[path]) == commands(english)
    assert PARTS.findall(CHINESE[path]) == PARTS.findall(english)
    assert len(rows(CHINESE[path])) == len(rows(english))


@EACH_PAGE
def test_a_chinese_page_names_the_same_options_variables_files_and_statuses(path: Path) -> None:
    assert words(prose(CHINESE[path])) == words(prose(page(path.stem)))


@EACH_PAGE
def test_a_chinese_page_has_chinese_punctuation_and_a_space_beside_latin_words(path: Path) -> None:
    text = re.sub(r"\]\([^)]*\)", "]", prose(CHINESE[path]))
    assert re.findall(f"{HAN}[,;:?!()]|[,;:?!()]{HAN}", text) == []
    assert re.findall(f"{HAN}[A-Za-z0-9]|[A-Za-z0-9]{HAN}", text.replace("`", "")) == []
