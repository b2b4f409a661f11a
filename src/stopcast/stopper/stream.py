"""Tasks in, outcomes out: a stream of tasks, or a single one, through a dispatcher."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing

from stopcast.background import END_WITHIN_SECONDS, end_task
from stopcast.engine.contracts import AnyDispatcher
from stopcast.engine.pump import pump
from stopcast.errors import ClosedError
from stopcast.ports import Flights, Ownership
from stopcast.sources.memory import AnyTask, batches_of, one_batch
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Batch

AnyTasks = Iterable[AnyTask] | AsyncIterable[AnyTask | Batch]


async def outcome_of(task: AnyTask, dispatcher: AnyDispatcher, *, priority: int) -> Outcome:
    """Return the outcome of one task. A caller that is cancelled takes the call back, if it was not sent yet.

    Raises:
        StopcastError: the task was not sent, because the calls have ended.
    """
    outcomes: list[Outcome] = []
    sink = dispatcher.open_feed(outcomes.append, priority=priority)
    try:
        taken = Intake().take(one_batch(task), time.time())
        if taken.outcomes:
            sink.refuse(taken.outcomes[0])
        sink.submit(taken.accepted)
        await sink.settled()
    finally:
        sink.close()
    if outcomes:
        return outcomes[0]
    raise sink.error or ClosedError("the calls have ended")


async def outcomes_of(tasks: AnyTasks, dispatcher: AnyDispatcher, *, priority: int) -> AsyncGenerator[Outcome, None]:
    """Yield the outcomes as they come, and take the tasks no faster than the outcomes are consumed.

    Of several streams through one dispatcher, the one with the highest ``priority`` goes first.
    """
    outcomes: deque[Outcome] = deque()
    arrived = asyncio.Event()

    def deliver(outcome: Outcome) -> None:
        outcomes.append(outcome)
        arrived.set()

    # A queue keeps in mind which of its tasks a call may have reached, and knows which of them are still its own.
    source = tasks if isinstance(tasks, AsyncIterable) else None
    sink = dispatcher.open_feed(
        deliver,
        priority=priority,
        flights=source if isinstance(source, Flights) else None,
        ownership=source if isinstance(source, Ownership) else None,
    )

    async def take_all() -> None:
        # The batches are closed where they are taken, however often this stream is cancelled.
        async with aclosing(batches_of(tasks)) as batches:
            await pump(batches, Intake(), sink)

    pumping = asyncio.create_task(take_all(), name="stopcast stream")
    pumping.add_done_callback(lambda _: arrived.set())
    try:
        while outcomes or not pumping.done():
            await arrived.wait()
            arrived.clear()
            while outcomes:
                sink.consumed()
                yield outcomes.popleft()
        pumping.result()
    finally:
        # What is synchronous comes first: the consumer may be cancelled again at any await.
        sink.close()
        await end_task(pumping, within_seconds=2 * END_WITHIN_SECONDS, repeat=False)
