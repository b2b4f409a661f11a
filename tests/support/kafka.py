"""A topic and its consumer, for the example that reads from Kafka: no broker can be installed from a package registry.

The consumer has the methods of aiokafka's that the example calls; a test compares their signatures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Partition(NamedTuple):
    topic: str
    partition: int


class Message(NamedTuple):
    offset: int
    value: bytes | None


class StandInConsumer:
    """A consumer of all partitions, which begins at the committed offsets.

    Args:
        log: the messages of each partition.
        committed: the group's offsets, which ``commit`` moves forward.
    """

    def __init__(self, log: Mapping[Partition, list[Message]], committed: dict[Partition, int]) -> None:
        self.log = log
        self.committed = committed
        self.assigned = set(log)
        self._positions = {partition: committed.get(partition, 0) for partition in log}

    async def getmany(
        self, *partitions: Partition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[Partition, list[Message]]:
        await asyncio.sleep(0)
        left = max_records or 500
        read: dict[Partition, list[Message]] = {}
        for partition in partitions or sorted(self.assigned):
            messages = [message for message in self.log[partition] if message.offset >= self._positions[partition]]
            if taken := messages[: max(left, 0)]:
                read[partition] = taken
                left -= len(taken)
                self._positions[partition] = taken[-1].offset + 1
        if not read:
            await asyncio.sleep(timeout_ms / 1000)
        return read

    async def commit(self, offsets: Mapping[Partition, int] | None = None) -> None:
        await asyncio.sleep(0)
        assert offsets
        for partition, offset in offsets.items():
            assert partition in self.assigned
            assert offset > self.committed.get(partition, 0)
            self.committed[partition] = offset

    def assignment(self) -> frozenset[Partition]:
        return frozenset(self.assigned)

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """Give partitions to another consumer."""
        self.assigned -= set(partitions)
