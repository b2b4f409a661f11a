"""Virtual time: an API that answers inside the process, a Stopper that calls it, and what measures a limiter there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import orjson

from stopcast import Stopper, Task, ports
from stopcast.ports import Gate, Limiter, Request
from stopcast.sandbox import SANDBOX_CREDENTIALS
from stopcast.sandbox.answers import Answer, ok
from stopcast.virtual_clock import VirtualClock

T = TypeVar("T")


def on_virtual_clock(
    main: Callable[[VirtualClock], Coroutine[Any, Any, T]], *, lateness: Callable[[], float] = lambda: 0.0
) -> T:
    """Run ``main(clock)`` on a virtual clock whose timers are late by ``lateness()`` seconds."""
    clock = VirtualClock(lateness=lateness)
    with asyncio.Runner(loop_factory=lambda: clock) as runner:
        return runner.run(main(clock))


def in_virtual_time(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``main()`` on a virtual clock."""
    return on_virtual_clock(lambda _: main())


class Api:
    """A transport that answers from a function, ``latency_seconds`` after the request."""

    def __init__(self, answer: Callable[[Task], Answer], *, latency_seconds: float = 0.02) -> None:
        self.answer = answer
        self.latency_seconds = latency_seconds
        #: Loop time at which each call was sent, and its task.
        self.sent: list[tuple[float, Task]] = []
        self.in_flight = 0

    async def send(self, request: Request, gate: Gate) -> ports.Answer:
        ids = orjson.loads(request.body)
        task = Task(ids["AppId"], ids["RoomId"], ids["TaskId"])
        self.in_flight += 1
        try:
            await gate.permit()
            gate.admit()
            self.sent.append((asyncio.get_running_loop().time(), task))
            await asyncio.sleep(self.latency_seconds)
            answer = self.answer(task)
        finally:
            self.in_flight -= 1
        return ports.Answer(answer.status, answer.headers, answer.body)

    def times_of(self, task: Task) -> list[float]:
        """Return the loop times of a task's calls."""
        return [moment for moment, sent in self.sent if sent == task]


def stopped(_: Task) -> Answer:
    """Answer that the task is stopped."""
    return ok({})


@asynccontextmanager
async def virtual_stopper(api: Api, **settings: Any) -> AsyncIterator[Stopper]:
    """Open a Stopper that calls ``api``; fail if it leaves a call in flight."""
    settings = {"credentials": SANDBOX_CREDENTIALS, "endpoint": "http://127.0.0.1", **settings}
    async with Stopper(transport=api, **settings) as stopper:
        yield stopper
    assert not api.in_flight


def up_to(seconds: float, seed: int = 0) -> Callable[[], float]:
    """Return a source of random numbers from 0 to ``seconds``, the same ones each time."""
    return partial(random.Random(seed).uniform, 0.0, seconds)


def most_within(times: list[float], seconds: float = 1.0) -> int:
    """Return the most of these times in any window, its end excluded."""
    most = first = 0
    for last, moment in enumerate(times):
        # Sums of floats carry an error far below the microsecond that a turn of the clock takes.
        while moment - times[first] >= seconds - 1e-9:
            first += 1
        most = max(most, last - first + 1)
    return most


def keep_asking(clock: VirtualClock, limiter: Limiter, granted: Callable[[float], object]) -> asyncio.Task[None]:
    """Acquire permits without end, and report the time of each."""

    async def ask() -> None:
        while True:
            await limiter.acquire()
            granted(clock.time())

    return clock.create_task(ask())


async def cancelled(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks, and return once they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
