"""What ``stopcast worker`` does: a run whose rows come from a queue, and are acknowledged there."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

from stopcast.cli.lists import Lists
from stopcast.cli.options.values import Options
from stopcast.cli.output import EXIT_BAD_ROWS, log
from stopcast.cli.running import wakeup
from stopcast.cli.running.command import Command
from stopcast.cli.running.targets import Target
from stopcast.events import DeadLettered, Event
from stopcast.fleet.queue import RedisConsumer
from stopcast.ports import Deliveries
from stopcast.run import Run
from stopcast.tasks.task import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The options of ``stopcast worker`` that ``stopcast run`` does not have."""

    queue: str
    results: bool
    until_empty: bool
    claim_after_seconds: float
    max_deliveries: int


def execute(options: Options, work: Work) -> int:
    """Work, and return the status that tells the truth."""
    return wakeup.run(_Worker(options, work).run())


class _Worker(Command):
    def __init__(self, options: Options, work: Work) -> None:
        super().__init__(options, queues=[work.queue])
        self._consumer = RedisConsumer(
            work.queue,
            claim_after_seconds=work.claim_after_seconds,
            max_deliveries=work.max_deliveries,
            results=work.results,
            until_empty=work.until_empty,
            observers=[self._watch],
        )
        self._dead = 0

    def _watch(self, event: Event) -> None:
        self._dead += isinstance(event, DeadLettered)

    async def _agreed(self, target: Target) -> bool:  # noqa: ARG002 - nobody is asked
        return True

    async def _deliveries(self, stack: AsyncExitStack) -> Deliveries | None:
        # Told in the end, when what is left has been handed back.
        stack.callback(self._tell_left)
        return await stack.enter_async_context(self._consumer)

    def _tell_left(self) -> None:
        if self._consumer.left:
            log(
                f"stopcast: {self._consumer.left:,} tasks could not be handed back to the queue, or not be "
                f"acknowledged. Other workers take them over once this one has been silent for long enough.",
                event="queue_left",
                left=self._consumer.left,
            )
        elif self._consumer.handed_back and not self._options.quiet:
            log(f"{self._consumer.handed_back:,} tasks were handed back to the queue.", event="queue_handed_back")

    async def _batches(self, lists: Lists, run: Run) -> AsyncGenerator[Batch, None]:  # noqa: ARG002 - there are none
        async with aclosing(self._consumer.take(settled=run.past.earlier.settled)) as batches:
            async for batch in batches:
                yield batch

    def _go_on_with(self) -> str | None:
        # What is not finished goes on with the other workers, or this one when it is started again.
        return None

    async def run(self) -> int:
        """Work, and return the exit status."""
        return await super().run() or (EXIT_BAD_ROWS if self._dead else 0)
