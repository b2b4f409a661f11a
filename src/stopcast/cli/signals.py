"""The signals of a run: SIGINT, SIGTERM and SIGHUP end it, SIGUSR1 and SIGUSR2 steer it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Self

from stopcast.background import END_WITHIN_SECONDS
from stopcast.cli.interrupts import ENDING

_STEERING: Final = (signal.SIGUSR1, signal.SIGUSR2)
#: The first lets calls in flight finish, the second cuts them off.
_HEEDED: Final = 2


class Signals:
    """Handles the signals while the block lasts, which may begin before the event loop does.

    They are not the loop's own handlers: the loop removes those when it closes, and one more signal would print a
    traceback then. Only the first two signals that end a run have an effect; those after them are ignored, also after
    the block, because they must not change the exit status.

    Attributes:
        end: is called on the event loop with the number of a signal that ends, and whether it is the first.
        steer: is called on the event loop with the number of a signal that steers.
        number: of the last signal that ends, None before the first.
    """

    def __init__(self) -> None:
        self.end: Callable[[int, bool], object] | None = None
        self.steer: Callable[[int], object] | None = None
        self.number: int | None = None
        self._received = 0
        #: When the first two that end a run arrived, by the loop's clock.
        self._ended_at: list[float] = []
        self._timers: list[asyncio.TimerHandle] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (*ENDING, *_STEERING):
            before = signal.getsignal(number)
            # A signal that was ignored when the command started stays ignored, as nohup wants it for SIGHUP.
            if before is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._receive_end if number in ENDING else self._receive_steering)
        return self

    def __exit__(self, *_error: object) -> None:
        for number, before in self._before.items():
            # Not SIG_IGN: where one more signal has just arrived, Python reports that change as an error.
            signal.signal(number, _ignore if self._received else before)

    def cancel_task(self) -> None:
        """Let the next signal that ends cancel the current task. An earlier one cancels it now."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine calls this
        self._loop = asyncio.get_running_loop()
        self.end = lambda _number, _first: task.cancel()
        self.steer = None
        if self.number is not None:
            task.cancel()

    def hand_over(self, end: Callable[[int, bool], object], steer: Callable[[int], object]) -> None:
        """Let these functions receive the signals. One that has arrived, and whose cancellation was lost, ends now."""
        self.end, self.steer = end, steer
        if self.number is not None:
            end(self.number, True)

    def end_now(self) -> None:
        """End the run as SIGINT does."""
        self._receive_end(signal.SIGINT, None)

    def shorten_closing(self, grace_seconds: float) -> None:
        """Cancel the current task, which closes what was opened, at the second signal, or in time for the grace.

        A closing that is cancelled takes ``END_WITHIN_SECONDS`` at most, even where Redis does not answer.
        """
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None  # noqa: S101 - a coroutine calls this

        def shorten(_number: int, first: bool) -> None:
            in_time = self._ended_at[0] + grace_seconds - END_WITHIN_SECONDS
            self._timers.append(loop.call_at(in_time if first else loop.time(), task.cancel))

        self.end, self.steer = shorten, None
        for place, _ in enumerate(self._ended_at):
            shorten(0, place == 0)

    def closed(self) -> None:
        """Let nothing be cancelled any more: what was opened is closed."""
        self.end = None
        for timer in self._timers:
            timer.cancel()

    def _receive_end(self, number: int, _frame: object) -> None:
        self._received += 1
        if self._received > _HEEDED:
            return
        if self._loop is None:
            self.number = number
        else:
            self._call_soon(partial(self._end, number))

    def _receive_steering(self, number: int, _frame: object) -> None:
        self._call_soon(partial(self._steer, number))

    def _call_soon(self, act: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)

    def _end(self, number: int) -> None:
        first, self.number = self.number is None, number
        self._ended_at.append(asyncio.get_running_loop().time())
        if self.end is not None:
            self.end(number, first)

    def _steer(self, number: int) -> None:
        if self.steer is not None:
            self.steer(number)


def _ignore(_number: int, _frame: object) -> None:
    """Do nothing: the command has ended already."""
