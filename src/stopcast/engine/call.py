"""One call: wait for the permit with a connection in hand, sign, send, read. It never decides what an answer means."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from stopcast.api.actions import Action
from stopcast.api.answers import Reply, hide, read_answer
from stopcast.api.signing import Signer
from stopcast.engine.account import Account
from stopcast.engine.job import Job
from stopcast.engine.slot import Interrupt, Slot
from stopcast.errors import EndpointError
from stopcast.limiters.clock import monotonic
from stopcast.limiters.rolling_window import RollingWindow
from stopcast.ports import Answer, Limiter, Request, Transport, TransportError

#: Answers whose request ids are remembered. More than can be in flight at once.
_IDS_REMEMBERED: Final = 4096


class Attempt(NamedTuple):
    """What one call came to, whatever ended it.

    Attributes:
        reply: what the answer says, or what happened instead of one; None where the call was interrupted.
        sent: whether the API may have seen it.
        permit_at: loop time at which it went out, None where it did not.
        limiter_seconds: how long it waited for permits.
        signer: what it was signed with, None where it was not.
        clock_offset: the offset with which it was signed.
        interrupt: why it has no reply.
    """

    reply: Reply | None
    sent: bool
    permit_at: float | None
    limiter_seconds: float
    signer: Signer | None
    clock_offset: float
    interrupt: Interrupt | None = None


class _NotAdmittedError(Exception):
    """The call must not go out now, although it has its permit.

    Attributes:
        why: what ended the call; None where it may be tried again at once.
    """

    def __init__(self, why: Interrupt | None = None) -> None:
        super().__init__()
        self.why = why


def _check_ours(job: Job) -> None:
    """Refuse a call for a row that belongs to another process by now."""
    ownership = job.origin.ownership
    if ownership is not None and not ownership.still_ours(job.task):
        raise _NotAdmittedError(Interrupt.LOST)


class _CallGate:
    """The gate of one call. Fills ``stopcast.ports.Gate``."""

    __slots__ = (
        "_caller",
        "_request",
        "_slot",
        "_usable_until",
        "clock_offset",
        "limiter_seconds",
        "permit_at",
        "signer",
    )

    def __init__(self, caller: Caller, slot: Slot, request: Request) -> None:
        self._caller = caller
        self._slot = slot
        self._request = request
        self._usable_until = math.inf
        self.limiter_seconds = 0.0
        self.permit_at: float | None = None
        self.signer: Signer | None = None
        self.clock_offset = 0.0

    async def permit(self) -> None:
        caller, job = self._caller, self._slot.job
        if job is not None:
            # Before the wait too: a permit without a call is lost to all processes that share a quota.
            _check_ours(job)
        asked_at = caller.now()
        await caller.limiter.acquire()
        self.limiter_seconds += caller.now() - asked_at
        usable_seconds = caller.limiter.permit_seconds
        # Not by the loop's clock: uvloop's stands still while a step runs.
        self._usable_until = math.inf if usable_seconds == math.inf else monotonic() + usable_seconds
        if self._slot.mark is not None:
            raise _NotAdmittedError(Interrupt.TAKEN_BACK)

    def admit(self) -> Mapping[str, str]:
        caller, slot = self._caller, self._slot
        job = slot.job
        if self.permit_at is not None:
            # aiohttp sends a GET once more by itself where the connection died. The engine has its own way to retry.
            raise TransportError("the connection was lost before an answer came")
        if job is None or slot.mark is not None:
            raise _NotAdmittedError(Interrupt.TAKEN_BACK)
        if not caller.account.key.usable:
            raise _NotAdmittedError
        origin = job.origin
        _check_ours(job)
        if origin.flights is not None:
            # The note comes first. Where it cannot be written, there is no call.
            origin.flights.begin(job.task, job.identity)
            # Its write blocks for as long as the disk is busy. The note stays, so that the next permit is not lost too.
            if self._usable_until != math.inf and monotonic() > self._usable_until:
                raise _NotAdmittedError
        now = caller.now()
        slot.sending(now)
        self.permit_at = now
        self.signer = caller.account.key.current()
        self.clock_offset = caller.account.clock_offset
        caller.admitted(now)
        return self.signer.sign(self._request, time.time() + self.clock_offset)


class Caller:
    """Makes calls of one action to one endpoint for one account.

    Args:
        transport: carries the requests.
        action: what the API is asked.
        query: the canonical query of the action.
        account: whose key signs the calls.
        limiter: says when a call may go out.
        meter: counts the calls that went out.

    Attributes:
        now: returns the loop's time.
    """

    def __init__(
        self,
        transport: Transport,
        action: Action,
        query: str,
        *,
        account: Account,
        limiter: Limiter,
        meter: RollingWindow,
    ) -> None:
        self._transport = transport
        self.now = asyncio.get_running_loop().time
        self.action = action
        self._query = query
        self.account = account
        self.limiter = limiter
        self._meter = meter
        self._on_admitted: Callable[[], None] = lambda: None
        self._seen_ids: set[str] = set()
        self._ids_in_order: deque[str] = deque()

    def when_admitted(self, act: Callable[[], None]) -> None:
        """Call ``act`` whenever a call has gone out."""
        self._on_admitted = act

    def admitted(self, now: float) -> None:
        """Count a call that goes out at this loop time."""
        self._meter.add(now)
        self._on_admitted()

    async def call(self, job: Job, slot: Slot) -> Attempt:
        """Make one call, and return what came of it.

        Raises:
            EndpointError: the endpoint's certificate is not to be trusted.
            StopcastError: no call could be made: the key is dead, or the note of the call could not be written.
        """
        request = self.action.request(job.task, self._query)
        while True:
            slot.begin(job)
            gate = _CallGate(self, slot, request)
            try:
                if not self.account.key.usable:
                    await self.account.key.wait()
                reply: Reply | None = self._read(await self._transport.send(request, gate), gate)
            except TransportError as error:
                if error.untrusted:
                    raise EndpointError(f"{error}. Nothing was sent; TLS is always verified") from error
                sent = slot.sent and not error.unsent
                reply = Reply(None, readable=False, message=hide(str(error), _token(gate)))
                return self._attempt(reply, gate, sent=sent, why=slot.end())
            except _NotAdmittedError as error:
                why = slot.end() or error.why
                if why is None:
                    continue
                return self._attempt(None, gate, sent=False, why=why)
            except asyncio.CancelledError:
                sent, why = slot.sent, slot.end()
                # Without any mark it is the transport's own: something that it waited for was cancelled.
                reply = None if why else Reply(None, readable=False, message="the connection was given up")
                return self._attempt(reply, gate, sent=sent, why=why)
            finally:
                slot.end()
            return self._attempt(reply, gate, sent=True, why=None)

    def _attempt(self, reply: Reply | None, gate: _CallGate, *, sent: bool, why: Interrupt | None) -> Attempt:
        if why is Interrupt.TIMED_OUT:
            reply, why = Reply(None, readable=False, message="no whole answer in time"), None
        elif why is Interrupt.CANCELLED and reply is None:
            # It is a failed attempt, as any other: what cancels every call must not make calls without end.
            reply, why = Reply(None, readable=False, message="something cancelled the call"), None
        elif reply is not None:
            why = None  # the answer was faster
        return Attempt(reply, sent, gate.permit_at, gate.limiter_seconds, gate.signer, gate.clock_offset, why)

    def _read(self, answer: Answer, gate: _CallGate) -> Reply:
        reply = read_answer(
            answer.status, answer.headers, answer.body, state_of=self.action.state_of, secret=_token(gate)
        )
        request_id = reply.request_id
        if request_id is None:
            return reply
        if request_id in self._seen_ids:
            # A second copy of an answer that another call has had. Whose answer comes next is not known. Its status is
            # that call's: a throttled one would say that this call did nothing.
            answer.drop()
            return Reply(None, readable=False, message=f"the answer {request_id} came before, to another call")
        self._seen_ids.add(request_id)
        self._ids_in_order.append(request_id)
        if len(self._ids_in_order) > _IDS_REMEMBERED:
            self._seen_ids.discard(self._ids_in_order.popleft())
        return reply


def _token(gate: _CallGate) -> str:
    """Return the one secret that is sent. Some servers and proxies send back what they were sent."""
    return (gate.signer.token if gate.signer is not None else None) or ""
