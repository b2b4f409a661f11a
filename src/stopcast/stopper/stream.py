"""Tasks in, outcomes out: a stream through a dispatcher, as the library's callers see it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing

from stopcast.engine.pump import pump
from stopcast.engine.routing import AnyDispatcher
from stopcast.ports import Flights
from stopcast.sources.memory import AnyTask, batches_of
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Batch

AnyTasks = Iterable[AnyTask] | AsyncIterable[AnyTask | Batch]


async def outcomes_of(tasks: AnyTasks, dispatcher: AnyDispatcher, *, priority: int) -> AsyncGenerator[Outcome, None]:
    """Yield the outcomes as they come, and take the tasks no faster than these are taken.

    Of several streams through one dispatcher, the one with the highest ``priority`` goes first.
    """
    outcomes: deque[Outcome] = deque()
    arrived = asyncio.Event()

    def deliver(outcome: Outcome) -> None:
        outcomes.append(outcome)
        arrived.set()

    # A queue wants to know which of its tasks a call may have reached.
    flights = tasks if isinstance(tasks, AsyncIterable) and isinstance(tasks, Flights) else None
    feed = dispatcher.open_feed(deliver, priority=priority, flights=flights)

    async def take_all() -> None:
        # The batches are closed where they are taken, however often this stream is cancelled.
        async with aclosing(batches_of(tasks)) as batches:
            await pump(batches, Intake(), dispatcher, feed)

    def all_taken(pumping: asyncio.Task[None]) -> None:
        arrived.set()
        if not pumping.cancelled():
            # Nobody asks for its error where the stream is left early, and asyncio would complain.
            pumping.exception()

    pumping = asyncio.create_task(take_all())
    pumping.add_done_callback(all_taken)
    try:
        while outcomes or not pumping.done():
            await arrived.wait()
            arrived.clear()
            while outcomes:
                feed.consumed()
                yield outcomes.popleft()
        pumping.result()
    finally:
        pumping.cancel()
        dispatcher.close_feed(feed)
        await asyncio.wait([pumping])
