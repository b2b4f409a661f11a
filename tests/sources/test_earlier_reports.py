"""An earlier report as a list: which of its rows are sent again, from which place, and with which doubt."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest

from stopcast.sandbox import Emulator
from stopcast.sources import ReportFilter
from stopcast.tasks.outcome import Status
from support.lists import only, open_list
from support.processes import Shell, read_report

At = tuple[str, ...]


def line(task: str, status: str, number: int = 1, *, doubt: bool = False, source: str | None = "first.csv") -> bytes:
    values: dict[str, Any] = {
        "AppId": "a", "RoomId": "r", "TaskId": task, "status": status, "attempts": 1, "code": None, "message": "m",
        "source": source, "line": number, "finished_at": "2026-11-22T20:00:00.123Z",
    }  # fmt: skip
    return orjson.dumps(values | ({"in_doubt": True} if doubt else {}), option=orjson.OPT_APPEND_NEWLINE)


async def rows_of(path: Path, report_filter: ReportFilter | None = None) -> list[tuple[object, ...]]:
    """Return each row's TaskId, its list and line, and whether it is in doubt."""
    found: list[tuple[object, ...]] = []
    async for batch in open_list(path, report_filter=report_filter):
        doubts: Iterable[bool] = batch.in_doubt or [False] * len(batch.rows)
        found += [(row.task_id, batch.source, row.line, doubt) for row, doubt in zip(batch.rows, doubts, strict=True)]
    return found


def test_rows_that_name_no_task_are_left_out_and_counted(shell: Shell, api: Emulator, at: At) -> None:
    (shell / "report.jsonl").write_bytes(
        line("t1", "invalid") + line("t2", "duplicate") + line("t3", "stopped") + line("t4", "gave_up", 17)
    )
    ended = shell.run("run", "report.jsonl", "-o", "again.jsonl", *at, "--json")
    assert (ended.status, ended.summary["left_out"], ended.summary["not_chosen"]) == (0, 3, 0)
    assert [task.task_id for task in api.stopped] == ["t4"]
    (again,) = read_report(shell / "again.jsonl")
    assert (again["source"], again["line"]) == ("first.csv", 17)


def test_rows_that_only_leaves_out_are_said_to_be_so(shell: Shell) -> None:
    (shell / "report.jsonl").write_bytes(line("t1", "failed") + line("t2", "gave_up") + line("t3", "invalid"))
    plan = shell.run("run", "report.jsonl", "--dry-run", "--only", "failed").out
    assert "1 row left out: it has another status than --only names" in plan
    assert "1 row left out: an earlier report says that it needs nothing, or names no task of its own" in plan
    assert "an earlier report" in plan.splitlines()[0]


async def test_the_place_of_the_first_list_is_kept_where_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    path.write_bytes(
        line("t1", "failed", 9, source="b.csv") + line("t2", "failed", 3) + line("t3", "failed", source=None)
    )
    assert await rows_of(path) == [
        ("t1", "b.csv", 9, False), ("t2", "first.csv", 3, False), ("t3", str(path), 3, False)
    ]  # fmt: skip


UNTIDIED = [
    ([("gave_up", False), ("stopped", False)], None),
    ([("gave_up", False), ("gave_up", True)], True),
    ([("gave_up", True), ("set_aside", False)], True),
    ([("set_aside", False), ("gave_up", False), ("gave_up", False)], False),
    ([("stopped", False), ("gave_up", False)], False),
    ([("gave_up", True), ("presumed_stopped", False)], None),
]


@pytest.mark.parametrize(("lines", "doubt"), UNTIDIED)
@pytest.mark.parametrize("kind", ["file", "gzip", "fifo"])
async def test_of_a_killed_runs_report_the_last_line_about_a_task_decides_and_its_doubt_is_kept(
    tmp_path: Path, lines: list[tuple[str, bool]], kind: str, *, doubt: bool | None
) -> None:
    others = [line(f"other{number}", "stopped") for number in range(600)]
    content = b"".join(
        line("t", status, number, doubt=doubted) + b"".join(others) for number, (status, doubted) in enumerate(lines)
    )
    path = tmp_path / "report.jsonl"
    writer = None
    if kind == "fifo":
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_bytes, args=[content])
        writer.start()
    else:
        path.write_bytes(gzip.compress(content) if kind == "gzip" else content)
    assert await rows_of(path) == ([] if doubt is None else [("t", "first.csv", len(lines) - 1, doubt)])
    if writer is not None:
        writer.join()


async def test_only_settled_lines_can_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    path.write_bytes(line("t1", "stopped", 1) + line("t2", "gave_up", 2) + line("t2", "stopped", 2))
    taken = await rows_of(path, only(Status.STOPPED))
    assert [row[0] for row in taken] == ["t1", "t2"]
