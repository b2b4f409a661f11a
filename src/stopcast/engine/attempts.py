"""One attempt for a job: make the call, decide what follows from its answer, and apply that."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from stopcast.api.answers import Reply
from stopcast.api.verdict import Verdict, judge
from stopcast.engine.call import Attempt, Caller
from stopcast.engine.decisions import RULES, CorrectClock, Decision, Halt, RenewKey, RetryAfter, SetAside, Tried, decide
from stopcast.engine.job import Job
from stopcast.engine.refresh import Refresher
from stopcast.engine.retry import RetryPolicy
from stopcast.engine.slot import Interrupt, Slot
from stopcast.engine.working_time import WorkingTime
from stopcast.errors import CredentialsRefusedError, HaltedError
from stopcast.events import (
    AppSetAside,
    AttemptFinished,
    CallsResumed,
    ClockCorrected,
    CredentialsRefused,
    Event,
    RateChanged,
    RetryPlanned,
    Throttled,
)
from stopcast.making import maker
from stopcast.tasks.outcome import Outcome, Status

#: Of the full rate: the rate climbs all the time, and a change of this size is worth an event.
_RATE_STEP: Final = 1 / 20
make_attempt_finished: Final = maker(AttemptFinished)
_NO_ANSWER: Final = Reply(None, readable=False, message="the call was cut off before its answer came")
_BROKEN_OFF: Final = Reply(None, readable=False, message="an unexpected error ended the call")


class Settled(NamedTuple):
    """The job has its outcome, after these calls: those that were observed. With an error, no further call is made."""

    job: Job
    outcome: Outcome
    calls: Sequence[AttemptFinished]
    error: HaltedError | None = None


class Retry(NamedTuple):
    """The job waits for its next attempt."""

    job: Job
    wait_seconds: float


class Interrupted(NamedTuple):
    """The attempt was interrupted."""

    job: Job
    why: Interrupt


Result = Settled | Retry | Interrupted


class Attempts:
    """Makes the attempts of one account's jobs.

    Args:
        caller: makes the calls, of one action for one account.
        policy: when to try again, and how often.
        working_time: the loop's time, and how much of it was paused.
        refresher: fetches another key when one is needed; None where there is no other.
    """

    def __init__(
        self,
        caller: Caller,
        policy: RetryPolicy,
        *,
        working_time: WorkingTime,
        refresher: Refresher | None,
    ) -> None:
        self._caller = caller
        self._action = caller.action
        self._account = caller.account
        self._limiter = caller.limiter
        self._policy = policy
        self._working_time = working_time
        self._refresher = refresher
        self._rate_reported = 0.0
        self._slowed = False

    def without_call(self, job: Job) -> Outcome | None:
        """Return the outcome of a job that no call is to be made for, None for one that is to be sent."""
        refusal = self._account.set_aside.get(job.task.app_id)
        if refusal is not None:
            reply = Reply(None, code=refusal.code, message=refusal.message)
            return _end(job, Status.SET_ASIDE, job.last if job.attempts else reply)
        if job.attempts and self._policy.is_over(self._worked(job)):
            return job.gave_up()
        return None

    async def attempt(self, job: Job, slot: Slot) -> Result:
        """Make one attempt.

        Raises:
            EndpointError: the endpoint's certificate is not to be trusted.
            ReportError: the note of the call could not be written, so that it was not made.
        """
        started_at = self._working_time.now()
        attempt = await self._caller.call(job, slot)
        reply = attempt.reply
        if reply is None:
            assert attempt.interrupt is not None, "a call has a reply or was interrupted"  # noqa: S101 - an invariant
            if attempt.sent:
                job = self._tried(job, attempt, _NO_ANSWER, started_at, doubtful=True)
            elif job.origin.flights is not None and not job.in_doubt:
                # The note of a call is written even where its permit turns out to be too old.
                job.origin.flights.end([job.task])
            return Interrupted(job, attempt.interrupt)
        verdict = judge(reply)
        calls = job.history
        if job.origin.observed:
            event = self._event(job, attempt, reply, verdict, started_at)
            job.origin.observe(event)
            calls = (*calls, event)
        if self._slowed:
            self.report_rate(job.origin.observe)
        if verdict is Verdict.OK:
            self._accepted(job)
            status = self._action.conclude(reply, job.in_doubt)
            first_at = self._first_at(job, attempt, started_at)
            return Settled(job, job.outcome(status, reply, attempts=job.attempts + 1, first_at=first_at), calls)
        job = self._tried(job, attempt, reply, started_at, doubtful=RULES[verdict].doubtful, calls=calls)
        return self._apply(job, attempt, reply, verdict)

    def broken_off(self, job: Job, sent_at: float) -> Job:
        """Return the job after an attempt that was sent, and that an unexpected error ended."""
        attempt = Attempt(None, sent=True, permit_at=sent_at, limiter_seconds=0.0, signer=None, clock_offset=0.0)
        return self._tried(job, attempt, _BROKEN_OFF, sent_at, doubtful=True)

    @staticmethod
    def _first_at(job: Job, attempt: Attempt, started_at: float) -> float:
        return job.first_at if job.attempts else attempt.permit_at or started_at

    def _tried(
        self,
        job: Job,
        attempt: Attempt,
        reply: Reply,
        started_at: float,
        *,
        doubtful: bool,
        calls: Sequence[AttemptFinished] = (),
    ) -> Job:
        """Return the job after an attempt that did not end it well."""
        return job._replace(
            attempts=job.attempts + 1,
            unsent=job.unsent + (not attempt.sent),
            first_at=self._first_at(job, attempt, started_at),
            paused_before=job.paused_before if job.attempts else self._working_time.paused_seconds,
            in_doubt=job.in_doubt or (doubtful and attempt.sent and self._action.stops_tasks),
            last=reply,
            history=calls or job.history,
        )

    def _apply(self, job: Job, attempt: Attempt, reply: Reply, verdict: Verdict) -> Result:
        account, rule = self._account, RULES[verdict]
        app_id = job.task.app_id
        tried = Tried(
            app_id=app_id,
            attempts=job.attempts,
            seconds=self._worked(job),
            reply=reply,
            stale_key=attempt.signer is not account.key.current(),
            clock_offset=attempt.clock_offset,
            now=time.time(),
        )
        decision = decide(verdict, tried, account.state, self._policy)
        if rule.proves_key:
            self._accepted(job)
        if rule.slows:
            self._limiter.hold(reply.retry_after or 0.0)
            job.origin.observe(Throttled(reply.retry_after or 0.0))
            self.report_rate(job.origin.observe)
        return self._carry_out(decision, job, reply, verdict, stale_key=tried.stale_key)

    def _accepted(self, job: Job) -> None:
        if self._account.accepted(job.task.app_id):
            job.origin.observe(CallsResumed())

    def _carry_out(self, decision: Decision, job: Job, reply: Reply, verdict: Verdict, *, stale_key: bool) -> Result:
        account, app_id = self._account, job.task.app_id
        match decision:
            case RenewKey():
                self._renew_key(job, reply)
                return self._again(job, reply, 0.0)
            case CorrectClock(offset):
                self._correct_clock(job, offset)
                return self._again(job, reply, 0.0)
            case Halt(error):
                if isinstance(error, CredentialsRefusedError):
                    account.key.died(error)
                status = RULES[verdict].status or Status.GAVE_UP
                return Settled(job, _end(job, status, reply), job.history, error)
            case SetAside():
                if account.leave_out(app_id, reply):
                    job.origin.observe(AppSetAside(app_id, reply.code))
                return self._settled(job, Status.SET_ASIDE, reply)
        if verdict in {Verdict.ACCOUNT, Verdict.UNKNOWN_ACCOUNT, Verdict.UNKNOWN_REFUSAL} and not stale_key:
            account.refused(verdict, app_id, reply)
        if isinstance(decision, RetryAfter):
            return self._again(job, reply, decision.seconds)
        return self._settled(job, decision.status, reply)

    def _settled(self, job: Job, status: Status | None, reply: Reply) -> Settled:
        if status is None:
            status = self._action.conclude(reply, job.in_doubt or job.origin.in_doubt(job.task))
        return Settled(job, _end(job, status, reply), job.history)

    def _again(self, job: Job, reply: Reply, wait_seconds: float) -> Result:
        if job.attempts >= self._policy.max_attempts or job.origin.ending:
            return self._settled(job, Status.GAVE_UP, reply)
        if job.origin.flights is not None and not job.in_doubt:
            # With an outcome it is in doubt until its line is written, and then the line says how it ended.
            job.origin.flights.end([job.task])
        job.origin.observe(RetryPlanned(job.task, job.attempts, reply.code or reply.message or "", wait_seconds))
        return Retry(job, wait_seconds)

    def _worked(self, job: Job) -> float:
        """Return the seconds since the job's first attempt in which calls could be made."""
        paused = self._working_time.paused_seconds - job.paused_before
        return self._working_time.now() - job.first_at - paused

    def _renew_key(self, job: Job, reply: Reply) -> None:
        self._account.key.renew()
        job.origin.observe(CredentialsRefused(reply.code))
        if self._refresher is not None:
            self._refresher.refused(reply)

    def _correct_clock(self, job: Job, offset_seconds: float) -> None:
        self._account.correct_clock(offset_seconds)
        if self._refresher is not None:
            self._refresher.clock_corrected()
        job.origin.observe(ClockCorrected(offset_seconds))

    def report_rate(self, observe: Callable[[Event], None]) -> None:
        """Emit the limiter's rate, if it is a step away from what was emitted last, or at its full height again."""
        rate, full = self._limiter.rate, self._limiter.full_rate
        if rate is None or full is None:
            return
        if abs(rate - self._rate_reported) >= full * _RATE_STEP or (rate < full) != self._slowed:
            self._rate_reported, self._slowed = rate, rate < full
            observe(RateChanged(rate, full))

    def _event(self, job: Job, attempt: Attempt, reply: Reply, verdict: Verdict, started_at: float) -> AttemptFinished:
        now = self._working_time.now()
        answer_seconds = 0.0 if attempt.permit_at is None else now - attempt.permit_at
        return make_attempt_finished(
            task=job.task,
            action=self._action.name,
            attempt=job.attempts + 1,
            sent=attempt.sent,
            verdict=verdict.name.lower(),
            http_status=reply.http_status,
            code=reply.code,
            message=reply.message,
            request_id=reply.request_id,
            connection_seconds=max(0.0, now - started_at - attempt.limiter_seconds - answer_seconds),
            limiter_seconds=attempt.limiter_seconds,
            answer_seconds=answer_seconds,
            finished_at=time.time(),
        )


def _end(job: Job, status: Status, reply: Reply) -> Outcome:
    return job.outcome(status, reply, attempts=job.attempts, first_at=job.first_at)
