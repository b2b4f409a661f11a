from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator

import pytest


@pytest.fixture
async def complaints() -> AsyncIterator[list[str]]:
    """Errors that the event loop logs, and warnings; fails on these and on tasks that are left behind."""
    found: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(str(context)))
    before = asyncio.all_tasks()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
        gc.collect()
        # A generator that the test itself left half-way is closed by the event loop, a few turns later.
        for _ in range(5):
            await asyncio.sleep(0)
    found += [str(warning.message) for warning in caught]
    assert found == []
    left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()]
    assert left == []
