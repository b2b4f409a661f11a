"""A stream and the source of its rows: a source that ends oddly, and what becomes of one when the stream is left."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from stopcast import ClosedError, ListError, Outcome, Status, Task
from support.held import AT_ONCE, HeldApi, good, of_each_kind, opened
from support.loops import on_both_loops, run_on
from support.processes import tasks
from support.streams import consume, counted
from support.virtual import Api, in_virtual_time, stopped, virtual_stopper

ROWS = tasks(10)
MORE_THAN_IS_READ = tasks(20_000)


@on_both_loops
@of_each_kind
def test_a_source_in_which_something_was_cancelled_does_not_look_as_if_it_had_been_read_to_its_end(
    kind: str, loop: str
) -> None:
    async def rows() -> AsyncIterator[Task]:
        for task in ROWS:
            yield task
        connection = asyncio.get_running_loop().create_future()
        connection.cancel()
        await connection

    async def main() -> None:
        api, outcomes = HeldApi(), list[Outcome]()
        async with opened(kind, api, retry=AT_ONCE) as caller:
            api.release()
            error = await consume(caller.stream(rows()), outcomes)
            assert isinstance(error, ListError)
            assert "cancelled from within" in str(error)
            assert {outcome.task: outcome.status for outcome in outcomes} == dict.fromkeys(ROWS, good(kind))

    run_on(loop, main())


async def test_a_stream_that_was_left_lets_its_source_go() -> None:
    closed = list[bool]()

    def rows() -> Iterator[Task]:
        try:
            yield from MORE_THAN_IS_READ
        finally:
            closed.append(True)

    async with virtual_stopper(Api(stopped)) as stopper, stopper.stop_all(rows()) as stream:
        await anext(stream)
        await stream.aclose()
        gc.collect()
        assert closed


async def test_a_stream_that_was_left_has_closed_an_async_generator() -> None:
    closed = list[bool]()

    async def rows() -> AsyncIterator[Task]:
        try:
            for task in MORE_THAN_IS_READ:
                yield task
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async with virtual_stopper(Api(stopped)) as stopper:
        stream = stopper.stop_all(rows())
        await anext(stream)
        await stream.aclose()
        assert closed


@pytest.mark.parametrize("error", [asyncio.CancelledError(), BaseExceptionGroup("", [asyncio.CancelledError()])])
def test_what_a_plain_source_gave_before_something_was_cancelled_in_it_is_sent(error: BaseException) -> None:
    def source() -> Iterator[Task]:
        yield from tasks(50)
        raise error

    async def main() -> None:
        outcomes: list[Outcome] = []
        async with virtual_stopper(Api(stopped)) as stopper:
            assert isinstance(await consume(stopper.stop_all(source()), outcomes), ListError | type(error))
        assert counted(outcomes) == {Status.STOPPED: 50}

    in_virtual_time(main)


def test_a_source_that_swallows_its_cancellation_does_not_hide_why_its_stream_has_ended() -> None:
    async def source() -> AsyncIterator[Task]:
        for _ in range(20):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)
        yield ROWS[0]

    async def main() -> None:
        async with virtual_stopper(Api(stopped), drain_seconds=1) as stopper:
            first = asyncio.ensure_future(anext(stopper.stop_all(source())))
            await asyncio.sleep(0.1)
        with pytest.raises(ClosedError):
            await first

    in_virtual_time(main)
