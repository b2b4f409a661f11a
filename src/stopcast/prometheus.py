"""Metrics for Prometheus (extra ``prometheus``): an observer that counts.

    from stopcast.prometheus import PrometheusObserver

    async with stopcast.Stopper(observers=[PrometheusObserver()]) as stopper:
        ...

Names and units are as Prometheus' conventions ask for. No label ever holds a RoomId or a TaskId, and an AppId only
where it was asked for by name. One observer serves a whole process, however many Stoppers it is given to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from stopcast.events import (
    AppSetAside,
    AttemptFinished,
    ClockCorrected,
    CredentialsRefreshed,
    Event,
    RateChanged,
    RetryPlanned,
    RunFinished,
    TaskFinished,
    TaskRefused,
)
from stopcast.outcome import Outcome

#: Of waiting and answering, in seconds: from what a connection at hand takes to what a call may take at the most.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)
#: Of a task with all its retries: up to half an hour.
TASK_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


class PrometheusObserver:
    """Keeps the metrics; an observer to give to a Stopper.

    Args:
        registry: where the metrics are registered, Prometheus' own by default.
        app_ids: AppIds that ``stopcast_tasks_total`` and ``stopcast_attempts_total`` tell apart by a label ``app_id``;
            every other one is ``other``. Without any there is no such label.

    Raises:
        ValueError: the registry has metrics of these names already, as of another ``PrometheusObserver``.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, app_ids: Collection[str] = ()) -> None:
        self._app_ids = frozenset(app_ids)
        by_app = ("app_id",) if app_ids else ()
        tasks = Counter("stopcast_tasks", "Rows that have their outcome.", ("status", *by_app), registry=registry)
        attempts = Counter("stopcast_attempts", "Calls that ended.", ("verdict", *by_app), registry=registry)
        # To look a labelled counter up costs more than to count.
        self._tasks = lru_cache(maxsize=None)(tasks.labels)
        self._attempts = lru_cache(maxsize=None)(attempts.labels)
        self._connection = Histogram(
            "stopcast_connection_wait_seconds",
            "What a call waited for a connection.",
            buckets=SECONDS,
            registry=registry,
        )
        self._limiter = Histogram(
            "stopcast_limiter_wait_seconds", "What a call waited for its permit.", buckets=SECONDS, registry=registry
        )
        self._answer = Histogram(
            "stopcast_answer_seconds",
            "From a call's permit to the end of its answer.",
            buckets=SECONDS,
            registry=registry,
        )
        self._task_seconds = Histogram(
            "stopcast_task_seconds",
            "From a task's first call to its outcome.",
            buckets=TASK_SECONDS,
            registry=registry,
        )
        self._retries = Counter("stopcast_retries", "Attempts that another one follows.", registry=registry)
        self._rate = Gauge(
            "stopcast_rate_limit_calls_per_second", "Calls a second that may go out now.", registry=registry
        )
        self._apps = Counter("stopcast_apps_set_aside", "AppIds that the API refused for good.", registry=registry)
        self._clock = Gauge(
            "stopcast_clock_offset_seconds", "By which the API's clock is ahead of ours.", registry=registry
        )
        self._refreshes = Counter("stopcast_credentials_refreshes", "New credentials.", registry=registry)
        self._expiry = Gauge(
            "stopcast_credentials_expiry_timestamp_seconds",
            "When the credentials expire; 0 where that is not known.",
            registry=registry,
        )
        self._worst = Gauge(
            "stopcast_worst_second_calls", "The most calls in any second of the last finished run.", registry=registry
        )
        self._finished = Gauge(
            "stopcast_last_run_finished_timestamp_seconds", "When a run last finished.", registry=registry
        )
        self._take: dict[type[Event], Callable[[Any], object]] = {
            TaskRefused: lambda event: self._count(event.outcome),
            AttemptFinished: self._attempt,
            TaskFinished: self._task,
            RetryPlanned: lambda _: self._retries.inc(),
            RateChanged: lambda event: self._rate.set(event.per_second),
            AppSetAside: lambda _: self._apps.inc(),
            ClockCorrected: lambda event: self._clock.set(event.offset_seconds),
            CredentialsRefreshed: self._refreshed,
            RunFinished: self._run,
        }

    def __call__(self, event: Event) -> None:
        """Count the event."""
        if (take := self._take.get(type(event))) is not None:
            take(event)

    def _labels(self, word: str, app_id: str) -> tuple[str, ...]:
        if not self._app_ids:
            return (word,)
        return word, app_id if app_id in self._app_ids else "other"

    def _attempt(self, event: AttemptFinished) -> None:
        self._attempts(*self._labels(event.verdict, event.task.app_id)).inc()
        self._connection.observe(event.connection_seconds)
        # Without a permit there was no waiting for one, and no call.
        if event.answer_seconds:
            self._limiter.observe(event.limiter_seconds)
            self._answer.observe(event.answer_seconds)

    def _task(self, event: TaskFinished) -> None:
        self._count(event.outcome)
        self._task_seconds.observe(event.outcome.seconds)

    def _count(self, outcome: Outcome) -> None:
        self._tasks(*self._labels(outcome.status, outcome.task.app_id)).inc()

    def _refreshed(self, event: CredentialsRefreshed) -> None:
        self._refreshes.inc()
        self._expiry.set(event.expires_at or 0.0)

    def _run(self, event: RunFinished) -> None:
        self._worst.set(event.worst_second)
        self._finished.set_to_current_time()
