"""What follows from an answer: a table by verdict, and a pure function for what depends on the answers before.

No clock, no asyncio, no I/O. ``attempts`` applies what is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stopcast.api.answers import Reply
from stopcast.api.verdict import Verdict
from stopcast.engine.key import KeyState
from stopcast.engine.retry import RetryPolicy
from stopcast.errors import ClockRefusedError, CredentialsRefusedError, HaltedError, UnknownRefusalsError
from stopcast.marking import N_
from stopcast.tasks.outcome import Status

#: Refusals of the account in a row after which no further call is made.
REFUSALS: Final = 3
#: Refusals in a row with one unknown code after which no further call is made.
UNKNOWN_REFUSALS: Final = 50
#: Two offsets of a clock that was not set differ by less: the API's Date has whole seconds, and an answer takes time.
_SAME_CLOCK_SECONDS: Final = 60.0
#: Refusals that another key may undo: the key is gone, the token has expired, the secret belongs to another one.
_OF_THE_KEY: Final = frozenset(
    {"InvalidAccessKey", "InvalidClientTokenId", "InvalidCredential", "InvalidSecretToken", "SignatureDoesNotMatch"}
)
_NUMBERS_OF_THE_KEY: Final = frozenset({100009, 100010, 100026})


class Rule(NamedTuple):
    """What an answer of one verdict means, whatever the answers before it were.

    Attributes:
        status: the task's status at its end; None where it does not end, or where the action decides.
        concludes: whether the action decides the task's status.
        proves_key: whether only an accepted key, and an accepted time, can bring this answer.
        slows: whether every call of the account has to slow down.
        doubtful: whether the API may have done its work all the same.
    """

    status: Status | None = None
    concludes: bool = False
    proves_key: bool = False
    slows: bool = False
    doubtful: bool = False


RULES: Final[Mapping[Verdict, Rule]] = {
    Verdict.OK: Rule(concludes=True, proves_key=True),
    Verdict.NO_SUCH_TASK: Rule(concludes=True, proves_key=True),
    Verdict.TASK: Rule(status=Status.FAILED, proves_key=True),
    Verdict.APPLICATION: Rule(status=Status.SET_ASIDE, proves_key=True),
    Verdict.UNKNOWN_REFUSAL: Rule(status=Status.SET_ASIDE),
    Verdict.UNKNOWN_ACCOUNT: Rule(),
    Verdict.ACCOUNT: Rule(),
    Verdict.CLOCK: Rule(),
    Verdict.THROTTLED: Rule(slows=True),
    Verdict.TRANSIENT: Rule(doubtful=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """What the answers so far have shown of the account.

    Attributes:
        action: the name of the action that the account needs the right to.
        key: what is known of the key.
        refusals: answers in a row that refused the account.
        renewable: whether another key can be fetched.
        replaces_refused: whether the key took the place of a refused one, and no answer has accepted it yet.
        clock_offset: seconds that are added to the time of this machine in a signature.
        clock_corrected: whether that was corrected, and no answer has accepted it yet.
        unknown_code: of the last answers in a row that were refused with one unknown code; None where they were not.
        unknown_refusals: how many these are.
        suspects: AppIds whose last call met an unknown refusal of the account, and whether a call for another AppId
            has succeeded since.
    """

    action: str = "StopWebcast"
    key: KeyState = KeyState.UNPROVEN
    refusals: int = 0
    renewable: bool = False
    replaces_refused: bool = False
    clock_offset: float = 0.0
    clock_corrected: bool = False
    unknown_code: str | None = None
    unknown_refusals: int = 0
    suspects: Mapping[str, bool] = field(default_factory=dict)


class Tried(NamedTuple):
    """An attempt, as far as a decision depends on it.

    Attributes:
        app_id: of its task.
        attempts: calls made for the task, this one included.
        seconds: the time since the first of them, without the time in which no call could be made.
        reply: what the answer says.
        stale_key: whether it was signed with a key that is not the current one.
        clock_offset: the offset with which it was signed.
        now: Unix time in seconds, by the clock of this machine.
    """

    app_id: str
    attempts: int
    seconds: float
    reply: Reply
    stale_key: bool = False
    clock_offset: float = 0.0
    now: float = 0.0


class Settle(NamedTuple):
    """The task ends with this status; None where the action decides it."""

    status: Status | None


class RetryAfter(NamedTuple):
    """The task is tried again after these seconds."""

    seconds: float


class SetAside(NamedTuple):
    """The task ends, and no other task of this AppId is sent."""

    app_id: str


class RenewKey(NamedTuple):
    """The task is tried again with another key, and until then no call is made."""


class CorrectClock(NamedTuple):
    """The task is tried again at once, and calls are signed with this offset from now on."""

    offset_seconds: float


class Halt(NamedTuple):
    """No further call is made."""

    error: HaltedError


Decision = Settle | RetryAfter | SetAside | RenewKey | CorrectClock | Halt


def decide(verdict: Verdict, tried: Tried, account: AccountState, policy: RetryPolicy) -> Decision:
    """Return what follows from an answer."""
    if (depends := _DEPENDS_ON_THE_ACCOUNT.get(verdict)) is not None:
        return depends(tried, account, policy)
    rule = RULES[verdict]
    if rule.concludes or rule.status is not None:
        return Settle(rule.status)
    return _retry(tried, policy)


def _retry(tried: Tried, policy: RetryPolicy) -> Decision:
    wait = policy.next_wait(attempts=tried.attempts, seconds=tried.seconds, retry_after=tried.reply.retry_after)
    return Settle(Status.GAVE_UP) if wait is None else RetryAfter(wait)


def _retry_at_once(tried: Tried, policy: RetryPolicy) -> Decision:
    return Settle(Status.GAVE_UP) if tried.attempts >= policy.max_attempts else RetryAfter(0.0)


def _account_refused(tried: Tried, account: AccountState, policy: RetryPolicy) -> Decision:
    if _was_for_another_key(tried, account):
        return _retry_at_once(tried, policy)
    # A key that replaced a refused one is the last hope: no third one is fetched.
    if account.renewable and not account.replaces_refused and _is_of_the_key(tried.reply):
        return RenewKey()
    if _is_last_refusal(account):
        return Halt(refusal_error(tried.reply, account.action))
    return _retry(tried, policy)


def _was_for_another_key(tried: Tried, account: AccountState) -> bool:
    return tried.stale_key or account.key in {KeyState.RENEWING, KeyState.DEAD}


def _is_last_refusal(account: AccountState) -> bool:
    return account.refusals + 1 >= REFUSALS or account.key is KeyState.ON_TRIAL


def _account_refused_by_unknown_code(tried: Tried, account: AccountState, policy: RetryPolicy) -> Decision:
    if _was_for_another_key(tried, account):
        return _retry_at_once(tried, policy)
    if _is_last_refusal(account):
        return Halt(refusal_error(tried.reply, account.action))
    # Calls for other AppIds succeed in between, so the account is not what is refused.
    if account.suspects.get(tried.app_id, False):
        return SetAside(tried.app_id)
    return _retry(tried, policy)


def _clock_refused(tried: Tried, account: AccountState, policy: RetryPolicy) -> Decision:
    # Calls that were in flight together are refused together; only the first of them corrects anything.
    if tried.clock_offset != account.clock_offset:
        return _retry_at_once(tried, policy)
    reply = tried.reply
    offset = None if reply.server_time is None else reply.server_time - tried.now
    # Another correction can only help where this machine's clock was set after the last one.
    if offset is None or (account.clock_corrected and abs(offset - account.clock_offset) < _SAME_CLOCK_SECONDS):
        return Halt(
            ClockRefusedError(
                f"the API refuses the request's time: {reply.message or reply.code} (request {reply.request_id}). "
                f"Set this machine's clock"
            )
        )
    return CorrectClock(offset)


def _app_refused(tried: Tried, _account: AccountState, _policy: RetryPolicy) -> Decision:
    return SetAside(tried.app_id)


def _refused_by_unknown_code(tried: Tried, account: AccountState, _policy: RetryPolicy) -> Decision:
    if _streak(tried, account) < UNKNOWN_REFUSALS:
        return Settle(Status.SET_ASIDE)
    quoted = _why_refused(tried.reply)
    return Halt(
        UnknownRefusalsError(
            f"the API refused {UNKNOWN_REFUSALS} tasks in a row with a code that stopcast does not know: "
            f"{quoted}. Look the code up, and continue with --resume: these tasks are set aside"
        )
    )


def _streak(tried: Tried, account: AccountState) -> int:
    return account.unknown_refusals + 1 if account.unknown_code == code_of(tried.reply) else 1


def code_of(reply: Reply) -> str:
    """Return the code of a refusal, or its number where it has no code."""
    return reply.code or str(reply.code_number)


def _is_of_the_key(reply: Reply) -> bool:
    return (reply.code or "").partition(".")[0] in _OF_THE_KEY or reply.code_number in _NUMBERS_OF_THE_KEY


def _why_refused(reply: Reply) -> str:
    code, message = code_of(reply), reply.message or N_("no message")
    return f"{code}: {message} (request {reply.request_id})"


def refusal_error(reply: Reply, action: str, failure: Exception | None = None) -> CredentialsRefusedError:
    """Return the error for an account that is refused, with what to check.

    Args:
        reply: the refusal.
        action: what was refused.
        failure: why there are no other credentials, None if they were not looked for.
    """
    quoted = _why_refused(reply)
    if failure is None:
        return CredentialsRefusedError(
            f"the API refuses the account's calls: {quoted}. Check the access key, its secret, its rights for "
            f"{action}, and the region"
        )
    return CredentialsRefusedError(
        f"the API refuses the account's calls: {quoted}. No other credentials were to be had: {failure}. Check the "
        f"access key, its secret, its rights for {action}, and the region"
    )


#: What the answers before decide as well.
_DEPENDS_ON_THE_ACCOUNT: Final[Mapping[Verdict, Callable[[Tried, AccountState, RetryPolicy], Decision]]] = {
    Verdict.APPLICATION: _app_refused,
    Verdict.ACCOUNT: _account_refused,
    Verdict.UNKNOWN_ACCOUNT: _account_refused_by_unknown_code,
    Verdict.UNKNOWN_REFUSAL: _refused_by_unknown_code,
    Verdict.CLOCK: _clock_refused,
}
