"""Tasks that a program already has, in an iterable or an async iterable."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from itertools import count, islice
from typing import Final

from stopcast.tasks.task import Batch, BrokenRow, RawRow, Task

AnyTask = Task | tuple[str, str, str]
_BATCH: Final = 64


async def batches_of(tasks: Iterable[AnyTask] | AsyncIterable[AnyTask | Batch]) -> AsyncGenerator[Batch, None]:
    """Yield the tasks as rows; a row's line is its place, counted from 1.

    What an async iterable yields is passed on at once, each as a batch of its own: the next one may be long in coming.
    A source yields batches already.
    """
    places = count(1)
    if isinstance(tasks, AsyncIterable):
        async for task in tasks:
            yield task if isinstance(task, Batch) else _batch([task], places)
        return
    iterator = iter(tasks)
    while chunk := list(islice(iterator, _BATCH)):
        yield _batch(chunk, places)


def one_batch(task: object) -> Batch:
    """Return a single task as a row, whose line is 1."""
    return _batch([task], (1,))


def _batch(tasks: Iterable[object], places: Iterable[int]) -> Batch:
    rows: list[RawRow] = []
    broken: list[BrokenRow] = []
    for task, place in zip(tasks, places, strict=False):
        match task:
            case (app_id, room_id, task_id):
                rows.append(RawRow(app_id, room_id, task_id, place))
            case _:
                broken.append(BrokenRow("neither a Task nor three strings", place))
    return Batch(None, rows, broken)
