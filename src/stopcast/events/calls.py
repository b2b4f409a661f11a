"""The events of tasks, calls, credentials, accounts and AppIds, and how the log shows an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Task

# The levels of ``logging``, which takes as long to import as all events.
DEBUG: Final = 10
INFO: Final = 20
WARNING: Final = 30
ERROR: Final = 40


class LogEntry(NamedTuple):
    """How the log shows an event.

    Attributes:
        name: the event's name in the log and in metrics; it does not change.
        level: of ``logging``. At INFO a long run logs little while all is well.
        sentence: with the event in place of ``{0}``; ``:duration`` and ``:signed`` format seconds.
    """

    name: str
    level: int
    sentence: str


@dataclass(frozen=True, slots=True)
class TaskRefused:
    """A row has its outcome without a call: ``invalid``, ``duplicate`` or ``set_aside``."""

    log_entry: ClassVar = LogEntry("task_refused", DEBUG, "no call made: {0.outcome.status}")
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFinished:
    """One attempt at a call has ended, with or without an answer. A cancelled one has no such event.

    Attributes:
        task: whose call it was.
        action: the API's name for the action: ``StopWebcast`` or ``GetWebCastTask``.
        attempt: its number among the task's attempts, from 1.
        verdict: what the answer means, the name of a ``stopcast.api.verdict.Verdict`` in lower case: ``ok``,
            ``no_such_task``, ``throttled``, ``transient``, ``clock``, ``account``, ``application``, ``task``,
            ``unknown_account``, ``unknown_refusal``.
        http_status: of the answer, None where no answer came.
        code: the API's error code.
        message: the API's message, or what went wrong below HTTP.
        request_id: identifies the call for the vendor's support.
        connection_seconds: time to sign the call and to wait for a connection.
        limiter_seconds: time to wait for the permit, connection in hand.
        answer_seconds: from the permit to the end of the answer; 0 for a call that had no permit.
        finished_at: Unix time.
        sent: whether the call can have left; it did not where there was no connection.
    """

    log_entry: ClassVar = LogEntry("attempt_finished", DEBUG, "attempt {0.attempt}: {0.verdict}")
    task: Task
    action: str
    attempt: int
    verdict: str
    http_status: int | None
    code: str | None
    message: str | None
    request_id: str | None
    connection_seconds: float
    limiter_seconds: float
    answer_seconds: float
    finished_at: float
    sent: bool = True

    @property
    def seconds(self) -> float:
        """The whole attempt."""
        return self.connection_seconds + self.limiter_seconds + self.answer_seconds


@dataclass(frozen=True, slots=True)
class RetryPlanned:
    """An attempt failed, and the next one follows after ``wait_seconds``."""

    log_entry: ClassVar = LogEntry(
        "retry_planned", INFO, "attempt {0.attempt} failed: {0.reason}; next attempt in {0.wait_seconds:.1f} s"
    )
    task: Task
    attempt: int
    reason: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """A task that calls were made for has its outcome. ``attempts`` are those calls in their order."""

    log_entry: ClassVar = LogEntry("task_finished", DEBUG, "task finished: {0.outcome.status}")
    outcome: Outcome
    attempts: tuple[AttemptFinished, ...]


@dataclass(frozen=True, slots=True)
class Throttled:
    """The API answered that the account calls too often. ``retry_after`` is the wait that it asked for, in seconds."""

    log_entry: ClassVar = LogEntry("throttled", DEBUG, "throttled; the API asks to wait {0.retry_after:duration}")
    retry_after: float


@dataclass(frozen=True, slots=True)
class RateChanged:
    """The rate of calls has changed: ``per_second`` calls a second go out while calls wait, ``full`` unthrottled.

    Emitted when a Stopper is entered, and then in steps of a twentieth of ``full``; only if the limiter has a rate.
    """

    log_entry: ClassVar = LogEntry("rate_changed", INFO, "rate: {0.per_second:.1f} of {0.full:.1f} calls a second")
    per_second: float
    full: float


@dataclass(frozen=True, slots=True)
class CredentialsRefused:
    """The API refuses the credentials. No call goes out until the provider has returned new ones."""

    log_entry: ClassVar = LogEntry(
        "credentials_refused", WARNING, "the API refuses the credentials ({0.code}); new ones are asked for"
    )
    code: str | None


@dataclass(frozen=True, slots=True)
class CredentialsRefreshFailed:
    """The provider returned no new credentials. It is asked again after ``wait_seconds``. The reason is no secret."""

    log_entry: ClassVar = LogEntry(
        "credentials_refresh_failed", WARNING, "no new credentials: {0.reason}; next try in {0.wait_seconds:duration}"
    )
    reason: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class CredentialsRefreshed:
    """Calls are signed with new credentials from now on.

    Attributes:
        source: where the credentials came from, in words; never a secret.
        expires_at: Unix time at which they expire, None where that is not known.
    """

    log_entry: ClassVar = LogEntry("credentials_refreshed", INFO, "new credentials from {0.source}")
    source: str
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class CallsEnded:
    """Calls have ended for good: the key is refused, too many tasks ended badly, a background task failed.

    It is not emitted for an end that was asked for, such as leaving the Stopper. The reason is no secret.
    """

    log_entry: ClassVar = LogEntry("calls_ended", WARNING, "no further call is made: {0.reason}")
    reason: str


@dataclass(frozen=True, slots=True)
class CallsResumed:
    """The API accepts the key that it had refused for good. Calls are made again."""

    log_entry: ClassVar = LogEntry("calls_resumed", WARNING, "the API accepts the key again; calls are made again")


@dataclass(frozen=True, slots=True)
class AccountGivenUp:
    """No further call is made for this account; the calls of the other accounts go on. The reason is no secret."""

    log_entry: ClassVar = LogEntry("account_given_up", ERROR, "account {0.account} is given up: {0.reason}")
    account: str
    reason: str


@dataclass(frozen=True, slots=True)
class AppUnclaimed:
    """No account claims this AppId, so its tasks are not sent. Emitted once for each of the first twenty AppIds."""

    log_entry: ClassVar = LogEntry(
        "app_unclaimed", WARNING, "AppId {0.app_id} is claimed by no account; its tasks are not sent"
    )
    app_id: str


@dataclass(frozen=True, slots=True)
class AppSetAside:
    """The API refused an AppId for good. Its tasks that were not sent yet are not sent."""

    log_entry: ClassVar = LogEntry(
        "app_set_aside", WARNING, "the API refuses AppId {0.app_id} ({0.code}); its remaining tasks are set aside"
    )
    app_id: str
    code: str | None


@dataclass(frozen=True, slots=True)
class ClockCorrected:
    """The API refused our time. From now on requests are dated ``offset_seconds`` after the local clock."""

    log_entry: ClassVar = LogEntry(
        "clock_corrected",
        WARNING,
        "the API's clock differs from ours by {0.offset_seconds:signed}; requests are dated by it from now on",
    )
    offset_seconds: float


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A Stopper was closed. This is its last event.

    Attributes:
        calls: calls made, including retries.
        worst_second: the most calls in any second.
        mean_per_second: calls a second between the first and the last.
        seconds: how long the Stopper was open.
        error: what ended the calls early, None where nothing did.
    """

    log_entry: ClassVar = LogEntry("run_finished", INFO, "run finished: {0.calls} calls in {0.seconds:duration}")
    calls: int
    worst_second: int
    mean_per_second: float
    seconds: float
    error: str | None = None
