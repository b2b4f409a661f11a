"""One task that several callers stop at the same time: one call, and one outcome for all of them."""

from __future__ import annotations

import asyncio

import pytest

from stopcast import Outcome, OutcomeStream, Status, Task
from stopcast.ports import TransportError
from stopcast.sandbox.answers import Answer, ok, refusal
from support.held import KINDS, HeldApi, opened
from support.loops import on_both_loops, run_on
from support.processes import tasks
from support.streams import everything
from support.virtual import Api, in_virtual_time, stopped, virtual_stopper

TASK = Task("app", "room", "task")
GONE = "InvalidParameter.ErrorActiveTaskNotFound"


async def collected(stream: OutcomeStream) -> list[Outcome]:
    return [outcome async for outcome in stream]


@on_both_loops
@pytest.mark.parametrize("kind", KINDS)
def test_callers_of_one_task_share_its_call_and_its_outcome(kind: str, loop: str) -> None:
    async def main() -> None:
        api = HeldApi()
        async with opened(kind, api) as caller:
            calls = [asyncio.create_task(caller.one(TASK)) for _ in range(20)]
            await api.until(lambda: api.held == 1)
            calls.append(asyncio.create_task(caller.one(TASK)))
            api.release()
            outcomes = await asyncio.gather(*calls)
            assert api.sent == [TASK]
            assert all(outcome is outcomes[0] for outcome in outcomes)
            await caller.one(TASK)
            assert api.sent == [TASK, TASK]
        assert len(caller.finished()) == 1

    run_on(loop, main())


@on_both_loops
def test_only_the_last_caller_that_is_cancelled_takes_the_call_back(loop: str) -> None:
    async def main() -> None:
        api = HeldApi()
        async with opened("Stopper", api, max_at_once=1) as caller:
            asyncio.get_running_loop().create_task(caller.one(Task("app", "room", "first"))).add_done_callback(
                lambda task: task.exception()
            )
            await api.until(lambda: api.held == 1)
            calls = [asyncio.create_task(caller.one(TASK)) for _ in range(3)]
            others = [asyncio.create_task(caller.one(Task("app", "room", "other"))) for _ in range(3)]
            await asyncio.sleep(0)
            for call in [*calls, *others[:2]]:
                call.cancel()
            await asyncio.wait(calls)
            api.release()
            assert (await others[2]).task.task_id == "other"
        assert [task.task_id for task in api.sent] == ["first", "other"]

    run_on(loop, main())


def test_a_caller_of_higher_priority_brings_the_shared_call_forward() -> None:
    api = Api(stopped)

    async def main() -> None:
        async with virtual_stopper(api, max_at_once=1) as stopper:
            listed = asyncio.create_task(everything(stopper, tasks(200)))
            await asyncio.sleep(0.1)
            calls = [asyncio.create_task(stopper.stop(TASK, priority=priority)) for priority in (-1, 5)]
            await asyncio.gather(*calls)
            await listed

    in_virtual_time(main)
    sent = [task for _, task in api.sent]
    assert sent.count(TASK) == 1
    assert sent.index(TASK) < 100


def test_a_stream_has_the_outcome_of_a_call_that_is_in_flight_elsewhere() -> None:
    async def main() -> None:
        api = HeldApi()
        async with opened("Stopper", api) as caller:
            single = asyncio.create_task(caller.one(TASK))
            await api.until(lambda: api.held == 1)
            listed = asyncio.create_task(collected(caller.stream([Task("app", "room", "a"), TASK])))
            await api.until(lambda: api.held == 2)
            api.release()
            outcomes = await listed
            assert {outcome.task: (outcome.status, outcome.line) for outcome in outcomes} == {
                Task("app", "room", "a"): (Status.STOPPED, 1),
                TASK: (Status.STOPPED, 2),
            }
            assert (await single).line == 1
        assert api.sent == [TASK, Task("app", "room", "a")]

    asyncio.run(main())


def test_a_call_in_flight_that_decides_nothing_leaves_the_other_stream_s_task_in_doubt_and_to_be_sent() -> None:
    answers = iter([TransportError("connection lost")])

    def answer(_: Task) -> Answer:
        if (raised := next(answers, None)) is not None:
            raise raised
        return refusal({}, GONE)

    api = Api(answer, latency_seconds=1.0)

    async def main() -> tuple[Outcome, list[Outcome]]:
        async with virtual_stopper(api) as stopper:
            single = asyncio.create_task(stopper.stop(TASK))
            await asyncio.sleep(0.5)
            listed = await everything(stopper, [TASK])
            return await single, listed

    single, listed = in_virtual_time(main)
    assert [outcome.status for outcome in (single, *listed)] == [Status.PRESUMED_STOPPED] * 2


def test_a_stream_does_not_wait_for_a_task_that_a_stream_without_a_consumer_has_read() -> None:
    api = Api(lambda _: ok({}))

    async def main() -> None:
        async with virtual_stopper(api, max_at_once=1, max_waiting=0) as stopper:
            idle = stopper.stop_all(tasks(100))
            await anext(idle)
            await asyncio.sleep(10)
            assert len(await everything(stopper, tasks(100))) == 100
            assert (await stopper.stop(tasks(100)[99])).good
            await idle.aclose()

    in_virtual_time(main)


def test_a_stream_that_is_left_gives_up_its_wait_for_another_s_call() -> None:
    async def main() -> None:
        api = HeldApi()
        async with opened("Stopper", api) as caller:
            single = asyncio.create_task(caller.one(TASK))
            await api.until(lambda: api.held == 1)
            stream = caller.stream([TASK, Task("app", "room", "a")])
            waiting = asyncio.ensure_future(anext(stream))
            await api.until(lambda: api.held == 2)
            waiting.cancel()
            await asyncio.wait([waiting])
            api.release()
            assert (await single).good
        assert api.sent == [TASK, Task("app", "room", "a")]

    asyncio.run(main())


def test_each_caller_makes_its_own_call_with_deduplicate_off() -> None:
    api = Api(stopped, latency_seconds=1.0)

    async def main() -> None:
        async with virtual_stopper(api, deduplicate=False) as stopper:
            await asyncio.gather(stopper.stop(TASK), stopper.stop(TASK), everything(stopper, [TASK]))

    in_virtual_time(main)
    assert len(api.sent) == 3
