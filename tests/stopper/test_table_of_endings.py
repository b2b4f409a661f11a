"""The table of how a stream can end, cell by cell: what becomes of each row, and what is delivered."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from stopcast import ClosedError, HaltAfter, Outcome, Status, StopcastError, Task
from support.held import AT_ONCE, HeldApi, Opened, good, made, of_each_kind, opened
from support.loops import on_both_loops, run_on
from support.processes import tasks
from support.streams import consume

ROWS = tasks(10)
RETRIED, IN_FLIGHT, UNSENT = ROWS[0], ROWS[1:4], ROWS[4:]


async def source(given: list[Task], error: Exception | None = None) -> AsyncIterator[Task]:
    for task in given:
        yield task
    if error is not None:
        raise error


class Scene:
    """A stream of which one row waits for its retry, three are in flight, and six were read and not sent."""

    def __init__(self, caller: Opened, api: HeldApi) -> None:
        self.caller = caller
        self.api = api
        self.outcomes: list[Outcome] = []
        api.refusals[RETRIED] = "InternalError"
        self.stream = caller.stream(source(ROWS))
        self.consuming = asyncio.create_task(consume(self.stream, self.outcomes))

    async def ready(self) -> None:
        await self.api.until(lambda: self.api.held == 3)
        assert self.api.sent == [RETRIED, *IN_FLIGHT]

    @property
    def statuses(self) -> dict[Task, Status]:
        return {outcome.task: outcome.status for outcome in self.outcomes}

    def assert_taken_back(self, finished: list[Task]) -> None:
        """The rows that were not sent stay unsent; observers see the retry given up, and these as finished."""
        assert self.api.sent == [RETRIED, *IN_FLIGHT]
        seen = self.caller.finished()
        assert set(seen) == {RETRIED, *finished}
        assert seen[RETRIED].status is Status.GAVE_UP


@on_both_loops
@of_each_kind
@pytest.mark.parametrize("error", [None, LookupError("the database is gone")])
def test_its_last_row_or_an_error_of_its_source_ends_it_after_all_outcomes_of_what_was_read(
    kind: str, loop: str, error: Exception | None
) -> None:
    async def main() -> None:
        api, outcomes = HeldApi(), list[Outcome]()
        api.refusals[RETRIED] = "InternalError"
        async with opened(kind, api, retry=AT_ONCE) as caller:
            consuming = asyncio.create_task(consume(caller.stream(source(ROWS, error)), outcomes))
            await api.until(lambda: api.held == 3)
            api.release()
            assert await consuming is error
            assert {outcome.task: outcome.status for outcome in outcomes} == dict.fromkeys(ROWS, good(kind))
            assert sorted(api.sent) == sorted([RETRIED, *ROWS])

    run_on(loop, main())


async def _closes(scene: Scene) -> None:
    scene.consuming.cancel()
    await scene.consuming
    await scene.stream.aclose()


async def _leaves_a_block(scene: Scene) -> None:
    scene.consuming.cancel()
    await scene.consuming
    async with scene.stream:
        pass


async def _is_cancelled(scene: Scene) -> None:
    scene.consuming.cancel()
    await scene.consuming


@on_both_loops
@of_each_kind
@pytest.mark.parametrize("leave", [_closes, _leaves_a_block, _is_cancelled])
def test_a_consumer_that_leaves_gets_nothing_more_and_observers_see_the_calls_in_flight_finish(
    kind: str, loop: str, leave: Any
) -> None:
    async def main() -> None:
        api = HeldApi()
        async with opened(kind, api) as caller:
            scene = Scene(caller, api)
            await scene.ready()
            await leave(scene)
            assert api.held == 3
            api.release()
            await api.until(lambda: len(caller.finished()) == 4)
            with pytest.raises(StopAsyncIteration):
                await anext(scene.stream)
        assert scene.outcomes == []
        scene.assert_taken_back(finished=IN_FLIGHT)

    run_on(loop, main())


@on_both_loops
@of_each_kind
def test_a_deadline_ends_a_stream_as_its_consumer_s_leaving_does(kind: str, loop: str) -> None:
    async def main() -> None:
        api = HeldApi()
        api.refusals[RETRIED] = "InternalError"
        async with opened(kind, api) as caller:
            stream = caller.stream(source(ROWS))

            async def until_deadline() -> None:
                async with asyncio.timeout(None) as deadline:
                    waiting = asyncio.ensure_future(api.until(lambda: api.held == 3))
                    waiting.add_done_callback(lambda _: deadline.reschedule(asyncio.get_running_loop().time()))
                    await anext(stream)

            with pytest.raises(TimeoutError):
                await until_deadline()
            api.release()
            await api.until(lambda: len(caller.finished()) == 4)
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
        assert api.sent == [RETRIED, *IN_FLIGHT]

    run_on(loop, main())


@on_both_loops
@of_each_kind
@pytest.mark.parametrize("how", ["leaving", "drain"])
def test_leaving_or_draining_delivers_all_that_was_sent_and_then_says_that_it_was_closed(
    kind: str, loop: str, how: str
) -> None:
    async def main() -> None:
        api = HeldApi()
        caller = made(kind, api)
        async with caller.calls:
            scene = Scene(caller, api)
            await scene.ready()
            if how == "drain":
                drained = caller.calls.drain()
                with pytest.raises(ClosedError):
                    await caller.one(Task("app", "room", "later"))
                api.release()
                await drained
            else:
                asyncio.get_running_loop().call_soon(api.release)
        assert isinstance(await scene.consuming, ClosedError)
        assert scene.statuses == {RETRIED: Status.GAVE_UP, **dict.fromkeys(IN_FLIGHT, good(kind))}
        assert [outcome.in_doubt for outcome in scene.outcomes if outcome.task == RETRIED] == [kind != "Verifier"]
        scene.assert_taken_back(finished=IN_FLIGHT)

    run_on(loop, main())


@on_both_loops
@of_each_kind
@pytest.mark.parametrize("how", ["leaving", "drain"])
def test_calls_that_outlast_drain_seconds_are_cut_off_and_observers_see_them_in_doubt(
    kind: str, loop: str, how: str
) -> None:
    async def main() -> None:
        api = HeldApi()
        caller = made(kind, api, drain_seconds=0)
        async with caller.calls:
            scene = Scene(caller, api)
            await scene.ready()
            if how == "drain":
                await caller.calls.drain()
                assert api.held == 0
        assert isinstance(await scene.consuming, ClosedError)
        assert scene.statuses == {RETRIED: Status.GAVE_UP}
        scene.assert_taken_back(finished=IN_FLIGHT)
        assert all(caller.finished()[task].in_doubt for task in IN_FLIGHT) is (kind != "Verifier")

    run_on(loop, main())


@on_both_loops
@of_each_kind
def test_an_error_that_ends_the_calls_comes_after_all_that_was_sent(kind: str, loop: str) -> None:
    refused = Task("app", "room", "refused")

    async def main() -> None:
        api = HeldApi()
        api.refusals = {RETRIED: "InternalError", refused: "InvalidParameter"}
        limits: dict[str, Any] = {"max_at_once": 4, "halt_after": HaltAfter(tasks=1)}
        outcomes: list[Outcome] = []
        async with opened(kind, api, **limits) as caller:
            consuming = asyncio.create_task(consume(caller.stream(source([*ROWS[:4], refused, *UNSENT])), outcomes))
            await api.until(lambda: refused in api.sent and len(caller.finished()) == 2)
            api.release()
            error = await consuming
        assert isinstance(error, StopcastError)
        assert not isinstance(error, ClosedError)
        found = {outcome.task: outcome.status for outcome in outcomes}
        expected = {RETRIED: Status.GAVE_UP, refused: Status.FAILED, **dict.fromkeys(IN_FLIGHT, good(kind))}
        assert found == expected
        assert not set(UNSENT) & set(api.sent)

    run_on(loop, main())


@on_both_loops
@of_each_kind
def test_a_block_that_is_cancelled_cuts_its_calls_off_and_delivers_nothing_more(kind: str, loop: str) -> None:
    async def main() -> None:
        api = HeldApi()
        caller = made(kind, api)
        scenes: list[Scene] = []

        async def block() -> None:
            async with caller.calls:
                scenes.append(Scene(caller, api))
                await asyncio.Event().wait()

        blocked = asyncio.create_task(block())
        await api.until(lambda: bool(scenes))
        await scenes[0].ready()
        blocked.cancel()
        with suppress(asyncio.CancelledError):
            await blocked
        assert isinstance(await scenes[0].consuming, ClosedError)
        assert scenes[0].outcomes == []
        scenes[0].assert_taken_back(finished=IN_FLIGHT)

    run_on(loop, main())


@on_both_loops
@of_each_kind
def test_a_dropped_stream_is_closed_when_python_collects_it(kind: str, loop: str) -> None:
    async def main() -> None:
        api = HeldApi()
        async with opened(kind, api) as caller:
            stream = caller.stream(source(ROWS))
            api.refusals[ROWS[0]] = "InvalidParameter"
            await anext(stream)
            await api.until(lambda: api.held == 3)
            del stream
            gc.collect()
            await asyncio.sleep(0)
            api.release()
            await api.until(lambda: not caller.calls.dispatcher.in_flight)
        assert api.sent == ROWS[:4]

    run_on(loop, main())
