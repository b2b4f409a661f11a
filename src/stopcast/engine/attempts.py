"""One task until it has an outcome: what each answer makes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from stopcast.api.actions import Action
from stopcast.api.answers import Reply
from stopcast.api.verdict import Verdict, judge
from stopcast.engine.call import Caller, Slot
from stopcast.engine.feed import Job
from stopcast.engine.guard import Guard
from stopcast.engine.pace import Pace
from stopcast.engine.refresh import Refresher
from stopcast.engine.retry import RetryPolicy
from stopcast.events import AppSetAside, AttemptFinished, ClockCorrected, RetryPlanned, Throttled
from stopcast.ports import Limiter
from stopcast.tasks.outcome import Outcome, Status


class Attempts:
    """Makes attempts, and says after each whether the job has ended or how long it waits for the next.

    One for all tasks of an account: what one answer says of the account, the clock or an AppId holds for the others.

    Attributes:
        guard: remembers what the answers say.
        refresher: replaces the account's key; None for one that stays as it is.
    """

    def __init__(
        self,
        caller: Caller,
        limiter: Limiter,
        policy: RetryPolicy,
        *,
        action: Action,
        clock: Callable[[], float],
    ) -> None:
        self._caller = caller
        self._action = action
        self._limiter = limiter
        self._policy = policy
        self._clock = clock
        self.pace = Pace(limiter)
        self.guard = Guard(action.name)
        self.refresher: Refresher | None = None

    async def attempt(self, job: Job, slot: Slot) -> Outcome | float:
        """Make one attempt. Return the outcome, or the seconds to wait before the next attempt.

        Raises:
            HaltedError: every further call would fail alike.
        """
        flights = job.feed.flights
        if flights is None:
            return await self._attempt(job, slot)
        flights.begin(job.task, job.identity)
        result: Outcome | float = 0.0
        try:
            result = await self._attempt(job, slot)
        finally:
            # With an outcome it is in doubt until its line is written, and then that line tells.
            if not (job.in_doubt or isinstance(result, Outcome)):
                flights.end([job.task])
        return result

    async def _attempt(self, job: Job, slot: Slot) -> Outcome | float:
        started_at = self._clock()
        try:
            reply = await self._caller.call(job.task, slot)
        except asyncio.CancelledError:
            job.in_doubt = job.in_doubt or slot.sent
            raise
        job.attempts += 1
        if job.attempts == 1:
            job.first_at = slot.admitted_at or started_at
        verdict = judge(reply)
        if job.feed.observed:
            self._take_down(job, slot, reply, verdict, started_at)
        if self.pace.slowed:
            self.pace.tell(job.feed.observe)
        if verdict is Verdict.OK:
            self.guard.accepted()
            status = self._action.conclude(reply, job.in_doubt)
            return job.outcome(status, seconds=self._clock() - job.first_at, reply=reply)
        return self._next(job, slot, reply, verdict)

    def _next(self, job: Job, slot: Slot, reply: Reply, verdict: Verdict) -> Outcome | float:
        seconds = self._clock() - job.first_at
        match verdict:
            case Verdict.NO_SUCH_TASK:
                self.guard.accepted()
                status = self._action.conclude(reply, job.in_doubt)
                return job.outcome(status, seconds=seconds, reply=reply)
            case Verdict.TASK | Verdict.UNKNOWN_REFUSAL:
                self.guard.accepted()
                return job.outcome(Status.FAILED, seconds=seconds, reply=reply)
            case Verdict.APPLICATION:
                self.guard.accepted()
                if job.task.app_id not in self.guard.set_aside:
                    self.guard.set_aside.add(job.task.app_id)
                    job.feed.observe(AppSetAside(job.task.app_id, reply.code))
                return job.outcome(Status.FAILED, seconds=seconds, reply=reply)
            case Verdict.ACCOUNT | Verdict.UNKNOWN_ACCOUNT if not self._another_key(slot, reply):
                self.guard.account_refused(reply)
            case Verdict.ACCOUNT | Verdict.UNKNOWN_ACCOUNT | Verdict.CLOCK:
                return self._mended(job, slot, reply, verdict)
            case Verdict.THROTTLED:
                self._limiter.hold(reply.retry_after or 0.0)
                job.feed.observe(Throttled(reply.retry_after or 0.0))
                self.pace.tell(job.feed.observe)
            case _:
                # The API may have done its work and lost only the answer.
                job.in_doubt = job.in_doubt or (slot.sent and self._action.changes)
        wait = self._policy.next_wait(attempts=job.attempts, seconds=seconds, retry_after=reply.retry_after)
        if wait is None:
            return job.outcome(Status.GAVE_UP, seconds=seconds, reply=reply)
        return self._again(job, reply, wait)

    def _mended(self, job: Job, slot: Slot, reply: Reply, verdict: Verdict) -> Outcome | float:
        """Go on at once with another key, or with the clock corrected."""
        if verdict is Verdict.CLOCK:
            self._correct_clock(job, slot, reply)
        if job.attempts >= self._policy.max_attempts:
            return job.outcome(Status.GAVE_UP, seconds=self._clock() - job.first_at, reply=reply)
        return self._again(job, reply, 0.0)

    def _again(self, job: Job, reply: Reply, wait_seconds: float) -> float:
        job.feed.observe(RetryPlanned(job.task, job.attempts, reply.code or reply.message or "", wait_seconds))
        return wait_seconds

    def _take_down(self, job: Job, slot: Slot, reply: Reply, verdict: Verdict, started_at: float) -> None:
        now = self._clock()
        answer_seconds = now - slot.permit_at if slot.admitted_at is not None else 0.0
        attempt = AttemptFinished(
            task=job.task,
            action=self._action.name,
            attempt=job.attempts,
            verdict=verdict.name.lower(),
            http_status=reply.http_status,
            code=reply.code,
            message=reply.message,
            request_id=reply.request_id,
            connection_seconds=max(0.0, now - started_at - slot.limiter_seconds - answer_seconds),
            limiter_seconds=slot.limiter_seconds,
            answer_seconds=answer_seconds,
            finished_at=time.time(),
        )
        job.history = (*job.history, attempt)
        job.feed.observe(attempt)

    def _another_key(self, slot: Slot, reply: Reply) -> bool:
        """Whether the call is to be made again with another key, there already or being asked for."""
        key, refresher = self._caller.key, self.refresher
        if slot.key is not key or key.refused:
            return True
        if refresher is None or not self.guard.new_key_may_help(reply):
            return False
        refresher.refused(reply)
        return True

    def _correct_clock(self, job: Job, slot: Slot, reply: Reply) -> None:
        before = self._caller.clock_offset
        after = self.guard.clock_refused(reply, now=time.time(), signed_offset=slot.clock_offset, offset=before)
        if after != before:
            self._caller.clock_offset = after
            if self.refresher is not None:
                self.refresher.clock_corrected()
            job.feed.observe(ClockCorrected(after))
