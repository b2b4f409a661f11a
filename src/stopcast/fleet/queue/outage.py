"""Whether Redis is away: the events about it, and the pauses between tries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from stopcast.events import Event, QueueFound, QueueLost
from stopcast.fleet.queue.failures import permanent, words_of

_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0


class Outage:
    """Redis as seen by several activities: it is back when the last of them succeeds again.

    Reading may succeed while writing fails, for example where Redis has no memory left.

    Attributes:
        errors: what redis-py raises, except for programming errors.
    """

    def __init__(self, queue: str, emit: Callable[[Event], None]) -> None:
        from redis import RedisError  # noqa: PLC0415 - slow to import

        self.errors = (RedisError, OSError)
        self._queue = queue
        self._emit = emit
        self._failing: set[str] = set()
        self._began_at = 0.0
        self._pause_seconds = _PAUSE_SECONDS
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End the pauses, for a worker that ends."""
        self._closing.set()

    async def failed(self, activity: str, error: BaseException) -> None:
        """Wait a moment before the next try.

        Raises:
            StopcastError: no further try can succeed.
        """
        if (ended_by := permanent(error, self._queue)) is not None:
            raise ended_by from error
        if not self._failing:
            self._began_at = asyncio.get_running_loop().time()
            self._emit(QueueLost(words_of(error)))
        self._failing.add(activity)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause_seconds):
                await self._closing.wait()
        self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)

    def succeeded(self, activity: str) -> float:
        """Return the seconds for which Redis was away, 0 if the activity had not failed."""
        if activity not in self._failing:
            return 0.0
        self._failing.remove(activity)
        if not self._failing:
            self._pause_seconds = _PAUSE_SECONDS
            self._emit(QueueFound())
        return asyncio.get_running_loop().time() - self._began_at
