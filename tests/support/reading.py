"""Reading a whole list, for the tests of what its rows come to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stopcast.errors import ListError
from stopcast.tasks.task import BrokenRow, RawRow
from support.lists import open_list

HEADER = "AppId,RoomId,TaskId\n"
#: What reading a list may take, however long its lines and values are: each of these lists holds 20 MB or more.
MOST_BYTES = 6_000_000


@dataclass
class Read:
    rows: list[RawRow] = field(default_factory=list)
    broken: list[BrokenRow] = field(default_factory=list)
    left_out: int = 0
    error: str | None = None

    @property
    def ids(self) -> list[tuple[object, object, object]]:
        return [(row.app_id, row.room_id, row.task_id) for row in self.rows]


async def read(path: Path | str, **options: Any) -> Read:
    found = Read()
    try:
        async with aclosing(open_list(path, **options)) as batches:
            async for batch in batches:
                assert batch.source == str(path)
                found.rows += batch.rows
                found.broken += batch.broken
                found.left_out += batch.left_out
    except ListError as error:
        found.error = str(error)
    return found


Written = Callable[..., Path]
