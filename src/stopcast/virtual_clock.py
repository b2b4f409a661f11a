"""An event loop on virtual time, for tests: a test that waits an hour takes no time.

    def test_an_outage_of_an_hour():
        virtual_clock.run(main())

Whenever every task sleeps, the clock jumps to the next timer. ``asyncio.sleep``, ``asyncio.timeout``, limiters and
backoff all use this clock. Sockets are real; both ends may be in the same loop, as the sandbox and a Stopper are.
Threads and other processes are real too, but the clock does not wait for them while a timer is set. ``time.time()``
stays real time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

_TURN: Final = 1e-6

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on virtual time and return its result, as ``asyncio.run`` does on real time."""
    with asyncio.Runner(loop_factory=VirtualClock) as runner:
        return runner.run(main)


class VirtualClock(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at 0. Each turn of the loop takes one microsecond.

    Args:
        lateness: returns the seconds by which the next timer fires late.
    """

    def __init__(self, *, lateness: Callable[[], float] = lambda: 0.0) -> None:
        self._virtual_now = 0.0
        self._lateness = lateness
        super().__init__(_Selector(self._sleep))

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._virtual_now

    def monotonic(self) -> float:
        """Return the virtual time too: what goes by ``time.monotonic`` elsewhere goes by this on this loop."""
        return self._virtual_now

    def advance(self, seconds: float) -> None:
        """Advance the clock while code runs, as a blocked loop or a stopped process does."""
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
        # On a clock that never advances by itself, code that waits out a rounding error would wait for ever.
        self._sleep(timeout if not ready and timeout else _TURN)
        return ready
