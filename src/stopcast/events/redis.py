"""The events of a shared quota and of a queue, both of which a Redis keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stopcast.events.calls import WARNING, LogEntry
from stopcast.tasks.task import Task


@dataclass(frozen=True, slots=True)
class QuotaLost:
    """The Redis of the shared quota cannot be reached, or refuses.

    Attributes:
        reason: why, in words.
        per_second: calls a second that go out nevertheless, as configured; 0 for none.
    """

    log_entry: ClassVar = LogEntry(
        "quota_lost", WARNING, "{0.reason}; {0.per_second:g} calls a second until the shared quota is back"
    )
    reason: str
    per_second: float


@dataclass(frozen=True, slots=True)
class QuotaFound:
    """The shared quota is back, after ``seconds``."""

    log_entry: ClassVar = LogEntry("quota_found", WARNING, "the shared quota is back after {0.seconds:duration}")
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
        WARNING,
        "the shared quota of account {0.account} has {0.max_per_second:g} calls a second and "
        "{0.arrival_jitter:g} s of jitter in Redis, not this process's {0.own_max_per_second:g} and "
        "{0.own_arrival_jitter:g} s; Redis counts. "
        "To change it for all: stopcast configure, or SharedQuota.change_settings",
    )
    account: str
    max_per_second: float
    own_max_per_second: float
    arrival_jitter: float
    own_arrival_jitter: float


@dataclass(frozen=True, slots=True)
class QueueLost:
    """The queue's Redis does not answer, or refuses. Tasks that were taken are stopped; their acknowledgement waits."""

    log_entry: ClassVar = LogEntry(
        "queue_lost",
        WARNING,
        "the queue cannot be used for now ({0.reason}); tasks at hand are stopped, and acknowledged later",
    )
    reason: str


@dataclass(frozen=True, slots=True)
class QueueFound:
    """The queue can be used again."""

    log_entry: ClassVar = LogEntry("queue_found", WARNING, "the queue is back")


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
        WARNING,
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
        WARNING,
        "the worker {0.worker} is stopcast 0.1, which cannot work beside this version; end it",
    )
    worker: str


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """A task came back too often from workers that did not finish it, and is now one of the queue's dead letters."""

    log_entry: ClassVar = LogEntry(
        "dead_lettered", WARNING, "a task was delivered {0.deliveries} times and not finished; it is a dead letter now"
    )
    task: Task
    deliveries: int
