"""What observers are told while tasks are stopped: frozen values, each complete in itself.

An observer is a function of one event (``stopcast.Observer``), given to a Stopper. It is called on the event loop, in
the context (``contextvars``) of whoever called ``stop`` or ``stop_all`` where the event belongs to such a call, so it
must return at once. Seconds are differences of a monotonic clock; moments are Unix time. More events, and more fields
at the end of these, may come: match by class and by name.
"""

from __future__ import annotations

from dataclasses import dataclass

from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Task


@dataclass(frozen=True, slots=True)
class TaskRefused:
    """A row has its outcome without a call: ``invalid``, ``duplicate`` or ``set_aside``."""

    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFinished:
    """One call came to its end, with an answer or without. Cancelled calls are not told.

    Attributes:
        task: whose call it was.
        action: the API's name for what was asked: ``StopWebcast`` or ``GetWebCastTask``.
        attempt: its number among the task's calls, from 1.
        verdict: what the answer means, as ``stopcast.verdict.Verdict`` names it, in lower case: ``ok``,
            ``no_such_task``, ``throttled``, ``transient``, ``clock``, ``account``, ``application``, ``task``.
        http_status: of the answer, None where none came.
        code: the API's error code.
        message: the API's, or what went wrong below HTTP.
        request_id: names the call for the vendor's support.
        connection_seconds: what it waited for a connection (and was signed in).
        limiter_seconds: what it waited for its permit, connection in hand.
        answer_seconds: from its permit to the end of its answer; 0 where it never had one.
        finished_at: Unix time.
    """

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
    """An attempt failed, and another one follows after ``wait_seconds``."""

    task: Task
    attempt: int
    reason: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """A task that calls were made for has its outcome. ``attempts`` are those calls, in their order."""

    outcome: Outcome
    attempts: tuple[AttemptFinished, ...]


@dataclass(frozen=True, slots=True)
class Throttled:
    """The API said that the account calls too often; ``retry_after`` is what it asked for, in seconds."""

    retry_after: float


@dataclass(frozen=True, slots=True)
class RateChanged:
    """So many calls a second go out from now on while calls wait; ``full`` while nothing is throttled.

    Told when a Stopper begins, and then in steps of a twentieth of ``full``. Only of a limiter that tells its rate.
    """

    per_second: float
    full: float


@dataclass(frozen=True, slots=True)
class CredentialsRefused:
    """The API refuses the credentials; no call goes out while new ones are asked for."""

    code: str | None


@dataclass(frozen=True, slots=True)
class CredentialsRefreshFailed:
    """No new credentials were to be had; they are asked for again after ``wait_seconds``. The reason is no secret."""

    reason: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class QuotaLost:
    """What keeps the shared quota cannot be asked: no call goes out, or only so many as were asked for in that case.

    Attributes:
        reason: in words.
        per_second: calls a second that go out all the same.
    """

    reason: str
    per_second: float


@dataclass(frozen=True, slots=True)
class QuotaFound:
    """The shared quota is there again, after ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CredentialsRefreshed:
    """Calls are signed with new credentials from now on.

    Attributes:
        source: where they came from, in words; never a secret.
        expires_at: Unix time at which they expire, None where that is not known.
    """

    source: str
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class AccountGivenUp:
    """No call is made for this account any more; those of the others go on. The reason is no secret."""

    account: str
    reason: str


@dataclass(frozen=True, slots=True)
class AppUnclaimed:
    """No account claims this AppId; its tasks are not sent. Told once, and of the first twenty AppIds only."""

    app_id: str


@dataclass(frozen=True, slots=True)
class AppSetAside:
    """The API refused an AppId for good; its tasks that were not sent yet are not sent."""

    app_id: str
    code: str | None


@dataclass(frozen=True, slots=True)
class ClockCorrected:
    """The API refused our time; from now on requests are dated ``offset_seconds`` after the local clock."""

    offset_seconds: float


@dataclass(frozen=True, slots=True)
class QueueLost:
    """The queue's Redis does not answer. Tasks that were taken are stopped and told; acknowledging them waits."""

    reason: str


@dataclass(frozen=True, slots=True)
class QueueFound:
    """The queue's Redis answers again."""


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """A task came back too often from workers that did not finish it, and was put among the queue's dead letters."""

    task: Task
    deliveries: int


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A Stopper was closed: the last event that it tells.

    Attributes:
        calls: calls made, the retries among them.
        worst_second: the most calls in any second.
        mean_per_second: calls a second between the first and the last.
        seconds: that the Stopper was open.
        error: what ended the calls before their time, None where nothing did.
    """

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
    | CredentialsRefreshed
    | AccountGivenUp
    | AppUnclaimed
    | AppSetAside
    | ClockCorrected
    | QueueLost
    | QueueFound
    | DeadLettered
    | RunFinished
)
