"""A worker's place among the calls in flight: how long its call may take, and how it is interrupted."""

from __future__ import annotations

import asyncio
import math
from enum import Enum
from typing import Final

from stopcast.engine.job import Job

#: After a standstill of the process, answers that have long arrived are read first: a call is not cut off before this.
_GRACE_SECONDS: Final = 1.0


#: A timer that is later than this shows a standstill.
_LATE_SECONDS: Final = 0.1


class Interrupt(Enum):
    """Why a call ended without an answer."""

    TIMED_OUT = "its time ran out"
    TAKEN_BACK = "the engine took it back before it was sent"
    LOST = "the row belongs to another process by now"
    CUT_OFF = "the engine cut it off"
    CANCELLED = "something else cancelled it"


class Slot:
    """A worker's place among the calls in flight. It can interrupt the call that is being made in it.

    Args:
        timeout_seconds: from a call's permit to the end of its answer.
        worker: the task that makes the calls.

    Attributes:
        mark: why the call in the slot is to end, None where it is not.
        sent: whether it has been sent.
        sent_at: loop time at which the last call that was sent in the slot went out.
    """

    __slots__ = (
        "_cancels",
        "_ends_at",
        "_job",
        "_loop",
        "_timeout_seconds",
        "_timer",
        "_worker",
        "mark",
        "sent",
        "sent_at",
    )

    def __init__(self, timeout_seconds: float, worker: asyncio.Task[None]) -> None:
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._worker = worker
        # asyncio.timeout would do, but a timer for each call is 4 % of its cost. This one is set once, and when it is
        # due, it is set again for the call that is in the slot by then.
        self._timer: asyncio.TimerHandle | None = None
        self._ends_at = math.inf
        self._job: Job | None = None
        self.mark: Interrupt | None = None
        self._cancels = 0
        self.sent = False
        self.sent_at = 0.0

    @property
    def job(self) -> Job | None:
        """Whose call is being made, None between two calls."""
        return self._job

    def begin(self, job: Job) -> None:
        """Begin a call."""
        self._job = job
        self.mark = None
        self._cancels = 0
        self.sent = False

    def sending(self, now: float) -> None:
        """Let the call's time run from now on."""
        self.sent = True
        self.sent_at = now
        self._ends_at = now + self._timeout_seconds
        if self._timer is None:
            self._timer = self._loop.call_at(self._ends_at, self._expire)

    def interrupt(self, why: Interrupt) -> None:
        """End the call from outside, if one is being made. The mark counts, and the cancellation only wakes the worker.

        A cancellation may be swallowed on its way, so what comes next looks at the mark.
        """
        if self._job is None or self.mark is not None:
            return
        self.mark = why
        self._cancels += 1
        self._worker.cancel()

    def end(self) -> Interrupt | None:
        """End the call, and return why it was interrupted."""
        self._ends_at = math.inf
        self._job = None
        why = self.mark
        worker = self._worker
        while self._cancels:
            worker.uncancel()
            self._cancels -= 1
        return Interrupt.CANCELLED if why is None and worker.cancelling() else why

    @property
    def cancelled(self) -> bool:
        """Whether something else than the engine has cancelled the worker."""
        return self._worker.cancelling() > self._cancels

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        self._timer = None
        if self._ends_at == math.inf:
            return
        now = self._loop.time()
        if now - self._ends_at > _LATE_SECONDS:
            self._ends_at = now + _GRACE_SECONDS
        if now < self._ends_at:
            self._timer = self._loop.call_at(self._ends_at, self._expire)
        else:
            self.interrupt(Interrupt.TIMED_OUT)
