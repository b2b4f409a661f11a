"""Many rows of a list: batches in, outcomes out, no faster than the outcomes are consumed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from stopcast.background import end_task
from stopcast.engine.contracts import RowSink
from stopcast.errors import ClosedError, ListError
from stopcast.tasks.intake import Intake
from stopcast.tasks.task import Batch


async def pump(batches: AsyncIterator[Batch], intake: Intake, sink: RowSink, *, canary: int = 0) -> None:
    """Take every row in, and return when each has its outcome.

    Where ``canary`` is not 0, the other rows wait until this many tasks have their outcome.

    Raises:
        StopcastError: what ended the calls early. The outcomes of all rows that were sent came before it.
        ListError: something that ``batches`` waited for was cancelled, though this was not.
        Exception: what ``batches`` raised, after the outcomes of all rows that it had yielded.
    """
    reading = asyncio.create_task(_submit_rows(batches, intake, sink, canary), name="stopcast reader of rows")
    ending = asyncio.create_task(sink.ended(), name="stopcast watch for an early end")
    try:
        # The next row may be long in coming, and an early end must not wait for it.
        first, _ = await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)
    finally:
        try:
            await end_task(reading, repeat=False)
        finally:
            await end_task(ending)
    await sink.settled()
    read_to_its_end = reading.done() and not reading.cancelled() and reading.exception() is None
    if sink.error is not None:
        if isinstance(sink.error, ClosedError) and read_to_its_end and not sink.without_outcome:
            return  # every row was sent before the calls ended
        raise sink.error
    if reading in first and reading.cancelled():
        # As it is, the error would look like the end of this task, and so of a stream that has all its outcomes.
        raise ListError("the source of the tasks was cancelled from within, so that more of them may be missing")
    if reading.done():
        reading.result()


async def _submit_rows(batches: AsyncIterator[Batch], intake: Intake, sink: RowSink, canary: int) -> None:
    async for batch in batches:
        taken = intake.take(batch, time.time())
        for outcome in taken.outcomes:
            sink.refuse(outcome)
        rows = taken.accepted
        if canary:
            alone, rows = rows[:canary], rows[canary:]
            sink.submit(alone)
            canary -= len(alone)
            if not canary:
                await sink.settled()
        sink.submit(rows)
        if intake.full:
            return
        await sink.wait_for_room()
