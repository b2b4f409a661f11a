"""Streams of tasks: each row has one outcome, and neither side runs ahead of the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from stopcast import Status, Task, TokenBucket
from stopcast.sandbox import Emulator
from stopcast.tasks.task import Batch, RawRow
from support.processes import HANGS_AFTER_SECONDS, tasks
from support.streams import counted, everything, one_by_one, stopper_at
from support.virtual import Api, in_virtual_time, most_within, stopped, virtual_stopper

TASK = Task("app", "room", "task")


@pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        iter,
        one_by_one,
        lambda given: [tuple(task) for task in given],
        lambda given: (task for task in given),
    ],
)
async def test_tasks_may_come_in_any_kind_of_iterable(form: Callable[[list[Task]], Any]) -> None:
    given = tasks(300)
    async with Emulator(quota_per_second=None) as emulator, stopper_at(emulator) as stopper:
        outcomes = await everything(stopper, form(given))
    assert {outcome.task for outcome in outcomes} == emulator.stopped == set(given)
    assert counted(outcomes) == {Status.STOPPED: 300}
    assert all(isinstance(outcome.task, Task) for outcome in outcomes)


async def test_every_row_has_one_outcome_invalid_rows_and_duplicates_included() -> None:
    given: list[Any] = [*tasks(100), *tasks(50), ("a", "b"), ("a b", "c", "d"), None, ("a", 1, "c")]
    async with Emulator(quota_per_second=None) as emulator, stopper_at(emulator) as stopper:
        outcomes = await everything(stopper, given)
    assert counted(outcomes) == {Status.STOPPED: 100, Status.DUPLICATE: 50, Status.INVALID: 4}
    assert sorted(outcome.line or 0 for outcome in outcomes) == list(range(1, 155))
    assert emulator.calls == 100


async def test_a_source_s_batches_keep_their_lines_and_their_doubts() -> None:
    async def source() -> AsyncIterator[Batch]:
        rows = [RawRow(*task, line) for line, task in enumerate([*tasks(1), *tasks(2)], start=40)]
        yield Batch("queue", rows, in_doubt=[False, False, True], already_unique=True)

    async with Emulator(running=[]) as emulator, stopper_at(emulator) as stopper:
        outcomes = await everything(stopper, source())
    found = sorted((outcome.source, outcome.line, outcome.status) for outcome in outcomes)
    assert found == [
        ("queue", 40, Status.ALREADY_STOPPED),
        ("queue", 41, Status.ALREADY_STOPPED),
        ("queue", 42, Status.PRESUMED_STOPPED),
    ]


async def test_no_tasks_give_no_outcomes() -> None:
    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        assert await everything(stopper, []) == []


async def test_what_a_producer_raises_reaches_the_consumer() -> None:
    async def broken() -> AsyncIterator[Task]:
        yield TASK
        raise LookupError("no more")

    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        with pytest.raises(LookupError, match="no more"):
            await everything(stopper, broken())
        assert (await stopper.stop(Task("app", "room", "other"))).good


async def test_a_slow_consumer_holds_the_producer_back() -> None:
    taken = 0

    def produced() -> Iterator[Task]:
        nonlocal taken
        for task in tasks(5000):
            taken += 1
            yield task

    async with (
        Emulator(quota_per_second=None) as emulator,
        stopper_at(emulator, max_at_once=8, max_waiting=20) as stopper,
        aclosing(stopper.stop_all(produced())) as outcomes,
    ):
        for consumed in range(1, 200):
            await anext(outcomes)
            if consumed % 50 == 0:
                # As long as it takes until nothing moves any more.
                while stopper.dispatcher.in_flight:
                    await asyncio.sleep(0.001)
            # In flight, waiting, and two batches of 64: one read ahead, one on its way.
            assert taken <= consumed + 8 + 20 + 2 * 64
    assert emulator.calls <= taken


async def test_a_slow_producers_rows_are_sent_as_they_come() -> None:
    rows: asyncio.Queue[Task] = asyncio.Queue()

    async def produced() -> AsyncIterator[Task]:
        while True:
            yield await rows.get()

    async with (
        Emulator() as emulator,
        stopper_at(emulator) as stopper,
        aclosing(stopper.stop_all(produced())) as outcomes,
    ):
        for task in tasks(5):
            rows.put_nowait(task)
            async with asyncio.timeout(HANGS_AFTER_SECONDS):
                assert (await anext(outcomes)).task == task


def test_two_streams_share_the_cap() -> None:
    api = Api(stopped)

    async def main() -> None:
        async with virtual_stopper(api, limiter=TokenBucket(50)) as stopper:
            both = await asyncio.gather(*(everything(stopper, tasks(400, app=app)) for app in ("a", "b")))
        assert [counted(outcomes) for outcomes in both] == [{Status.STOPPED: 400}] * 2
        assert (stopper.meter.calls, stopper.meter.worst_second) == (800, 50)

    in_virtual_time(main)
    assert most_within([moment for moment, _ in api.sent]) == 50


def test_two_streams_take_turns() -> None:
    api = Api(stopped)

    async def main() -> None:
        async with virtual_stopper(api) as stopper:
            await asyncio.gather(everything(stopper, tasks(600, app="a")), everything(stopper, tasks(600, app="b")))

    in_virtual_time(main)
    halfway = Counter(task.app_id for _, task in api.sent[:600])
    assert abs(halfway["a"] - halfway["b"]) <= 2 * 64


def test_an_endless_iterable_is_read_no_further_once_its_consumer_has_been_cancelled() -> None:
    read = 0

    def endless() -> Iterator[Task]:
        nonlocal read
        while read < 100_000:
            read += 1
            yield Task("app", "room", f"task-{read}")

    async def main() -> None:
        async with virtual_stopper(Api(stopped), limiter=TokenBucket(150)) as stopper:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(everything(stopper, endless()), 20)

    in_virtual_time(main)
    assert read < 10_000
