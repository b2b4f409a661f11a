"""The examples run, print what they are about, and are short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.documents import assert_tests_pass

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
LAST_LINES = {
    "stop_some.py": {"record-4 already_stopped"},
    "fleet_of_workers.py": {"in the queue: 0", "in the reports: 600 tasks, 0 of them not good"},
    "from_a_database.py": {"[('stopped', 30)]"},
    "sqlalchemy_rows.py": {"[('stopped', 250)]"},
}


@pytest.mark.parametrize("example", [path for path in EXAMPLES if path.name in LAST_LINES], ids=lambda path: path.name)
def test_an_example_runs_and_prints_what_it_is_about(example: Path, tmp_path: Path) -> None:
    if example.name == "sqlalchemy_rows.py":
        pytest.importorskip("aiosqlite", reason="SQLAlchemy is not tested here: install the extra examples")
    command = [sys.executable, "-W", "error", str(example)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.strip() for line in done.stdout.splitlines()} >= LAST_LINES[example.name]


def test_the_example_of_a_test_passes_as_a_user_would_run_it(tmp_path: Path) -> None:
    example = next(path for path in EXAMPLES if path.name == "in_your_tests.py")
    (tmp_path / "test_lesson.py").symlink_to(example)
    assert_tests_pass(tmp_path, 2)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_fits_on_a_page(example: Path) -> None:
    assert len(example.read_text().splitlines()) <= 90
