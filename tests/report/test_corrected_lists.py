"""A list whose invalid rows were corrected, and whose run is resumed."""

from __future__ import annotations

import pytest

from stopcast.sandbox import Emulator
from support.processes import Shell, read_report, statuses

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"
HEADER = "AppId,RoomId,TaskId\n"


def resumed(shell: Shell, at: At, before: str, after: str, *options: str) -> int:
    """Run one content of a list, resume with another, and return the status."""
    (shell / "list.csv").write_text(before)
    assert shell.run("run", "list.csv", *at).status == 1
    (shell / "list.csv").write_text(after)
    return shell.run("run", "list.csv", *at, "--resume", *options).status


@pytest.mark.parametrize(
    "after",
    ["a,r,1\na,r,2\nb,r,3\n", "a,r,1\na,r,2\na,r,1\n"],
    ids=["two tasks", "a task and a duplicate"],
)
def test_the_line_of_a_row_that_was_corrected_goes_and_the_status_is_good(shell: Shell, at: At, after: str) -> None:
    assert resumed(shell, at, "a,r,1\na,,2\nb,r,no id\n", after) == 0
    assert sorted(line["line"] for line in read_report(shell / REPORT)) == [1, 2, 3]
    assert "invalid" not in statuses(shell / REPORT)
    assert shell.run("run", "list.csv", *at, "--resume").status == 0


def test_a_row_that_is_still_invalid_keeps_its_line(shell: Shell, at: At) -> None:
    assert resumed(shell, at, "a,r,1\na,,2\nb,r,no id\n", "a,r,1\na,r,2\nb,r,no id\n") == 1
    assert statuses(shell / REPORT) == {"stopped": 2, "invalid": 1}


def test_an_invalid_row_that_was_only_moved_keeps_its_line(shell: Shell, api: Emulator, at: At) -> None:
    assert resumed(shell, at, HEADER + "a,,2\na,r,1\na,,2\n", HEADER + "a,r,1\na,,2\na,,2\n") == 1
    assert statuses(shell / REPORT) == {"stopped": 1, "invalid": 2}
    assert api.calls == 1


def test_a_place_in_another_list_corrects_nothing(shell: Shell, at: At) -> None:
    (shell / "list.csv").write_text("a,r,1\na,,2\n")
    assert shell.run("run", "list.csv", *at).status == 1
    (shell / "other.csv").write_text("a,r,1\na,r,2\n")
    assert shell.run("run", "other.csv", *at, "--resume").status == 1
    assert statuses(shell / REPORT) == {"stopped": 2, "invalid": 1}


def test_a_list_that_was_not_read_to_its_end_corrects_nothing_yet(shell: Shell, at: At) -> None:
    assert resumed(shell, at, f"{HEADER}a,,2\na,r,1\n", f"{HEADER}a,r,2\na,r,1\na,,2\n", "--limit", "2") == 1
    assert statuses(shell / REPORT) == {"stopped": 2, "invalid": 1}
