"""The events that observers receive while tasks are stopped: frozen values, and how each is logged.

An observer is a function of one event (``stopcast.Observer``), given to a Stopper. It is called on the event loop, and
so must return at once. Where the event belongs to a call of ``stop`` or ``stop_all``, it is called in the context
(``contextvars``) of that caller. Seconds are differences of a monotonic clock; moments are Unix time. Later versions
may add events, and fields at the end of these: match by class and by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, get_args

from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Task

#: The levels of ``logging``, which takes as long to import as the rest of this module.
_DEBUG, _INFO, _WARNING, _ERROR = 10, 20, 30, 40


class LogEntry(NamedTuple):
    """How the log shows an event.

    Attributes:
        name: the event's name in the log and in metrics; it does not change.
        level: of ``logging``. At INFO a long run logs little while all is well.
        sentence: with the event in place of ``{0}``.
    """

    name: str
    level: int
    sentence: str


@dataclass(frozen=True, slots=True)
class TaskRefused:
    """A row has its outcome without a call: ``invalid``, ``duplicate`` or ``set_aside``."""

    log_entry: ClassVar = LogEntry("task_refused", _DEBUG, "no call made: {0.outcome.status}")
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFinished:
    """One call has ended, with or without an answer. A cancelled call has no such event.

    Attributes:
        task: whose call it was.
        action: the API's name for the action: ``StopWebcast`` or ``GetWebCastTask``.
        attempt: the call's number among the task's calls, from 1.
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
    """

    log_entry: ClassVar = LogEntry("attempt_finished", _DEBUG, "attempt {0.attempt}: {0.verdict}")
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

    @property
    def seconds(self) -> float:
        """The whole attempt."""
        return self.connection_seconds + self.limiter_seconds + self.answer_seconds


@dataclass(frozen=True, slots=True)
class RetryPlanned:
    """An attempt failed, and the next one follows after ``wait_seconds``."""

    log_entry: ClassVar = LogEntry(
        "retry_planned", _INFO, "attempt {0.attempt} failed: {0.reason}; next attempt in {0.wait_seconds:.1f} s"
    )
    task: Task
    attempt: int
    reason: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """A task that calls were made for has its outcome. ``attempts`` are those calls in their order."""

    log_entry: ClassVar = LogEntry("task_finished", _DEBUG, "task finished: {0.outcome.status}")
    outcome: Outcome
    attempts: tuple[AttemptFinished, ...]


@dataclass(frozen=True, slots=True)
class Throttled:
    """The API answered that the account calls too often. ``retry_after`` is the wait that it asked for, in seconds."""

    log_entry: ClassVar = LogEntry("throttled", _DEBUG, "throttled; the API asks to wait {0.retry_after:.0f} s")
    retry_after: float


@dataclass(frozen=True, slots=True)
class RateChanged:
    """The rate of calls has changed: ``per_second`` calls a second go out while calls wait, ``full`` unthrottled.

    Emitted when a Stopper is entered, and then in steps of a twentieth of ``full``; only if the limiter has a rate.
    """

    log_entry: ClassVar = LogEntry("rate_changed", _INFO, "rate: {0.per_second:.1f} of {0.full:.1f} calls a second")
    per_second: float
    full: float


@dataclass(frozen=True, slots=True)
class CredentialsRefused:
    """The API refuses the credentials. No call goes out until the provider has returned new ones."""

    log_entry: ClassVar = LogEntry(
        "credentials_refused", _WARNING, "the API refuses the credentials ({0.code}); new ones are asked for"
    )
    code: str | None


@dataclass(frozen=True, slots=True)
class CredentialsRefreshFailed:
    """The provider returned no new credentials. It is asked again after ``wait_seconds``. The reason is no secret."""

    log_entry: ClassVar = LogEntry(
        "credentials_refresh_failed", _WARNING, "no new credentials: {0.reason}; next try in {0.wait_seconds:.0f} s"
    )
    reason: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class QuotaLost:
    """The Redis of the shared quota cannot be reached.

    Attributes:
        reason: why, in words.
        per_second: calls a second that go out nevertheless, as configured; 0 for none.
    """

    log_entry: ClassVar = LogEntry(
        "quota_lost", _WARNING, "{0.reason}; {0.per_second:g} calls a second until the shared quota is back"
    )
    reason: str
    per_second: float


@dataclass(frozen=True, slots=True)
class QuotaFound:
    """The shared quota is back, after ``seconds``."""

    log_entry: ClassVar = LogEntry("quota_found", _WARNING, "the shared quota is back after {0.seconds:.1f} s")
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSettingsAdopted:
    """The shared quota in Redis has other settings than this process was given. The process goes by those in Redis.

    Attributes:
        account: whose quota it is.
        max_per_second: the cap by which all processes go.
        own_max_per_second: the cap that this process was given.
        arrival_jitter: seconds by which the way to the server may vary, for all processes: the greatest that is known.
        own_arrival_jitter: the seconds that this process was given.
    """

    log_entry: ClassVar = LogEntry(
        "quota_settings_adopted",
        _WARNING,
        "the shared quota of account {0.account} has {0.max_per_second:g} calls a second and "
        "{0.arrival_jitter:g} s of jitter in Redis, not this process's {0.own_max_per_second:g} and "
        "{0.own_arrival_jitter:g} s; Redis counts. To change it for all, use SharedQuota.change_settings",
    )
    account: str
    max_per_second: float
    own_max_per_second: float
    arrival_jitter: float
    own_arrival_jitter: float


@dataclass(frozen=True, slots=True)
class CredentialsRefreshed:
    """Calls are signed with new credentials from now on.

    Attributes:
        source: where the credentials came from, in words; never a secret.
        expires_at: Unix time at which they expire, None where that is not known.
    """

    log_entry: ClassVar = LogEntry("credentials_refreshed", _INFO, "new credentials from {0.source}")
    source: str
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class AccountGivenUp:
    """No further call is made for this account; the calls of the other accounts go on. The reason is no secret."""

    log_entry: ClassVar = LogEntry("account_given_up", _ERROR, "account {0.account} is given up: {0.reason}")
    account: str
    reason: str


@dataclass(frozen=True, slots=True)
class AppUnclaimed:
    """No account claims this AppId, so its tasks are not sent. Emitted once for each of the first twenty AppIds."""

    log_entry: ClassVar = LogEntry(
        "app_unclaimed", _WARNING, "AppId {0.app_id} is claimed by no account; its tasks are not sent"
    )
    app_id: str


@dataclass(frozen=True, slots=True)
class AppSetAside:
    """The API refused an AppId for good. Its tasks that were not sent yet are not sent."""

    log_entry: ClassVar = LogEntry(
        "app_set_aside", _WARNING, "the API refuses AppId {0.app_id} ({0.code}); its remaining tasks are set aside"
    )
    app_id: str
    code: str | None


@dataclass(frozen=True, slots=True)
class ClockCorrected:
    """The API refused our time. From now on requests are dated ``offset_seconds`` after the local clock."""

    log_entry: ClassVar = LogEntry(
        "clock_corrected",
        _WARNING,
        "the API's clock differs from ours by {0.offset_seconds:+.0f} s; requests are dated by it from now on",
    )
    offset_seconds: float


@dataclass(frozen=True, slots=True)
class QueueLost:
    """The queue's Redis does not answer. Tasks that were taken are stopped; their acknowledgement waits."""

    log_entry: ClassVar = LogEntry(
        "queue_lost", _WARNING, "the queue is away ({0.reason}); tasks at hand are stopped, and acknowledged later"
    )
    reason: str


