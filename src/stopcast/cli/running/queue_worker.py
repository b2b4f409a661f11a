"""The job of ``stopcast worker``: its rows come from a queue, and are acknowledged there."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from stopcast.cli.display.next_commands import dead_letters_command
from stopcast.cli.lists import Lists
from stopcast.cli.options import Options, ReportOptions
from stopcast.cli.output import EXIT_BAD_ROWS, log
from stopcast.cli.running.execution import execute
from stopcast.cli.running.job import RunJob
from stopcast.cli.user import User
from stopcast.events import DeadLettered, Event
from stopcast.fleet.queue import RedisConsumer
from stopcast.i18n import ngettext
from stopcast.ports import Deliveries
from stopcast.run import Run
from stopcast.stopper import Stopper
from stopcast.tasks.task import Batch


def work(
    options: Options, queue: str, *, results: bool, until_empty: bool, claim_after_seconds: float, max_deliveries: int
) -> int:
    """Stop the tasks of a queue, and return the exit status.

    Raises:
        ConfigurationError: a setting that cannot be used.
        SystemExit: with the exit status of the error that ended the worker early.
    """
    dead: list[DeadLettered] = []

    def observe(event: Event) -> None:
        if isinstance(event, DeadLettered):
            dead.append(event)

    consumer = RedisConsumer(
        queue,
        claim_after_seconds=claim_after_seconds,
        max_deliveries=max_deliveries,
        results=results,
        until_empty=until_empty,
        observers=[observe],
    )

    @asynccontextmanager
    async def deliveries(user: User) -> AsyncIterator[Deliveries]:
        try:
            async with consumer:
                yield consumer
        finally:
            _log_remainder(consumer, user)
            if dead:
                _log_dead_letters(consumer.queue, queue, len(dead), user)

    async def rows(run: Run) -> AsyncGenerator[Batch, None]:
        async with aclosing(consumer.take(settled=run.history.settled.good)) as batches:
            async for batch in batches:
                yield batch

    job = RunJob(
        calls=Stopper,
        options=options if options.report.path else replace(options, report=ReportOptions(path=os.devnull)),
        lists=Lists.of(options.lists),
        rows=rows,
        deliveries=deliveries,
        queues=[queue],
    )
    return execute(job) or (EXIT_BAD_ROWS if dead else 0)


def _log_remainder(consumer: RedisConsumer, user: User) -> None:
    if consumer.left:
        text = ngettext(
            "stopcast: 1 task could not be handed back to the queue, or not be acknowledged. Another worker takes it "
            "over once this one has been silent for long enough.",
            "stopcast: {number:,} tasks could not be handed back to the queue, or not be acknowledged. Other workers "
            "take them over once this one has been silent for long enough.",
            consumer.left,
        )
        log(text, event="queue_left", left=consumer.left)
    elif number := consumer.handed_back:
        text = ngettext(
            "1 task was handed back to the queue.", "{number:,} tasks were handed back to the queue.", number
        )
        user.log(text, event="queue_handed_back")


def _log_dead_letters(queue: str, url: str, number: int, user: User) -> None:
    text = ngettext(
        "1 task came back too often from workers that did not finish it, and is a dead letter of the queue {queue} "
        "now. To put it back into the queue:\n  {command}",
        "{number:,} tasks came back too often from workers that did not finish them, and are dead letters of the queue "
        "{queue} now. To put all of them back into the queue:\n  {command}",
        number,
        queue=queue,
        command=dead_letters_command(url),
    )
    user.log(text, event="queue_dead_letters", queue=queue, number=number)
