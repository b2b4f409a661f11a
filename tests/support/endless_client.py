"""Stops tasks without end, at the cap of 150 calls a second: ``python endless_client.py URL LOOP [DISTURBANCE...]``.

Disturbances: ``blocked`` keeps the event loop from turning for a while, again and again; ``steered`` pauses, resumes,
and changes the rate; the address of a Redis makes it share its quota there.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from itertools import count

from stopcast import SharedQuota, Stopper, Task
from stopcast.sandbox import SANDBOX_CREDENTIALS
from support.loops import run_on


def _tasks() -> Iterator[Task]:
    return (Task("app", "room", f"task-{number}") for number in count())


async def _block() -> None:
    for seconds in (0.02, 0.4, 0.005, 0.15, 0.012, 0.7):
        await asyncio.sleep(0.3)
        time.sleep(seconds)


async def _steer(stopper: Stopper) -> None:
    for rate in (20, 150, 75, 150):
        stopper.limit_to(rate)
        await asyncio.sleep(0.25)
        stopper.pause()
        stopper.resume()
        await asyncio.sleep(0.25)
        stopper.pause()
        await asyncio.sleep(0.1)
        stopper.resume()


async def main(url: str, *disturbances: str) -> None:
    """Stop tasks until the process is killed."""
    redis = [each for each in disturbances if each.startswith("redis:")]
    async with AsyncExitStack() as stack:
        limiter = await stack.enter_async_context(SharedQuota(redis[0], account="wire")) if redis else None
        stopper = await stack.enter_async_context(Stopper(SANDBOX_CREDENTIALS, endpoint=url, limiter=limiter))

        async def stop() -> None:
            async for _ in stopper.stop_all(_tasks()):
                pass

        async def disturb() -> None:
            while True:
                await asyncio.sleep(0.5)
                if "blocked" in disturbances:
                    await _block()
                if "steered" in disturbances:
                    await _steer(stopper)

        await asyncio.gather(stop(), disturb())


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        run_on(sys.argv[2], main(sys.argv[1], *sys.argv[3:]))
