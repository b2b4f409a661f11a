"""How a single task ends: as the row of a stream does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stopcast import ClosedError, CredentialsRefusedError, Status, Task
from support.held import AT_ONCE, HeldApi, good, made, of_each_kind, opened
from support.loops import on_both_loops, run_on
from support.processes import tasks

TASKS = tasks(9)
IN_FLIGHT, UNSENT = TASKS[:3], TASKS[3:]


@on_both_loops
@of_each_kind
def test_a_single_task_ends_as_the_row_of_a_stream_does(kind: str, loop: str) -> None:
    async def main() -> None:
        api = HeldApi()
        caller = made(kind, api)
        async with caller.calls:
            calls = {task: asyncio.create_task(caller.one(task)) for task in [*IN_FLIGHT, *UNSENT]}
            await api.until(lambda: api.held == 3)
            calls[IN_FLIGHT[0]].cancel()
            calls[UNSENT[0]].cancel()
            asyncio.get_running_loop().call_soon(api.release)
        ended: dict[Task, Any] = dict(
            zip(calls, await asyncio.gather(*calls.values(), return_exceptions=True), strict=True)
        )
        assert [ended[task].status for task in IN_FLIGHT[1:]] == [good(kind)] * 2
        assert all(isinstance(ended[task], ClosedError) for task in UNSENT[1:])
        assert api.sent == IN_FLIGHT
        assert {task: outcome.status for task, outcome in caller.finished().items()} == dict.fromkeys(
            IN_FLIGHT, good(kind)
        )

    run_on(loop, main())


@on_both_loops
@of_each_kind
def test_a_single_task_of_a_cancelled_block_is_cut_off(kind: str, loop: str) -> None:
    async def main() -> None:
        api = HeldApi()
        caller = made(kind, api)
        calls: list[asyncio.Task[Any]] = []

        async def block() -> None:
            async with caller.calls:
                calls.append(asyncio.create_task(caller.one(IN_FLIGHT[0])))
                await asyncio.Event().wait()

        blocked = asyncio.create_task(block())
        await api.until(lambda: api.held == 1)
        blocked.cancel()
        await asyncio.wait([blocked])
        with pytest.raises(ClosedError):
            await calls[0]
        assert caller.finished()[IN_FLIGHT[0]].in_doubt is (kind != "Verifier")

    run_on(loop, main())


@on_both_loops
def test_a_refused_key_ends_single_tasks_that_were_not_sent_with_the_error(loop: str) -> None:
    async def main() -> None:
        api = HeldApi()
        api.refusals = dict.fromkeys(UNSENT[:3], "SignatureDoesNotMatch")
        async with opened("Stopper", api, retry=AT_ONCE, max_at_once=5) as caller:
            held = [asyncio.create_task(caller.one(task)) for task in IN_FLIGHT[:2]]
            await api.until(lambda: api.held == 2)
            refused = await asyncio.gather(*map(caller.one, UNSENT[:3]))
            assert {outcome.status for outcome in refused} == {Status.GAVE_UP}
            api.release()
            assert [(await task).status for task in held] == [Status.STOPPED] * 2
            with pytest.raises(CredentialsRefusedError):
                await caller.one(UNSENT[5])

    run_on(loop, main())
