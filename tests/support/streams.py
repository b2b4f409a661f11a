"""A Stopper at an emulator, and the outcomes of its streams."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final, Protocol, TypeVar

from stopcast import Outcome, RetryPolicy, Status, Stopper, Unlimited
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator
from support.processes import HANGS_AFTER_SECONDS

T = TypeVar("T")

#: Retries within milliseconds.
QUICK: Final = RetryPolicy(first_wait_seconds=0.002, longest_wait_seconds=0.02, longest_retry_after_seconds=0.02)


def stopper_at(emulator: Emulator, **settings: Any) -> Stopper:
    """Return a Stopper at the emulator, without a cap and with quick retries unless ``settings`` name others."""
    settings = {"limiter": Unlimited(), "retry": QUICK, **settings}
    return Stopper(settings.pop("credentials", SANDBOX_CREDENTIALS), endpoint=emulator.url, **settings)


class _Stops(Protocol):
    def stop_all(self, tasks: Any, /) -> AsyncIterator[Outcome]: ...


async def everything(stopper: _Stops, given: Any) -> list[Outcome]:
    """Return all outcomes of a stream through a Stopper or a Router."""
    return [outcome async for outcome in stopper.stop_all(given)]


def counted(outcomes: Iterable[Outcome]) -> Counter[Status]:
    """Return the number of outcomes of each status."""
    return Counter(outcome.status for outcome in outcomes)


async def eventually(condition: Callable[[], object]) -> None:
    """Return when the condition holds; fail if it never does."""
    async with asyncio.timeout(HANGS_AFTER_SECONDS):
        while not condition():
            await asyncio.sleep(0.002)


async def one_by_one(given: Iterable[T]) -> AsyncIterator[T]:
    """Yield what is given, as an asynchronous source does."""
    for item in given:
        yield item


async def consume(stream: AsyncIterator[Outcome], into: list[Outcome]) -> BaseException | None:
    """Append the outcomes, and return what ended the stream."""
    try:
        async for outcome in stream:
            into.append(outcome)  # noqa: PERF401 - those before an error count
    except (Exception, asyncio.CancelledError, BaseExceptionGroup) as error:  # noqa: BLE001 - it is what the test is about
        return error
    return None
