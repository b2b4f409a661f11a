"""The workers: tasks that make one attempt after another, with a bounded number of calls at once."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

from stopcast.background import end_task
from stopcast.engine.attempts import Interrupted, Result
from stopcast.engine.job import Job
from stopcast.engine.origin import Origin
from stopcast.engine.slot import Interrupt, Slot
from stopcast.errors import BackgroundTaskError, StopcastError

#: For a worker whose call was cut off: closing a TLS connection takes a few turns of the loop.
_PATIENCE_SECONDS: Final = 0.2
#: A worker that has waited no longer than this has a connection that is still open, so that it need not be staggered.
_WARM_SECONDS: Final = 1.0


class CallBounds(NamedTuple):
    """How many calls there may be at once, and how long each may take.

    Attributes:
        timeout_seconds: for one call.
        max_at_once: calls in flight.
        stagger_seconds: between two new workers, and so between two new connections.
    """

    timeout_seconds: float
    max_at_once: int
    stagger_seconds: float


class Workers:
    """Makes the attempts of jobs.

    A worker waits when there is no job for it. Calls that are not sent yet are bounded apart from those in flight, so
    that they do not queue at the limiter with a connection each.

    Args:
        attempt: makes one attempt.
        pick: returns the job that goes next, or None.
        has_more_than: returns whether more jobs than this number can be picked.
        may_start: takes the calls that are not sent yet; returns whether another one may begin.
        receive: is called with what an attempt came to.
        lost: is called with the job of a worker that ends unexpectedly, and with the loop time at which its call went
            out, None where it did not.
        on_failure: is called with the error that ended a worker.
        bounds: of the calls.
    """

    def __init__(
        self,
        *,
        attempt: Callable[[Job, Slot], Coroutine[Any, Any, Result]],
        pick: Callable[[], Job | None],
        has_more_than: Callable[[int], bool],
        may_start: Callable[[int], bool],
        receive: Callable[[Result], None],
        lost: Callable[[Job, float | None], None],
        on_failure: Callable[[StopcastError], None],
        bounds: CallBounds,
    ) -> None:
        self._attempt = attempt
        self._pick = pick
        self._has_more_than = has_more_than
        self._may_start = may_start
        self._receive = receive
        self._lost = lost
        self._on_failure = on_failure
        self._bounds = bounds
        self._loop = asyncio.get_running_loop()
        self._slots: dict[asyncio.Task[None], Slot] = {}
        #: Workers without a job, and since when; minus infinity for those that got no connection.
        self._idle: list[tuple[float, asyncio.Future[None]]] = []
        #: Workers that were started or woken, and have not looked for a job yet.
        self._starting = 0
        self._unsent = 0
        self._next_at = 0.0
        self._stagger: asyncio.TimerHandle | None = None
        self._dismissed = False

    @property
    def in_flight(self) -> int:
        """Calls that were sent and have no answer yet."""
        return sum(slot.sent and slot.job is not None for slot in self._slots.values())

    @property
    def unsent(self) -> int:
        """Calls that connect or wait for their permit."""
        return self._unsent

    def start(self) -> None:
        """Wake or start as many workers as there are jobs for them, and room."""
        try:
            # The cheapest condition comes first: every call that goes out asks, and mostly all workers have a call.
            while (
                (self._idle or len(self._slots) + self._starting < self._bounds.max_at_once)
                and self._stagger is None
                and self._has_more_than(self._starting)
                and self._may_start(self._unsent + self._starting)
            ):
                self._start_one()
        except Exception as error:  # noqa: BLE001 - a limiter of the caller's own does not know its rate
            # In a timer the error would end nothing, and the calls would wait for ever.
            self._on_failure(_failure_of(error))

    def _start_one(self) -> None:
        """Wake or start a worker, or set the timer for that."""
        now = self._loop.time()
        if self._idle and now - self._idle[-1][0] < _WARM_SECONDS:
            self._wake()
        elif now < self._next_at:
            self._stagger = self._loop.call_at(self._next_at, self._end_stagger)
        else:
            self._next_at = now + self._bounds.stagger_seconds
            if self._idle:
                self._wake()
                return
            self._starting += 1
            # It registers itself: an eager task factory runs its first step at once.
            self._loop.create_task(self._work(), name="stopcast worker").add_done_callback(self._on_end)

    def _wake(self) -> None:
        _, woken = self._idle.pop()
        if not woken.cancelled():  # by the end of the program, which cancels every task
            self._starting += 1
            woken.set_result(None)

    def _end_stagger(self) -> None:
        self._stagger = None
        self.start()

    def _on_end(self, worker: asyncio.Task[None]) -> None:
        if self._slots.pop(worker, None) is None:
            self._starting -= 1  # it was cancelled before its first step
        error = None if worker.cancelled() else worker.exception()
        if error is not None:
            self._on_failure(_failure_of(error))
        self.start()

    def on_admitted(self) -> None:
        """Start another worker: a call has gone out, and left its place among those not sent."""
        self._unsent -= 1
        self.start()

    async def _work(self) -> None:
        worker = asyncio.current_task()
        assert worker is not None, "a worker is a task"  # noqa: S101 - an invariant
        slot = Slot(self._bounds.timeout_seconds, worker)
        self._starting -= 1
        self._slots[worker] = slot
        try:
            while not self._dismissed:
                no_connection = await self._make_attempts(slot)
                if not self._dismissed:
                    await self._wait(no_connection=no_connection)
        finally:
            slot.close()

    async def _make_attempts(self, slot: Slot) -> bool:
        """Make one attempt after another while there are jobs, and return whether the last one had no connection."""
        while self._may_start(self._unsent + self._starting) and (job := self._pick()) is not None:
            self._unsent += 1
            try:
                result = await self._attempt(job, slot)
            except BaseException:
                # The row is not lost with the worker. The worker's end stops the run, with the cause.
                self._lost(job, slot.sent_at if slot.sent else None)
                raise
            finally:
                if not slot.sent:
                    self._unsent -= 1
            self._receive(result)
            if slot.cancelled:
                raise asyncio.CancelledError
            if not (slot.sent or isinstance(result, Interrupted)):
                return True
        return False

    async def _wait(self, *, no_connection: bool) -> None:
        # A worker that is kept saves what it takes to start one for each single task.
        woken = self._loop.create_future()
        entry = (-math.inf if no_connection else self._loop.time(), woken)
        if no_connection:
            # Its next call needs a new connection: it goes last, and no faster than a new worker.
            self._idle.insert(0, entry)
            self.start()
        else:
            self._idle.append(entry)
        try:
            await woken
        finally:
            if not woken.cancelled():
                self._starting -= 1
            elif entry in self._idle:
                self._idle.remove(entry)

    def take_back_unsent(self, origin: Origin | None = None) -> None:
        """Interrupt the calls that are not sent yet, of one origin or of all."""
        for slot in self._slots.values():
            if slot.job is not None and not slot.sent and origin in {None, slot.job.origin}:
                slot.interrupt(Interrupt.TAKEN_BACK)

    def cut_off(self) -> None:
        """Interrupt all calls."""
        for slot in self._slots.values():
            slot.interrupt(Interrupt.CUT_OFF if slot.sent else Interrupt.TAKEN_BACK)

    def dismiss(self) -> None:
        """Let each worker end after its call."""
        self._dismissed = True
        while self._idle:
            self._wake()

    def recall(self) -> None:
        """Let workers go on after ``dismiss``."""
        self._dismissed = False

    async def ended(self) -> None:
        """Wait until the workers have ended. Call ``dismiss`` first."""
        while self._slots:
            await asyncio.wait(self._slots)

    async def close(self) -> None:
        """Cut off the calls in flight, and leave no worker behind. Call ``dismiss`` first."""
        if self._stagger is not None:
            self._stagger.cancel()
        self.cut_off()
        # The mark and one cancellation are enough, unless something on the way swallowed it.
        await asyncio.gather(*(end_task(worker, patience_seconds=_PATIENCE_SECONDS) for worker in self._slots))


def _failure_of(error: BaseException) -> StopcastError:
    if isinstance(error, StopcastError):
        return error
    unexpected = BackgroundTaskError(f"unexpected error: {type(error).__name__}: {error}")
    unexpected.__cause__ = error
    return unexpected
