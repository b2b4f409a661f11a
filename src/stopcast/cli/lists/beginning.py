"""The beginning of the lists: what cannot be read is refused before a run says that it has begun."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

from stopcast.background import end_task
from stopcast.tasks.task import Batch

#: The first row of a pipe may come much later, and so may that of a disk that does not answer.
_WAIT_SECONDS: Final = 1.0


@asynccontextmanager
async def begun(batches: AsyncGenerator[Batch, None]) -> AsyncIterator[AsyncGenerator[Batch, None]]:
    """Begin to read, and return the batches after the first one has been read, or after a second without it.

    Raises:
        ListError: the lists cannot be understood.
    """
    async with aclosing(batches):
        first = asyncio.create_task(_next(batches), name="stopcast reader of the first rows")
        try:
            await asyncio.wait((first,), timeout=_WAIT_SECONDS)
            if first.done():
                first.result()
            async with aclosing(_all(first, batches)) as rows:
                yield rows
        finally:
            await end_task(first)


async def _next(batches: AsyncGenerator[Batch, None]) -> Batch | None:
    return await anext(batches, None)


async def _all(first: asyncio.Task[Batch | None], batches: AsyncGenerator[Batch, None]) -> AsyncGenerator[Batch, None]:
    batch = await first
    if batch is None:
        return
    yield batch
    async for following in batches:
        yield following
