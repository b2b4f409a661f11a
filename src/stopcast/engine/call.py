"""One call: sign, wait for the permit with a connection in hand, send, read. It never decides what an answer means."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Self

from stopcast.api.actions import Action
from stopcast.api.answers import Reply, hide
from stopcast.api.signing import Signer
from stopcast.errors import EndpointError
from stopcast.limiters.rolling_window import RollingWindow
from stopcast.ports import Limiter, Request, Transport, TransportError
from stopcast.tasks.task import Task


class Key:
    """What calls are signed with, as long as these credentials are used.

    Attributes:
        signer: signs each call anew.
        refused: the API refuses it, and another one is being asked for.
    """

    __slots__ = ("refused", "signer")

    def __init__(self, signer: Signer) -> None:
        self.signer = signer
        self.refused = False


class _KeyRefusedError(Exception):
    """The key was refused while a call that it had signed waited for its permit."""


class Slot:
    """A place among the calls in flight, used by one call after another, all made by one worker.

    Used as a context manager by the task that is the worker.

    Attributes:
        admitted_at: loop time at which the present call got its permit, None before that.
        permit_at: loop time of its latest permit: it asks for a second one where the connection had died.
        limiter_seconds: what it has waited for permits.
        sent: whether the API may have seen the present call.
        key: that the present call was signed with.
        clock_offset: likewise.
    """

    __slots__ = (
        "_ends_at",
        "_limiter",
        "_meter",
        "_on_admitted",
        "_timed_out",
        "_timeout_seconds",
        "_timer",
        "_worker",
        "admitted_at",
        "clock_offset",
        "key",
        "limiter_seconds",
        "permit_at",
        "sent",
    )

    def __init__(
        self, limiter: Limiter, meter: RollingWindow, timeout_seconds: float, on_admitted: Callable[[], None]
    ) -> None:
        self._limiter = limiter
        self._meter = meter
        self._timeout_seconds = timeout_seconds
        self._on_admitted = on_admitted
        self.admitted_at: float | None = None
        self.permit_at = 0.0
        self.limiter_seconds = 0.0
        self.sent = False
        self.key: Key
        self.clock_offset = 0.0
        # asyncio.timeout would do, but a timer for each call is 4 % of its cost. This one is set once, and when it is
        # due, it is set again for the call that is in the slot by then.
        self._timer: asyncio.TimerHandle | None = None
        self._ends_at = math.inf
        self._timed_out = False
        self._worker: asyncio.Task[Any] | None = None

    def __enter__(self) -> Self:
        self._worker = asyncio.current_task()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def begin(self, key: Key, clock_offset: float) -> None:
        """Begin a call."""
        self.key = key
        self.clock_offset = clock_offset
        self.admitted_at = None
        self.limiter_seconds = 0.0
        self.sent = False

    def end(self) -> bool:
        """End the call, whatever became of it, and return whether its time ran out, and that alone cancelled it."""
        self._ends_at = math.inf
        if not self._timed_out:
            return False
        self._timed_out = False
        assert self._worker is not None  # noqa: S101 - it was cancelled
        return self._worker.uncancel() == 0

    def _expire(self) -> None:
        self._timer = None
        if self._ends_at == math.inf:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._ends_at:
            self._timer = loop.call_at(self._ends_at, self._expire)
        elif self._worker is not None:
            self._timed_out = True
            self._worker.cancel()

    async def admit(self) -> None:
        """Wait for the permit; from here on the call's time runs."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        await self._limiter.acquire()
        if self.key.refused:
            raise _KeyRefusedError
        self.permit_at = now = loop.time()
        self.limiter_seconds += now - asked_at
        self._ends_at = now + self._timeout_seconds
        if self._timer is None:
            self._timer = loop.call_at(self._ends_at, self._expire)
        self.sent = True
        self._meter.add(now)
        # A second permit, because the connection had died: the call has left the queue already.
        if self.admitted_at is None:
            self.admitted_at = now
            self._on_admitted()


class Caller:
    """Makes calls of one action to one endpoint, with one key at a time.

    Attributes:
        clock_offset: seconds by which the server's clock is ahead of ours, as far as it has told.
        key: what calls are signed with from now on.
        renewed: returns when a key that was refused has been replaced, or raises a StopcastError if it cannot be.
    """

    def __init__(self, transport: Transport, signer: Signer, action: Action, query: str) -> None:
        self._transport = transport
        self._action = action
        self._query = query
        self.key = Key(signer)
        self.renewed: Callable[[], Awaitable[None]] | None = None
        self.clock_offset = 0.0

    async def call(self, task: Task, slot: Slot) -> Reply:
        """Make one attempt and return what came of it, be it an answer or none.

        Raises:
            EndpointError: the endpoint's certificate is not to be trusted.
            HaltedError: the key is refused, and no other one is to be had.
        """
        request = self._action.request(task, self._query)
        while True:
            key = self.key
            slot.begin(key, self.clock_offset)
            if key.refused and self.renewed is not None:
                await self.renewed()
                continue
            try:
                return await self._call(request, slot)
            except _KeyRefusedError:
                continue

    async def _call(self, request: Request, slot: Slot) -> Reply:
        headers = slot.key.signer.sign(request, time.time() + slot.clock_offset)
        # The one secret that is sent. Some servers and proxies send back what they were sent.
        token = headers.get("X-Security-Token", "")
        timed_out = False
        try:
            try:
                status, answer_headers, answer = await self._transport.send(
                    request.body, headers, slot.admit, request.query
                )
            finally:
                timed_out = slot.end()
        except TransportError as error:
            if error.untrusted:
                raise EndpointError(f"{error}. Nothing was sent; TLS is always verified") from error
            slot.sent = slot.sent and not error.unsent
            reply = Reply(None, readable=False, message=hide(str(error), token))
        except asyncio.CancelledError:
            # Somebody else may have cancelled the call as well, and then that is what counts.
            if not timed_out:
                raise
            reply = Reply(None, readable=False, message="no whole answer in time")
        else:
            reply = self._action.read(status, answer_headers, answer, token)
        return reply
