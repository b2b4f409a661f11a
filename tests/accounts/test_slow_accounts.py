"""Accounts that are slow, and consumers that are: what waits is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

from stopcast import (
    Task,
)
from stopcast.sandbox import Faults
from support.accounts import accounts, mixed
from support.processes import tasks
from support.streams import everything


async def test_an_account_that_does_not_answer_holds_the_others_back_only_once_the_backlog_is_full() -> None:
    given = [*tasks(1000, app="app"), *tasks(300, app="bpp")]
    async with accounts("a", "b", max_at_once=8, max_waiting=8, timeout_seconds=60) as these:
        these.emulators["a"].faults = Faults({"hang": 1.0})
        async with aclosing(these.router.stop_all(given)) as outcomes:
            landed = [await anext(outcomes) for _ in range(300)]
    assert {outcome.task.app_id for outcome in landed} == {"bpp"}


async def test_rows_that_wait_for_a_slow_account_are_bounded() -> None:
    taken = 0

    def produced() -> Iterator[Task]:
        nonlocal taken
        for task in tasks(100_000, app="app"):
            taken += 1
            yield task

    async with accounts("a", "b", max_at_once=8, max_waiting=8, timeout_seconds=60, max_backlog=1000) as these:
        these.emulators["a"].faults = Faults({"hang": 1.0})
        reading = asyncio.create_task(everything(these.router, produced()))
        before = -1
        while taken == 0 or taken > before:
            before = taken
            while these.emulators["a"].calls < 8:
                await asyncio.sleep(0.001)
            for _ in range(1000):
                await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
    # What waits, what is with the dispatcher (a handful beyond its bound), and two batches of 64 on their way.
    assert 1000 <= taken <= 1000 + 8 + 8 + 64 + 2 * 64


async def test_a_slow_consumer_holds_the_producer_back() -> None:
    taken = 0

    def produced() -> Iterator[Task]:
        nonlocal taken
        for task in mixed(10_000, "app", "bpp"):
            taken += 1
            yield task

    async with (
        accounts("a", "b", max_at_once=8, max_waiting=8) as these,
        aclosing(these.router.stop_all(produced())) as outcomes,
    ):
        for consumed in range(1, 200):
            await anext(outcomes)
            while these.router.dispatcher.in_flight:
                await asyncio.sleep(0.001)
            assert taken <= consumed + 2 * (8 + 8 + 3 * 64) + 2 * 64
