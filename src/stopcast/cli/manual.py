"""The pages of the manual: Markdown, with a title and a summary of one line at the top."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from stopcast.i18n import Language, _, language
from stopcast.marking import N_

#: Stands above a page that is not translated.
ENGLISH_ONLY: Final = N_("(This page is in English only.)")


def pages() -> dict[str, str]:
    """Return the pages by topic, in English."""
    found = {page.name: page for page in (files("stopcast") / "manual").iterdir()}
    return {name.removesuffix(".md"): found[name].read_text("utf-8") for name in sorted(found) if name.endswith(".md")}


def localized(topic: str) -> str:
    """Return a page in the language of the command. Only the pages for the first hour are in Chinese."""
    manual = files("stopcast") / "manual"
    english = manual / f"{topic}.md"
    if language() is Language.EN:
        return english.read_text("utf-8")
    chinese = manual / "zh_CN" / f"{topic}.md"
    if chinese.is_file():
        return chinese.read_text("utf-8")
    return f"{_(ENGLISH_ONLY)}\n\n{english.read_text('utf-8')}"


def summary(page: str) -> str:
    """Return the summary at the top of an English page."""
    return page.split("\n\n", 2)[1].replace("\n", " ")
