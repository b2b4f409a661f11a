"""Lists that another program writes while they are read: no row is half of one version and half of another."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from stopcast.errors import ListError
from stopcast.tasks.task import RowColumns
from support.lists import open_list

#: More than is read ahead, in few rows.
ROWS = 10_000
HEADER = "AppId,RoomId,TaskId,Note\n"
NOTE = "n" * 250
LISTED = HEADER + "".join(f"app,room-{number:06},task-{number:06},{NOTE}\n" for number in range(ROWS))


async def read(path: Path, change: Callable[[], object]) -> tuple[list[str], str]:
    """Return the TaskIds of a list that is changed after its first rows were read, and the error."""
    found: list[str] = []
    try:
        async with aclosing(open_list(path)) as batches:
            async for batch in batches:
                if not found:
                    change()
                found += [str(row.task_id) for row in RowColumns.of(batch.rows)]
    except ListError as error:
        return found, str(error)
    return found, ""


@pytest.mark.parametrize("end", ["", "app,room-1,task-x,\n"])
async def test_what_is_appended_is_read(tmp_path: Path, end: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(LISTED)
    with path.open("ab", buffering=0) as file:
        found, error = await read(path, lambda: file.write(end.encode()))
    assert (len(found), error) == (ROWS + len(end.splitlines()), "")


async def test_a_row_that_is_not_written_to_its_end_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(LISTED)
    with path.open("ab", buffering=0) as file:
        found, error = await read(path, lambda: file.write(b"app,room-1,task-12"))
    assert len(found) == ROWS
    assert "it is being written, and its last line has no end yet" in error


@pytest.mark.parametrize("other", [LISTED.replace("task", "x"), LISTED.replace("app", "application"), HEADER, ""])
async def test_a_list_that_is_written_anew_is_given_up_without_a_row_of_two_versions(
    tmp_path: Path, other: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(LISTED)
    found, error = await read(path, lambda: path.write_text(other))
    assert "it was written anew while it was read" in error
    assert 0 < len(found) < ROWS
    assert set(found) <= {f"task-{number:06}" for number in range(ROWS)}


async def test_a_list_in_whose_place_another_is_put_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(LISTED)
    (tmp_path / "new").write_text(HEADER)
    found, error = await read(path, lambda: (tmp_path / "new").replace(path))
    assert (len(found), error) == (ROWS, "")
