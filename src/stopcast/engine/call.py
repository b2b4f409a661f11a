"""One call: sign, wait for the permit with a connection in hand, send, read. It never decides what an answer means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from stopcast.api import Reply, read_answer, request_body
from stopcast.errors import EndpointError
from stopcast.ports import Limiter, Transport, TransportError
from stopcast.rolling_window import RollingWindow
from stopcast.signing import Signer
from stopcast.task import Task


class Slot:
    """A place among the calls in flight, used by one call after another.

    Attributes:
        admitted_at: loop time at which the present call got its permit, None before that.
        sent: whether the API may have seen the present call.
        clock_offset: that the present call was signed with.
    """

    __slots__ = (
        "_limiter",
        "_meter",
        "_on_admitted",
        "_timeout_seconds",
        "admitted_at",
        "clock_offset",
        "deadline",
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
        self.sent = False
        self.clock_offset = 0.0
        self.deadline: asyncio.Timeout

    async def admit(self) -> None:
        """Wait for the permit; from here on the call's time runs."""
        await self._limiter.acquire()
        now = asyncio.get_running_loop().time()
        self.deadline.reschedule(now + self._timeout_seconds)
        self.sent = True
        self._meter.add(now)
        # A second permit, because the connection had died: the call has left the queue already.
        if self.admitted_at is None:
            self.admitted_at = now
            self._on_admitted()


class Caller:
    """Makes calls to one endpoint with one key.

    Attributes:
        clock_offset: seconds by which the server's clock is ahead of ours, as far as it has told.
        signer: signs each call anew.
    """

    def __init__(self, transport: Transport, signer: Signer) -> None:
        self._transport = transport
        self.signer = signer
        self.clock_offset = 0.0

    async def call(self, task: Task, slot: Slot) -> Reply:
        """Make one attempt and return what came of it, be it an answer or none.

        Raises:
            EndpointError: the endpoint's certificate is not to be trusted.
        """
        body = request_body(task)
        slot.admitted_at = None
        slot.sent = False
        slot.clock_offset = self.clock_offset
        headers = self.signer.sign(body, time.time() + self.clock_offset)
        try:
            async with asyncio.timeout(None) as slot.deadline:
                status, answer_headers, answer = await self._transport.post(body, headers, slot.admit)
        except TransportError as error:
            if error.untrusted:
                raise EndpointError(f"{error}. Nothing was sent; TLS is always verified") from error
            slot.sent = slot.sent and not error.unsent
            return Reply(None, readable=False, message=str(error))
        except TimeoutError:
            return Reply(None, readable=False, message="no whole answer in time")
        return read_answer(status, answer_headers, answer)
