"""Stop the tasks of a Kafka topic, and commit an offset once all messages before it have a durable outcome.

    KAFKA=host:9092 VOLCENGINE_ACCESS_KEY=... VOLCENGINE_SECRET_KEY=... python examples/from_kafka.py TOPIC out.jsonl

A message is `AppId,RoomId,TaskId`; any other ends as `invalid`. Outcomes arrive in any order: `outcome.line` is the
number of the message. After a crash, messages that were not committed are delivered again; a task among them that has
been stopped ends as `already_stopped`. SIGTERM finishes what was read, and commits it. It needs aiokafka.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

import stopcast


class Messages:
    """What was read, and how far everything is done."""

    def __init__(self, consumer: AIOKafkaConsumer, results: BinaryIO, ending: asyncio.Event) -> None:
        self._consumer, self._results, self._ending = consumer, results, ending
        self._places: dict[int, tuple[TopicPartition, int]] = {}
        # Of each partition the offsets that are not committed, in order, and whether each is done. Offsets have gaps.
        self._done: dict[TopicPartition, dict[int, bool]] = {}
        self.outcomes: list[stopcast.Outcome] = []

    async def tasks(self) -> AsyncIterator[Any]:
        line = 0
        while not self._ending.is_set():
            read = await self._consumer.getmany(timeout_ms=500, max_records=100)
            for partition, messages in read.items():
                for message in messages:
                    line += 1
                    self._places[line] = partition, message.offset
                    self._done.setdefault(partition, {})[message.offset] = False
                    yield (message.value or b"").decode(errors="replace").split(",")
            await self.settle()

    async def settle(self) -> None:
        outcomes, self.outcomes = self.outcomes, []
        await asyncio.to_thread(make_durable, self._results, outcomes)
        for outcome in outcomes:
            partition, offset = self._places.pop(outcome.line or 0)
            self._done[partition][offset] = True
        commits = {}
        for partition, done in self._done.items():
            while done and done[first := next(iter(done))]:
                del done[first]
                commits[partition] = first + 1
        # A partition may be another consumer's by now. Its messages are delivered again there.
        if mine := {partition: commits[partition] for partition in commits.keys() & self._consumer.assignment()}:
            try:
                await self._consumer.commit(mine)
            except CommitFailedError as error:
                print(error, file=sys.stderr)  # the partitions are being assigned anew


def make_durable(results: BinaryIO, outcomes: list[stopcast.Outcome]) -> None:
    if outcomes:
        results.writelines(orjson.dumps(outcome.as_json()) + b"\n" for outcome in outcomes)
        results.flush()
        os.fsync(results.fileno())


async def consume(messages: Messages, stopper: stopcast.Stopper) -> None:
    async for outcome in stopper.stop_all(messages.tasks()):
        messages.outcomes.append(outcome)
    await messages.settle()


async def main(topic: str, path: str) -> None:
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    options = {"group_id": "stopcast", "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=os.environ["KAFKA"], **options)
    with Path(path).open("ab") as results:  # noqa: ASYNC230 - once
        async with consumer, stopcast.Stopper(endpoint=os.environ.get("STOPCAST_ENDPOINT")) as stopper:
            await consume(Messages(consumer, results, ending), stopper)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
