"""The log: Python's own ``logging``, under ``stopcast``, silent until a program sets a handler up.

Each record carries the event's name as ``event`` and its fields as attributes of their own (``extra``), so that a JSON
formatter has more than a sentence; names of events and fields are kept as they are. RoomIds and TaskIds are told only
at DEBUG, secrets never.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from stopcast.events import (
    AccountGivenUp,
    AppSetAside,
    AppUnclaimed,
    AttemptFinished,
    ClockCorrected,
    CredentialsRefreshed,
    CredentialsRefreshFailed,
    CredentialsRefused,
    DeadLettered,
    Event,
    QueueFound,
    QueueLost,
    QuotaFound,
    QuotaLost,
    RateChanged,
    RetryPlanned,
    RunFinished,
    TaskFinished,
    TaskRefused,
    Throttled,
)
from stopcast.i18n import visible
from stopcast.ports import Observer
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Task

LOG: Final = logging.getLogger("stopcast")
LOG.addHandler(logging.NullHandler())


class Entry(NamedTuple):
    """How an event is logged: its name, its level, and a sentence with the event in place of ``{0}``."""

    name: str
    level: int
    sentence: str


#: At INFO a long run says little while all is well.
ENTRIES: Final[Mapping[type[Event], Entry]] = {
    TaskRefused: Entry("task_refused", logging.DEBUG, "refused before any call: {0.outcome.status}"),
    AttemptFinished: Entry("attempt_finished", logging.DEBUG, "attempt {0.attempt}: {0.verdict}"),
    RetryPlanned: Entry(
        "retry_planned", logging.INFO, "attempt {0.attempt} failed: {0.reason}; again in {0.wait_seconds:.1f} s"
    ),
    TaskFinished: Entry("task_finished", logging.DEBUG, "task finished: {0.outcome.status}"),
    Throttled: Entry("throttled", logging.DEBUG, "throttled; asked to wait {0.retry_after:.0f} s"),
    RateChanged: Entry("rate_changed", logging.INFO, "the rate is {0.per_second:.1f} of {0.full:.1f} calls a second"),
    CredentialsRefused: Entry(
        "credentials_refused", logging.WARNING, "the API refuses the credentials ({0.code}); new ones are asked for"
    ),
    CredentialsRefreshFailed: Entry(
        "credentials_refresh_failed",
        logging.WARNING,
        "no new credentials yet: {0.reason}; again in {0.wait_seconds:.0f} s",
    ),
    QuotaLost: Entry("quota_lost", logging.WARNING, "{0.reason}; {0.per_second:g} calls a second until it is back"),
    QuotaFound: Entry("quota_found", logging.WARNING, "the shared quota is back after {0.seconds:.1f} s"),
    CredentialsRefreshed: Entry("credentials_refreshed", logging.INFO, "new credentials from {0.source}"),
    AccountGivenUp: Entry("account_given_up", logging.ERROR, "account {0.account} is given up: {0.reason}"),
    AppUnclaimed: Entry(
        "app_unclaimed", logging.WARNING, "AppId {0.app_id} is claimed by no account; its tasks are not sent"
    ),
    AppSetAside: Entry(
        "app_set_aside", logging.WARNING, "AppId {0.app_id} is refused ({0.code}); its further tasks are set aside"
    ),
    ClockCorrected: Entry(
        "clock_corrected",
        logging.WARNING,
        "the API's clock is {0.offset_seconds:+.0f} s from ours; requests are dated by it from now on",
    ),
    QueueLost: Entry(
        "queue_lost",
        logging.WARNING,
        "the queue is away ({0.reason}); what is at hand is stopped, and told to it later",
    ),
    QueueFound: Entry("queue_found", logging.WARNING, "the queue is back"),
    DeadLettered: Entry(
        "dead_lettered",
        logging.WARNING,
        "a task came back {0.deliveries} times from workers that did not finish it; it is among the dead letters now",
    ),
    RunFinished: Entry("run_finished", logging.INFO, "run finished: {0.calls} calls in {0.seconds:.0f} s"),
}
#: What somebody should look at, by its name: for metrics as well.
WARNINGS: Final[Mapping[type[Event], str]] = {
    kind: entry.name for kind, entry in ENTRIES.items() if entry.level >= logging.WARNING
}


def log_event(event: Event) -> None:
    """Log an event: an observer like any other, that each Stopper has."""
    name, level, sentence = ENTRIES[type(event)]
    if LOG.isEnabledFor(level):
        # What a server says may hold a line's end, and so forge a record.
        LOG.log(level, "%s", visible(sentence.format(event)), extra={"event": name, **_fields(event)})


def _fields(value: Event | Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in value.__dataclass_fields__:
        match getattr(value, name):
            case Task() as task:
                told |= task._asdict() if LOG.isEnabledFor(logging.DEBUG) else {}
            case Outcome() as outcome:
                told |= _fields(outcome)
            case tuple():
                pass  # a task's calls, which were logged one by one
            case field if name != "message":  # a name that logging keeps for itself
                told[name] = field
    return told


class Observers:
    """Tells each of the observers, and the log.

    Attributes:
        want_all: whether one of them wants to be told of each attempt and each task, too. Asked once, and so the log's
            level has to be DEBUG by then.
    """

    def __init__(self, observers: Iterable[Observer]) -> None:
        given = tuple(observers)
        self.want_all = bool(given) or LOG.isEnabledFor(logging.DEBUG)
        self._observers = (*given, log_event)
        self._failed: list[Observer] = []

    def notify(self, event: Event) -> None:
        """Tell an event. An observer that raises is logged the first time, and told the next event all the same."""
        for observer in self._observers:
            try:
                observer(event)
            except (Exception, asyncio.CancelledError):  # whatever it is, it must not disturb the calls
                if observer not in self._failed:
                    self._failed.append(observer)
                    name = getattr(observer, "__qualname__", type(observer).__qualname__)
                    LOG.exception("the observer %s failed; this is said once", name, extra={"event": "observer_failed"})
