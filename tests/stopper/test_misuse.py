"""A Stopper that is used wrongly says so: entered twice, from another thread or loop, or never left."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import warnings
from typing import Any

import pytest

from stopcast import (
    ClosedError,
    Credentials,
    Endpoint,
    Router,
    Stopper,
    StopperState,
    Task,
    Verifier,
)
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator
from support.streams import stopper_at
from support.virtual import Api, stopped, virtual_stopper

TASK = Task("app", "room", "task")


async def test_entering_twice_is_refused_and_the_first_block_goes_on() -> None:
    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        with pytest.raises(ClosedError, match="open already"):
            await stopper.__aenter__()
        assert (await stopper.stop(TASK)).good


async def test_entering_a_router_twice_is_refused_and_the_first_block_goes_on() -> None:
    async with Emulator() as emulator, Router({"main": stopper_at(emulator)}, {"app": "main"}) as router:
        with pytest.raises(ClosedError, match="open already"):
            await router.__aenter__()
        assert (await router.stop(TASK)).good


async def test_entering_twice_at_the_same_time_is_refused() -> None:
    may_return = asyncio.Event()

    async def slow() -> Credentials:
        await may_return.wait()
        return SANDBOX_CREDENTIALS

    stopper = Stopper(slow, endpoint="http://127.0.0.1")
    entering = asyncio.create_task(stopper.__aenter__())
    await asyncio.sleep(0)
    with pytest.raises(ClosedError, match="open already"):
        await stopper.__aenter__()
    may_return.set()
    await entering
    await stopper.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("name", "arguments"), [("pause", ()), ("resume", ()), ("retry_key", ()), ("drain", ()), ("limit_to", (10,))]
)
def test_what_a_thread_must_not_do_is_refused_there(name: str, arguments: tuple[float, ...]) -> None:
    async def main() -> None:
        async with virtual_stopper(Api(stopped)) as stopper:
            with pytest.raises(ClosedError, match="another event loop"):
                await asyncio.to_thread(getattr(stopper, name), *arguments)
            assert stopper.state is StopperState.RUNNING

    asyncio.run(main())


async def test_a_stopper_on_another_loop_is_closed() -> None:
    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        errors: list[BaseException] = []

        async def elsewhere() -> None:
            for attempt in (stopper.stop(TASK), stopper.stop_many([TASK])):
                try:
                    await attempt
                except ClosedError as error:
                    errors.append(error)
            try:
                await stopper.drain()
            except ClosedError as error:
                errors.append(error)

        await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
        assert len(errors) == 3
        assert (await stopper.stop(TASK)).good


async def test_a_stream_on_another_loop_is_refused_and_goes_on_where_it_began() -> None:
    async with Emulator(quota_per_second=None) as emulator, stopper_at(emulator) as stopper:
        outcomes = stopper.stop_all(Task("app", "room", f"task-{number}") for number in range(100))
        received = [await anext(outcomes)]

        async def receive() -> None:
            async for outcome in outcomes:
                received.append(outcome)  # noqa: PERF401 - those that were there already

        async def elsewhere() -> None:
            with pytest.raises(ClosedError, match="another event loop"):
                await receive()
            with pytest.raises(ClosedError, match="another event loop"):
                await outcomes.aclose()

        await asyncio.to_thread(asyncio.run, elsewhere())
        await receive()
        assert len(received) == 100


async def test_leaving_on_another_loop_is_refused_and_the_block_goes_on() -> None:
    async with (
        Emulator() as emulator,
        stopper_at(emulator) as stopper,
        Router({"main": stopper_at(emulator)}, {"app": "main"}) as router,
    ):
        for leave in (stopper.__aexit__, router.__aexit__):
            with pytest.raises(ClosedError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, leave(None))
        assert (await stopper.stop(TASK)).good
        assert (await router.stop(TASK)).good


async def test_drain_from_a_plain_thread_is_refused() -> None:
    errors: list[BaseException] = []

    def drain() -> None:
        try:
            stopper.drain()
        except ClosedError as error:
            errors.append(error)

    async with Emulator() as emulator, stopper_at(emulator) as stopper:
        thread = threading.Thread(target=drain)
        thread.start()
        thread.join()
        assert len(errors) == 1
        assert (await stopper.stop(TASK)).good


def warned(act: Any) -> list[str]:
    """Return the warnings and the errors in the log while a coroutine function runs on a loop of its own, and after."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(act())
        gc.collect()
    return [f"{warning.category.__name__}: {warning.message}" for warning in caught]


@pytest.mark.parametrize("cls", [Stopper, Verifier])
def test_an_unclosed_stopper_warns_as_one_and_is_closed(cls: type[Stopper], caplog: pytest.LogCaptureFixture) -> None:
    async def forget() -> None:
        async with Emulator() as emulator:
            stopper = cls(SANDBOX_CREDENTIALS, endpoint=Endpoint.parse(emulator.url))
            await stopper.__aenter__()
            await (stopper.verify(TASK) if isinstance(stopper, Verifier) else stopper.stop(TASK))
            before = len(asyncio.all_tasks())
            del stopper
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) < before

    with caplog.at_level(logging.ERROR):
        found = warned(forget)
    assert found == [f"ResourceWarning: unclosed {cls.__name__}: its `async with` block was never left"]
    assert caplog.records == []


def test_a_stopper_that_outlives_its_loop_warns_as_one(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[Stopper] = []

    async def forget() -> None:
        async with Emulator() as emulator:
            kept.append(await stopper_at(emulator).__aenter__())
            await kept[0].stop(TASK)

    with caplog.at_level(logging.ERROR), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(forget())
        kept.clear()
        gc.collect()
    assert [str(warning.message) for warning in caught] == ["unclosed Stopper: its `async with` block was never left"]
    assert caplog.records == []
