"""The table of how a stream can end, with a queue as its source: what was not sent is in the queue still."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from stopcast import ClosedError, Outcome, RedisConsumer, Stopper, TooManyFailuresError
from stopcast.engine.halting import HaltAfter
from support.held import HeldApi, Opened, made
from support.loops import on_both_loops, run_on
from support.processes import tasks
from support.queues import put

ROWS = tasks(10)


class QueueScene:
    """A stream of a queue's ten tasks, of which three are in flight."""

    def __init__(self, caller: Opened, consumer: RedisConsumer) -> None:
        self.outcomes: list[Outcome] = []
        self.stream = caller.stream(consumer)
        self._consumer = consumer
        self.consuming = asyncio.create_task(self._consume())

    async def _consume(self) -> BaseException | None:
        try:
            async for outcome in self.stream:
                self.outcomes.append(outcome)
                self._consumer.ack([outcome])
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is what the test is about
            return error
        return None


async def left_in(url: str) -> int:
    """Work the queue off with answers at once, and return how many tasks there were."""
    api = HeldApi()
    api.release()
    caller = made("Stopper", api)
    async with caller.calls, RedisConsumer(url, claim_after_seconds=0.2, until_empty=True) as consumer:
        scene = QueueScene(caller, consumer)
        assert await scene.consuming is None
    return len(scene.outcomes)


@on_both_loops
@pytest.mark.parametrize("ending", ["closing the stream", "leaving", "drain", "cancelling the block", "halting"])
def test_a_task_of_a_queue_that_was_not_sent_or_has_no_outcome_stays_in_the_queue(
    redis_url: str, loop: str, ending: str
) -> None:
    url = f"{redis_url}/tasks"

    async def main() -> None:
        await put(url, *ROWS)
        api = HeldApi()
        caller = made("Stopper", api, halt_after=HaltAfter(tasks=1) if ending == "halting" else None)
        scenes: list[QueueScene] = []

        async def block() -> None:
            async with RedisConsumer(url, claim_after_seconds=60) as consumer, caller.calls:
                scenes.append(QueueScene(caller, consumer))
                await api.until(lambda: api.held == 3)
                await end(ending, api, caller, scenes[0])

        running = asyncio.create_task(block())
        if ending == "cancelling the block":
            await api.until(lambda: api.held == 3)
            running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        error = await scenes[0].consuming
        assert isinstance(error, EXPECTED[ending])
        known = 0 if ending in {"closing the stream", "cancelling the block"} else len(api.sent)
        assert len(scenes[0].outcomes) == known
        assert await left_in(url) == len(ROWS) - known

    run_on(loop, main())


EXPECTED: dict[str, type[BaseException]] = {
    "closing the stream": asyncio.CancelledError,
    "leaving": ClosedError,
    "drain": ClosedError,
    "cancelling the block": ClosedError,
    "halting": TooManyFailuresError,
}


async def end(ending: str, api: HeldApi, caller: Opened, scene: QueueScene) -> None:
    assert isinstance(caller.calls, Stopper)
    match ending:
        case "closing the stream":
            scene.consuming.cancel()
            await scene.consuming
            api.release()
        case "leaving":
            asyncio.get_running_loop().call_soon(api.release)
        case "drain":
            drained = caller.calls.drain()
            api.release()
            await drained
            await scene.consuming
        case "halting":
            caller.calls.dispatcher.stop(TooManyFailuresError("too many"))
            api.release()
            await scene.consuming
        case _:
            await asyncio.Event().wait()


@on_both_loops
def test_a_queue_s_last_task_ends_its_stream_after_all_outcomes(redis_url: str, loop: str) -> None:
    url = f"{redis_url}/tasks"

    async def main() -> None:
        await put(url, *ROWS)
        assert await left_in(url) == len(ROWS)
        assert await left_in(url) == 0

    run_on(loop, main())
