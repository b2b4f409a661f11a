"""The clock that limiters go by, and a sleep that never ends early on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

#: uvloop's timers are whole milliseconds, rounded to the nearest, of a clock that is rounded down.
_EARLIEST_SECONDS: Final = 0.002


def monotonic() -> float:
    """Return the seconds of ``time.monotonic``, or of the running loop's own ``monotonic`` where it has one.

    ``loop.time()`` will not do: uvloop's has whole milliseconds. A loop on virtual time has a ``monotonic``, as
    ``stopcast.virtual_clock`` does.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return time.monotonic()
    own: Callable[[], float] = getattr(loop, "monotonic", time.monotonic)
    return own()


class Sleeper:
    """Sleeps at least as long as it is asked to, with one timer where the loop's timers are early.

    Otherwise the rest of a millisecond would be slept in many short sleeps, which keep the processor busy. How early
    the timers are is measured.
    """

    __slots__ = ("_clock", "_early_seconds")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._early_seconds = 0.0

    async def sleep(self, seconds: float) -> None:
        """Sleep at least ``seconds`` by the clock."""
        began = now = self._clock()
        until = began + seconds
        while now < until:
            asked = until - now + self._early_seconds
            await asyncio.sleep(asked)
            asked_at, now = now, self._clock()
            early_seconds = asked - (now - asked_at)
            self._early_seconds = max(self._early_seconds, min(early_seconds, _EARLIEST_SECONDS))
