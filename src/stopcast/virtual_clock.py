"""An event loop whose time jumps: a test that waits an hour takes no time.

    def test_an_outage_of_an_hour():
        virtual_clock.run(main())

Whenever every task sleeps, time moves on to the next timer: ``asyncio.sleep``, ``asyncio.timeout``, a limiter and a
backoff all go by it. Sockets are real, and two ends in the same loop work as they should, such as the sandbox and a
Stopper. Threads and other processes are real too, but the clock does not wait for them while a timer is set; nor does
``time.time()`` move with it.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

_TURN: Final = 1e-6

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on virtual time, and return what it returns: ``asyncio.run`` for a test."""
    with asyncio.Runner(loop_factory=VirtualClock) as runner:
        return runner.run(main)


class VirtualClock(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at 0. A turn of the loop takes a microsecond, whatever it does.

    Args:
        lateness: returns the seconds by which the next wake-up comes late.
    """

    def __init__(self, *, lateness: Callable[[], float] = lambda: 0.0) -> None:
        self._virtual_now = 0.0
        self._lateness = lateness
        super().__init__(_Selector(self._sleep))

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._virtual_now

    def advance(self, seconds: float) -> None:
        """Move time on while code runs: the loop is blocked, or the process stands still."""
        self._virtual_now += seconds

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - asyncio's
        """Wait for the default executor's threads, which are real, and so without a limit in virtual time.

        From Python 3.12 on, ``asyncio.Runner`` passes a timeout here. The clock would jump over it at once.
        """
        await super().shutdown_default_executor()

    def _sleep(self, seconds: float) -> None:
        self._virtual_now += seconds + (self._lateness() if seconds > _TURN else 0.0)


class _Selector(selectors.DefaultSelector):
    def __init__(self, sleep: Callable[[float], None]) -> None:
        super().__init__()
        self._sleep = sleep

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(timeout if timeout is None else 0)
        # Code that waits out a rounding error would wait for ever on a clock that stands still.
        self._sleep(timeout if not ready and timeout else _TURN)
        return ready
