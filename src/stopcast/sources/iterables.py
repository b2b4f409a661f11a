"""Tasks that a program already has, in an iterable or an async iterable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Mapping
from itertools import count
from typing import Final

from stopcast.sources.objects import AnyTask, row_of
from stopcast.tasks.task import Batch, BrokenRow, RawRow

AnyTasks = Iterable[AnyTask] | AsyncIterable[AnyTask | Batch]
_BATCH: Final = 64
#: Items of a sync iterable are read for no longer than this before the event loop has its turn.
_TURN_SECONDS: Final = 0.005
#: The longest turn of the event loop between two slow items.
_LONGEST_PAUSE_SECONDS: Final = 0.05


def check_tasks(tasks: object) -> None:
    """Refuse what is no iterable of tasks, before anything is read from it.

    Raises:
        TypeError: it is a single task, or not an iterable at all.
    """
    row = row_of(tasks, 1)
    single = isinstance(row, RawRow) and all(isinstance(value, str) for value in row[:3])
    if single or isinstance(tasks, str | bytes | bytearray | Mapping):
        raise TypeError(f"expected an iterable of tasks, not a single {type(tasks).__name__}; write [task]")
    if not isinstance(tasks, Iterable | AsyncIterable):
        raise TypeError(f"expected an iterable or async iterable of tasks, not {type(tasks).__name__}")


async def batches_of(tasks: AnyTasks) -> AsyncGenerator[Batch, None]:
    """Yield the tasks as rows; a row's line is its place, counted from 1.

    What an async iterable yields is passed on at once, each as a batch of its own: the next one may be long in coming.
    A source yields batches already. An async generator is closed at the end. A sync iterable is read in turns with the
    event loop: where its items are slow, the loop gets as much time as they took.
    """
    places = count(1)
    if isinstance(tasks, AsyncIterable):
        try:
            async for task in tasks:
                yield task if isinstance(task, Batch) else _batch([task], places)
        finally:
            # Where it is only dropped, a task of the event loop closes it, at any time after the stream's end.
            if isinstance(tasks, AsyncGenerator):
                await tasks.aclose()
        return
    left, ended_by = iter(tasks), None
    while ended_by is None:
        began = time.perf_counter()
        chunk, ended_by = _read(left, until=began + _TURN_SECONDS)
        seconds = time.perf_counter() - began
        if chunk:
            yield _batch(chunk, places)
        if seconds > _TURN_SECONDS and ended_by is None:
            await asyncio.sleep(min(seconds, _LONGEST_PAUSE_SECONDS))
    if not isinstance(ended_by, StopIteration):
        raise ended_by


def _read(tasks: Iterator[AnyTask], *, until: float) -> tuple[list[AnyTask], BaseException | None]:
    """Return the next tasks, and what ended them, if anything did: those that were read before an error come first."""
    chunk: list[AnyTask] = []
    try:
        while len(chunk) < _BATCH and time.perf_counter() <= until:
            chunk.append(next(tasks))
    except (Exception, asyncio.CancelledError, BaseExceptionGroup) as error:  # noqa: BLE001 - batches_of raises it
        return chunk, error
    return chunk, None


def _batch(tasks: Iterable[object], places: Iterable[int]) -> Batch:
    rows: list[RawRow] = []
    broken: list[BrokenRow] = []
    for task, place in zip(tasks, places, strict=False):
        row = row_of(task, place)
        if isinstance(row, RawRow):
            rows.append(row)
        else:
            broken.append(row)
    return Batch(None, rows, broken)
