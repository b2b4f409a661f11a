"""What is given up is not sent, and no row is lost on any way out of the engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stopcast import ClosedError, Outcome, RetryPolicy, Status, Task, TokenBucket, Unlimited, ports
from stopcast.events import Event, TaskFinished
from stopcast.ports import Gate, Request
from stopcast.sandbox.answers import Answer, ok, refusal
from support.processes import tasks
from support.streams import consume, counted, everything
from support.virtual import Api, in_virtual_time, stopped, virtual_stopper

URGENT = [Task("urgent", "room", f"task-{number}") for number in range(20)]


def test_tasks_whose_callers_gave_up_before_their_permit_are_not_sent() -> None:
    api = Api(stopped)

    async def main() -> None:
        async with virtual_stopper(api, limiter=TokenBucket(20)) as stopper:
            listed = asyncio.create_task(everything(stopper, tasks(200)))
            await asyncio.sleep(1)

            async def stop_soon(task: Task) -> None:
                async with asyncio.timeout(0.25):
                    await stopper.stop(task)

            ended = await asyncio.gather(*map(stop_soon, URGENT), return_exceptions=True)
            given_up = {task for task, error in zip(URGENT, ended, strict=True) if isinstance(error, TimeoutError)}
            sent = {task for _, task in api.sent}
            assert len(given_up) > 10
            assert not given_up & sent
            assert counted(await listed) == {Status.STOPPED: 200}
        assert not given_up & {task for _, task in api.sent}

    in_virtual_time(main)


def test_a_stream_that_is_left_sends_nothing_that_had_no_permit_yet() -> None:
    api = Api(stopped)

    async def main() -> int:
        async with virtual_stopper(api, limiter=TokenBucket(100)) as stopper:
            stream = stopper.stop_all(tasks(500))
            for _ in range(143):
                await anext(stream)
            calls = len(api.sent)
            await stream.aclose()
            await asyncio.sleep(5)
            return len(api.sent) - calls

    assert in_virtual_time(main) == 0


def test_pause_and_resume_in_one_turn_of_the_loop_lose_no_row() -> None:
    api = Api(stopped)

    async def main() -> list[Outcome]:
        async with virtual_stopper(api, limiter=TokenBucket(100)) as stopper:

            async def steer() -> None:
                for _ in range(20):
                    await asyncio.sleep(0.1)
                    stopper.pause()
                    stopper.resume()

            steering = asyncio.create_task(steer())
            outcomes = await everything(stopper, tasks(400))
            await steering
            return outcomes

    assert counted(in_virtual_time(main)) == {Status.STOPPED: 400}
    assert max(Counter(task for _, task in api.sent).values()) == 1


def test_a_worker_that_something_else_cancels_gives_its_row_back() -> None:
    api = Api(stopped, latency_seconds=0.5)

    async def main() -> list[Outcome]:
        async with virtual_stopper(api, limiter=TokenBucket(50)) as stopper:

            async def cancel_workers() -> None:
                for _ in range(5):
                    await asyncio.sleep(0.3)
                    for task in asyncio.all_tasks():
                        if task.get_name() == "stopcast worker":
                            task.cancel()

            cancelling = asyncio.create_task(cancel_workers())
            outcomes = await everything(stopper, tasks(100))
            await cancelling
            return outcomes

    outcomes = in_virtual_time(main)
    assert len({outcome.task for outcome in outcomes}) == 100
    assert counted(outcomes) == {Status.STOPPED: 100}


@pytest.mark.parametrize("count", [1, 70, 300])
def test_a_source_that_raises_loses_no_outcome_of_what_it_gave(count: int) -> None:
    async def broken() -> AsyncIterator[Task]:
        for task in tasks(count):
            yield task
        raise LookupError("the database is gone")

    api = Api(stopped)

    async def main() -> list[Outcome]:
        outcomes: list[Outcome] = []
        async with virtual_stopper(api) as stopper:
            error = await consume(stopper.stop_all(broken()), outcomes)
        assert isinstance(error, LookupError)
        return outcomes

    assert counted(in_virtual_time(main)) == {Status.STOPPED: count}
    assert len(api.sent) == count


def _answer_after(failures: dict[Task, int]) -> Any:
    """Return answers of which some tasks' first ones are transient."""
    left = dict(failures)

    def answer(task: Task) -> Answer:
        if left.get(task, 0):
            left[task] -= 1
            return refusal({}, "InternalError")
        return ok({})

    return answer


def test_leaving_the_block_hands_out_all_that_was_sent_and_then_says_that_rows_were_taken_back() -> None:
    waiting = tasks(3)
    api = Api(_answer_after(dict.fromkeys(waiting, 1)), latency_seconds=2.0)
    slow = RetryPolicy(first_wait_seconds=600.0, longest_wait_seconds=600.0)

    async def main() -> list[Outcome]:
        outcomes: list[Outcome] = []
        async with virtual_stopper(api, limiter=TokenBucket(50), retry=slow) as stopper:
            consuming = asyncio.create_task(consume(stopper.stop_all(tasks(400)), outcomes))
            await asyncio.sleep(3)
        assert isinstance(await consuming, ClosedError)
        return outcomes

    outcomes = in_virtual_time(main)
    assert {outcome.task for outcome in outcomes} == {task for _, task in api.sent}
    gave_up = {outcome.task: outcome.in_doubt for outcome in outcomes if outcome.status is Status.GAVE_UP}
    assert gave_up == dict.fromkeys(waiting, True)


