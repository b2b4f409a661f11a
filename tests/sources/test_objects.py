"""The objects that a program may have for a task."""

from __future__ import annotations

import sqlite3
import time
from collections import UserDict, UserList, namedtuple
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pydantic
import pytest

from stopcast import Stopper, Task
from stopcast.sandbox import SANDBOX_CREDENTIALS
from stopcast.sources.iterables import batches_of
from stopcast.sources.objects import row_of
from stopcast.tasks.task import Batch, BrokenRow, RawRow

FOUND = RawRow("a", "r", "t", 7)


@dataclass
class Recording:
    started: float
    task_id: str
    app_id: str
    room_id: str


class Model(pydantic.BaseModel):
    TaskId: str
    AppId: str
    RoomId: str


class Record:
    """What asyncpg's Record offers: keys, items by name and by place, and iteration over the values."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def keys(self) -> Iterator[str]:
        return iter(self._values)

    def __getitem__(self, key: str | int) -> str:
        return list(self._values.values())[key] if isinstance(key, int) else self._values[key]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values.values())


def database_row(query: str) -> sqlite3.Row:
    with sqlite3.connect(":memory:") as connection:
        connection.row_factory = sqlite3.Row
        row: sqlite3.Row = connection.execute(query).fetchone()
    connection.close()
    return row


Named = namedtuple("Named", "task_id, note, app_id, room_id")  # noqa: PYI024 - as old code has them


@pytest.mark.parametrize(
    "given",
    [
        Task("a", "r", "t"),
        ("a", "r", "t"),
        ["a", "r", "t"],
        UserList(["a", "r", "t"]),
        {"TaskId": "t", "AppId": "a", "RoomId": "r", "note": "x"},
        {"task_id": "t", "app-id": "a", "ROOM ID": "r", 5: 6},
        UserDict({"TaskId": "t", "AppId": "a", "RoomId": "r"}),
        database_row("select 't' as task_id, 'a' as AppId, 9 as n, 'r' as room_id"),
        database_row("select 't' as task, 'a' as app, 'r' as room"),
        database_row("select 'a' as x, 'r' as y, 't' as z"),
        Record(room_id="r", app_id="a", task_id="t", note="x"),
        Recording(1.0, "t", "a", "r"),
        Model(TaskId="t", AppId="a", RoomId="r"),
        Named("t", "note", "a", "r"),
        SimpleNamespace(app_id="a", room_id="r", task_id="t"),
        {"TaskId": "t", "task_id": "t", "AppId": "a", "RoomId": "r", "app": "the app's name"},
    ],
    ids=lambda given: type(given).__name__,
)
def test_an_object_is_read_by_its_names_or_else_by_place(given: Any) -> None:
    assert row_of(given, 7) == FOUND


def test_an_object_with_two_values_for_one_id_is_broken() -> None:
    reason = "AppId stands under several keys with different values: 'AppId', 'app_id'"
    task = {"AppId": "a", "app_id": "b", "RoomId": "r", "TaskId": "t"}
    assert row_of(task, 7) == BrokenRow(reason, 7)


@pytest.mark.parametrize(
    "given",
    [
        None,
        7,
        "abc",
        b"abc",
        {"a", "r", "t"},
        ("a", "r"),
        ("a", "r", "t", "x"),
        {},
        {"a": 1, "b": 2, "c": 3},
        database_row("select 'a' as a, 'r' as b, 't' as c, 'x' as d"),
        {"app_id": "b", "appid": "c", "RoomId": "r", "TaskId": "t"},
        Task,
        Recording,
    ],
    ids=lambda given: type(given).__name__,
)
def test_an_object_without_the_three_names_names_no_task(given: Any) -> None:
    assert isinstance(row_of(given, 7), BrokenRow)


def test_a_name_that_is_missing_leaves_its_value_out() -> None:
    assert row_of({"AppId": "a", "RoomId": "r"}, 7) == RawRow("a", "r", None, 7)


@pytest.mark.parametrize(
    "given",
    [
        Task("a", "r", "t"),
        ("a", "r", "t"),
        ["a", "r", "t"],
        {"AppId": "a", "RoomId": "r", "TaskId": "t"},
        Model(TaskId="t", AppId="a", RoomId="r"),
        Recording(1.0, "t", "a", "r"),
        "a,r,t",
        7,
        None,
    ],
    ids=lambda given: type(given).__name__,
)
async def test_a_single_task_or_no_iterable_where_many_are_expected_is_a_type_error(given: Any) -> None:
    async with Stopper(SANDBOX_CREDENTIALS, endpoint="http://127.0.0.1") as stopper:
        with pytest.raises(TypeError, match="iterable"):
            stopper.stop_all(given)


async def collected(given: Any) -> list[Batch]:
    return [batch async for batch in batches_of(given)]


async def test_what_was_read_before_an_error_of_a_sync_iterable_comes_before_it() -> None:
    def broken() -> Iterator[Task]:
        yield from [Task("a", "r", str(number)) for number in range(70)]
        raise LookupError("gone")

    read: list[Batch] = []

    async def read_all() -> None:
        async for batch in batches_of(broken()):
            read.append(batch)  # noqa: PERF401 - those before the error count

    with pytest.raises(LookupError, match="gone"):
        await read_all()
    assert sum(len(batch.rows) for batch in read) == 70


async def test_slow_items_of_a_sync_iterable_are_passed_on_one_by_one_so_that_the_loop_has_its_turns() -> None:
    def slow() -> Iterator[Task]:
        for number in range(4):
            time.sleep(0.006)
            yield Task("a", "r", str(number))

    assert [len(batch.rows) for batch in await collected(slow())] == [1, 1, 1, 1]


async def test_quick_items_of_a_sync_iterable_are_read_in_batches() -> None:
    batches = await collected(iter([Task("a", "r", "t")] * 130))
    assert sum(len(batch.rows) for batch in batches) == 130
    assert max(len(batch.rows) for batch in batches) == 64


async def test_an_async_iterable_s_tasks_keep_their_places() -> None:
    async def given() -> AsyncIterator[Task]:
        for name in "xy":
            yield Task("a", "r", name)

    assert [(row.task_id, row.line) for batch in await collected(given()) for row in batch.rows] == [
        ("x", 1),
        ("y", 2),
    ]


def test_an_object_whose_values_raise_when_they_are_read_is_a_row_that_names_no_task() -> None:
    class Detached:
        room_id = task_id = "x"

        @property
        def app_id(self) -> str:
            raise LookupError("the session is closed")

    row = row_of(Detached(), 7)
    assert isinstance(row, BrokenRow)
    assert "LookupError" in row.reason
