"""The README and the manual, for the tests that run their blocks and compare their tables with the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MANUAL: Final = ROOT / "src/stopcast/manual"
README: Final = (ROOT / "README.md").read_text("utf-8")
#: By path: the README, and each page of the manual.
DOCUMENTS: Final = {path: path.read_text("utf-8") for path in (ROOT / "README.md", *sorted(MANUAL.glob("*.md")))}
#: By path: the pages of the manual that are in Chinese too.
CHINESE: Final = {path: path.read_text("utf-8") for path in sorted((MANUAL / "zh_CN").glob("*.md"))}


_DEFAULTS: Final = (
    "asyncio_mode = auto",
    "asyncio_default_fixture_loop_scope = function",
    "filterwarnings = error",
    "addopts = -p no:xdist",
)


def page(topic: str) -> str:
    """Return a page of the manual."""
    return (MANUAL / f"{topic}.md").read_text("utf-8")


def blocks(document: str, language: str = "") -> list[str]:
    """Return a document's fenced blocks in a language, in their order."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", document, re.DOTALL | re.MULTILINE)
    return [block for name, block in fenced if name == language]


def rows(document: str) -> list[list[str]]:
    """Return the cells of all rows of a document's tables, without the headers' names and rules."""
    tables = re.findall(r"(?:^\|.*\|\n)+", document, re.MULTILINE)
    lines = [line for table in tables for line in table.splitlines()[2:]]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def words(text: str) -> set[str]:
    """Return the words that stand in code quotes."""
    return set(re.findall(r"`([^`\n]+)`", text))


def masked(text: str) -> str:
    """Return the text without its figures, which differ from run to run, and without a rate: quick runs have none."""
    text = re.sub(r"(, [0-9.]+ a second|\uff0c每秒 [0-9.]+ 次)(?=[,\uff0c])", "", text)
    return re.sub(r"( ?不到 |under |(?<=[\u4e00-\u9fff]) )?[0-9][0-9.,]*", "N", text).strip()


def assert_tests_pass(directory: Path, number: int, *settings: str, plugins: Iterable[str] = ()) -> None:
    """Run the tests in a directory as a user of the library would, and fail unless this number passes.

    ``settings`` are lines of its pytest.ini; by default pytest-asyncio is in auto mode, with a loop for each test. No
    plugin is loaded but pytest-asyncio and ``plugins``: those of this environment take a second to import.
    """
    lines = dict(line.split(" = ", 1) for line in (*_DEFAULTS, *settings))
    (directory / "pytest.ini").write_text("[pytest]\n" + "".join(f"{name} = {it}\n" for name, it in lines.items()))
    loaded = [word for plugin in ("pytest_asyncio.plugin", *plugins) for word in ("-p", plugin)]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *loaded]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, f"{number} passed" in done.stdout) == (0, True), done.stdout
