"""The events that observers receive while tasks are stopped: frozen values, and how each is logged.

An observer is a function of one event (``stopcast.Observer``), given to a Stopper. It is called on the event loop, and
so must return at once. Where the event belongs to a call of ``stop`` or ``stop_all``, it is called in the context
(``contextvars``) of that caller. Seconds are differences of a monotonic clock; moments are Unix time. Later versions
may add events, and fields at the end of these: match by class and by name.
"""

from __future__ import annotations

from typing import Final, get_args

from stopcast.events.calls import (
    WARNING,
    AccountGivenUp,
    AppSetAside,
    AppUnclaimed,
    AttemptFinished,
    CallsEnded,
    CallsResumed,
    ClockCorrected,
    CredentialsRefreshed,
    CredentialsRefreshFailed,
    CredentialsRefused,
    LogEntry,
    RateChanged,
    RetryPlanned,
    RunFinished,
    TaskFinished,
    TaskRefused,
    Throttled,
)
from stopcast.events.redis import (
    DeadLettered,
    QueueFound,
    QueueLost,
    QueueOldWorker,
    QueueSettingsAdopted,
    QuotaFound,
    QuotaLost,
    QuotaSettingsAdopted,
)

__all__ = [
    "WARNINGS",
    "AccountGivenUp",
    "AppSetAside",
    "AppUnclaimed",
    "AttemptFinished",
    "CallsEnded",
    "CallsResumed",
    "ClockCorrected",
    "CredentialsRefreshFailed",
    "CredentialsRefreshed",
    "CredentialsRefused",
    "DeadLettered",
    "Event",
    "LogEntry",
    "QueueFound",
    "QueueLost",
    "QueueOldWorker",
    "QueueSettingsAdopted",
    "QuotaFound",
    "QuotaLost",
    "QuotaSettingsAdopted",
    "RateChanged",
    "RetryPlanned",
    "RunFinished",
    "TaskFinished",
    "TaskRefused",
    "Throttled",
]

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
    | CallsEnded
    | CallsResumed
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
    kind: kind.log_entry.name for kind in get_args(Event) if kind.log_entry.level >= WARNING
}