def test_leaving_the_block_is_no_error_for_a_stream_whose_rows_were_all_sent() -> None:
    api = Api(stopped, latency_seconds=2.0)

    async def main() -> list[Outcome]:
        async with virtual_stopper(api) as stopper:
            consuming = asyncio.create_task(everything(stopper, tasks(20)))
            await asyncio.sleep(1)
        return await consuming

    assert counted(in_virtual_time(main)) == {Status.STOPPED: 20}


def test_a_drain_cuts_off_what_has_not_finished_in_time_and_tells_observers_that_it_is_in_doubt() -> None:
    api = Api(stopped, latency_seconds=1000.0)
    events: list[Event] = []

    async def main() -> float:
        settings: dict[str, Any] = {"drain_seconds": 3.0, "timeout_seconds": 900.0, "observers": [events.append]}
        async with virtual_stopper(api, limiter=Unlimited(), **settings) as stopper:
            consuming = asyncio.create_task(everything(stopper, tasks(5)))
            await asyncio.sleep(1)
        with pytest.raises(ClosedError):
            await consuming
        return asyncio.get_running_loop().time()

    assert in_virtual_time(main) == pytest.approx(4.0, abs=0.1)
    finished = [event.outcome for event in events if isinstance(event, TaskFinished)]
    assert {(outcome.task, outcome.in_doubt) for outcome in finished} == {(task, True) for task in tasks(5)}


def test_an_observer_that_raises_cancelled_error_disturbs_nothing() -> None:
    def rude(_: Event) -> None:
        raise asyncio.CancelledError

    api = Api(stopped)

    async def main() -> list[Outcome]:
        async with virtual_stopper(api, observers=[rude]) as stopper:
            return await everything(stopper, tasks(50))

    assert counted(in_virtual_time(main)) == {Status.STOPPED: 50}


def test_an_eager_task_factory_does_not_exceed_the_calls_at_once() -> None:
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("eager tasks came with Python 3.12")
    api = Api(stopped, latency_seconds=1.0)
    most = 0

    async def main() -> None:
        nonlocal most
        asyncio.get_running_loop().set_task_factory(factory)
        async with virtual_stopper(api, limiter=Unlimited(), max_at_once=7) as stopper:
            async for _ in stopper.stop_all(tasks(100)):
                most = max(most, api.in_flight)

    in_virtual_time(main)
    assert most <= 7


def test_a_row_that_is_refused_with_an_appid_while_others_wait_leaves_none_of_them_to_be_sent() -> None:
    refused_at: list[int] = []

    def answer(task: Task) -> Answer:
        if task.app_id == "dead":
            refused_at.append(len(api.sent))
            return refusal({}, "InvalidParameter.NotExistAppId")
        return ok({})

    api = Api(answer)
    given = [*tasks(5), *tasks(50, app="dead")]

    async def main() -> list[Outcome]:
        async with virtual_stopper(api, limiter=TokenBucket(20)) as stopper:
            return await everything(stopper, given)

    outcomes = in_virtual_time(main)
    dead = [outcome for outcome in outcomes if outcome.task.app_id == "dead"]
    assert {outcome.status for outcome in dead} == {Status.SET_ASIDE}
    assert {outcome.code for outcome in dead} == {"InvalidParameter.NotExistAppId"}
    assert len(api.sent) < 5 + 15


@pytest.mark.parametrize("sent", [True, False])
def test_what_cancels_every_call_makes_no_more_calls_than_the_attempts_of_each_task(sent: bool) -> None:  # noqa: FBT001
    class CancelsItsTask(Api):
        async def send(self, request: Request, gate: Gate) -> ports.Answer:
            if sent:
                await super().send(request, gate)
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(1)
            raise AssertionError

    api = CancelsItsTask(stopped)

    async def main() -> list[Outcome]:
        retry = RetryPolicy(max_attempts=3)
        async with asyncio.timeout(100), virtual_stopper(api, limiter=Unlimited(), retry=retry) as stopper:
            return await everything(stopper, tasks(5))

    outcomes = in_virtual_time(main)
    assert counted(outcomes) == {Status.GAVE_UP: 5}
    assert all(outcome.in_doubt is sent for outcome in outcomes)
    assert len(api.sent) == 15 * sent


@pytest.mark.parametrize("drained", [True, False])
def test_a_single_task_whose_call_is_over_before_its_caller_waits_has_its_outcome(drained: bool) -> None:  # noqa: FBT001
    async def main() -> None:
        async with asyncio.timeout(10), virtual_stopper(Api(stopped), limiter=Unlimited()) as stopper:
            # As with an eager task factory and a transport that answers at once.
            single = stopper.dispatcher.call(URGENT[0])
            if drained:
                await stopper.drain()
                with pytest.raises(ClosedError):
                    await single.outcome()
            else:
                await asyncio.sleep(1)
                assert (await single.outcome()).status is Status.STOPPED

    in_virtual_time(main)