@dataclass(frozen=True, slots=True)
class QueueFound:
    """The queue's Redis answers again."""

    log_entry: ClassVar = LogEntry("queue_found", _WARNING, "the queue is back")


@dataclass(frozen=True, slots=True)
class QueueSettingsAdopted:
    """A setting of this worker differs from the queue's, which all its workers share; the queue's is used.

    Attributes:
        setting: ``claim_after_seconds`` or ``max_deliveries``.
        own: the value of this worker until now.
        adopted: the value that the queue has.
    """

    log_entry: ClassVar = LogEntry(
        "queue_settings_adopted",
        _WARNING,
        "{0.setting} is {0.adopted:g}, as the queue keeps it for all its workers, and not {0.own:g}",
    )
    setting: str
    own: float
    adopted: float


@dataclass(frozen=True, slots=True)
class QueueOldWorker:
    """A worker of stopcast 0.1 takes tasks from the queue. It does not know the queue's settings; end it."""

    log_entry: ClassVar = LogEntry(
        "queue_old_worker",
        _WARNING,
        "the worker {0.worker} is stopcast 0.1, which cannot work beside this version; end it",
    )
    worker: str


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """A task came back too often from workers that did not finish it, and is now one of the queue's dead letters."""

    log_entry: ClassVar = LogEntry(
        "dead_lettered", _WARNING, "a task was delivered {0.deliveries} times and not finished; it is a dead letter now"
    )
    task: Task
    deliveries: int


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

    log_entry: ClassVar = LogEntry("run_finished", _INFO, "run finished: {0.calls} calls in {0.seconds:.0f} s")
    calls: int
    worst_second: int
    mean_per_second: float
    seconds: float
    error: str | None = None


Event = (
    TaskRefused
    | AttemptFinished
    | RetryPlanned
    | TaskFinished
    | Throttled
    | RateChanged
    | CredentialsRefused
    | CredentialsRefreshFailed
    | QuotaLost
    | QuotaFound
    | QuotaSettingsAdopted
    | CredentialsRefreshed
    | AccountGivenUp
    | AppUnclaimed
    | AppSetAside
    | ClockCorrected
    | QueueLost
    | QueueFound
    | QueueSettingsAdopted
    | QueueOldWorker
    | DeadLettered
    | RunFinished
)
#: The events that an operator should look at, with the names by which metrics count them.
WARNINGS: Final[dict[type[Event], str]] = {
    kind: kind.log_entry.name for kind in get_args(Event) if kind.log_entry.level >= _WARNING
}
