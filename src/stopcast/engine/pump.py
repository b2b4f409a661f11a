"""Many tasks from a list: rows in, jobs and outcomes out, no faster than the outcomes are taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from stopcast.engine.feed import Feed, Job
from stopcast.engine.routing import AnyDispatcher
from stopcast.errors import ListError, StopcastError
from stopcast.tasks.intake import Intake
from stopcast.tasks.task import Batch


async def pump(
    batches: AsyncIterator[Batch], intake: Intake, dispatcher: AnyDispatcher, feed: Feed, *, canary: int = 0
) -> None:
    """Take every row in and return when each has its outcome.

    Where ``canary`` is not 0, nothing else is sent before so many tasks have their outcome.

    Raises:
        ListError: the list cannot be read any further; the rows before that have their outcomes.
        StopcastError: what ended the calls early; those that were in flight have had their say.
    """
    cut_short: ListError | None = None
    try:
        taking = asyncio.create_task(_take_in(batches, intake, dispatcher, feed, canary))
        # The next row may be long in coming, and an error must not wait for it.
        feed.when_failed(taking.cancel)
        try:
            await taking
        except ListError as error:
            cut_short = error
        except asyncio.CancelledError:
            ours = asyncio.current_task()
            if feed.error is None or (ours is not None and ours.cancelling()):
                raise
        await feed.settled()
    except StopcastError:
        await dispatcher.idle()
        raise
    if cut_short is not None:
        raise cut_short


async def _take_in(
    batches: AsyncIterator[Batch], intake: Intake, dispatcher: AnyDispatcher, feed: Feed, canary: int
) -> None:
    async for batch in batches:
        taken = intake.take(batch, time.time())
        for outcome in taken.outcomes:
            feed.tell(outcome)
        jobs = [Job(row.task, row.identity, feed, row.source, row.line, row.in_doubt) for row in taken.accepted]
        if canary:
            alone, jobs = jobs[:canary], jobs[canary:]
            dispatcher.submit(feed, alone)
            canary -= len(alone)
            if not canary:
                await feed.settled()
        dispatcher.submit(feed, jobs)
        if intake.full:
            return
        await feed.room()
