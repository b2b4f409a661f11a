from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator

import pytest


@pytest.fixture
async def complaints() -> AsyncIterator[list[str]]:
    """What the event loop or the garbage collector complains of, and the tasks that were left behind."""
    told: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(str(context)))
    before = asyncio.all_tasks()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield told
        gc.collect()
        # A generator that the test itself left half-way is closed by the event loop, a few turns later.
        for _ in range(5):
            await asyncio.sleep(0)
    told += [str(warning.message) for warning in caught]
    assert told == []
    left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()]
    assert left == []
