"""Consume tasks from a log such as Kafka's, and commit an offset once all tasks before it have a durable outcome.

Outcomes arrive in any order; `outcome.line` is the number of the message. After a crash at any moment, messages that
were not committed are delivered again. A task among them that has been stopped ends as `already_stopped`.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from typing import BinaryIO

import orjson

import stopcast
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator


class Partition:
    """A stand-in for the log: its messages, and the last committed offset."""

    def __init__(self, messages: list[stopcast.Task]) -> None:
        self.messages = messages
        self.committed = 0

    async def poll(self, offset: int) -> stopcast.Task | None:
        return self.messages[offset] if offset < len(self.messages) else None


class Consumer:
    """Yields a partition's tasks from its committed offset on, and commits what is acknowledged."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._began = partition.committed
        self._durable: set[int] = set()

    async def tasks(self) -> AsyncIterator[stopcast.Task]:
        offset = self._began
        while (task := await self._partition.poll(offset)) is not None:
            yield task
            offset += 1

    def acknowledge(self, outcomes: list[stopcast.Outcome]) -> None:
        # Lines are counted from 1, beginning with this consumer's first message.
        self._durable.update(self._began + outcome.line - 1 for outcome in outcomes if outcome.line is not None)
        while self._partition.committed in self._durable:
            self._durable.remove(self._partition.committed)
            self._partition.committed += 1


def make_durable(results: BinaryIO, outcomes: list[stopcast.Outcome]) -> None:
    results.writelines(orjson.dumps([*outcome.task, outcome.status]) + b"\n" for outcome in outcomes)
    results.flush()
    os.fsync(results.fileno())


async def consume(partition: Partition, stopper: stopcast.Stopper, results: BinaryIO, group: int = 100) -> None:
    consumer = Consumer(partition)
    outcomes: list[stopcast.Outcome] = []
    async for outcome in stopper.stop_all(consumer.tasks()):
        outcomes.append(outcome)
        if len(outcomes) == group:
            await asyncio.to_thread(make_durable, results, outcomes)
            consumer.acknowledge(outcomes)
            outcomes = []
    make_durable(results, outcomes)
    consumer.acknowledge(outcomes)


async def main() -> None:
    partition = Partition([stopcast.Task("app", f"room-{n}", "record") for n in range(250)])
    with tempfile.TemporaryFile() as results:
        async with Emulator() as emulator, stopcast.Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url) as stopper:
            await consume(partition, stopper, results)
        results.seek(0)
        print("committed", partition.committed, "durable", len(results.readlines()))


if __name__ == "__main__":
    asyncio.run(main())
