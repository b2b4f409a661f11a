"""Metrics for Prometheus (extra ``prometheus``): an observer that counts and measures.

    from stopcast.prometheus import PrometheusObserver

    async with stopcast.Stopper(observers=[PrometheusObserver()]) as stopper:
        ...

Names and units follow Prometheus' conventions. No label ever holds a RoomId or a TaskId, and an AppId only where it is
asked for by name. One observer serves a whole process, with any number of Stoppers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from functools import cache, partial
from itertools import product
from threading import RLock
from typing import Any, Final
from weakref import WeakSet

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, values

from stopcast.events import (
    WARNINGS,
    AttemptFinished,
    CallsEnded,
    CallsResumed,
    ClockCorrected,
    CredentialsRefreshed,
    Event,
    RateChanged,
    RetryPlanned,
    RunFinished,
    TaskFinished,
    TaskRefused,
)
from stopcast.ports import CallCounts, Observer, Opened
from stopcast.tallies import Buckets, Count, Tallies
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task

#: Seconds to wait and to answer: from an idle connection up to the longest call.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)
#: Seconds of a task with all its retries: up to half an hour.
TASK_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)

#: The label of all AppIds that are not counted separately.
_OTHER: Final = "other"
#: What each metric measures. The end of its name is the unit.
_COUNTERS: Final = {
    "stopcast_tasks": "Rows that have an outcome.",
    "stopcast_attempts": "Attempts that ended, those without a connection included.",
    "stopcast_retries": "Attempts that a further attempt follows.",
    "stopcast_warnings": "Events that an operator should look at, by their names in the log.",
    "stopcast_credentials_refreshes": "New credentials.",
}
_HISTOGRAMS: Final = {
    "stopcast_connection_wait_seconds": "Time that a call waited for a connection.",
    "stopcast_limiter_wait_seconds": "Time that a call waited for its permit.",
    "stopcast_answer_seconds": "From a call's permit to the end of its answer.",
    "stopcast_task_seconds": "From a task's first attempt to its outcome.",
}
_GAUGES: Final = {
    "stopcast_rate_limit_calls_per_second": "Calls a second that may go out now.",
    "stopcast_calls_ended": "1 while calls have ended for good, 0 otherwise.",
    "stopcast_calls_in_flight": "Calls that were sent and have no answer yet.",
    "stopcast_tasks_waiting": "Tasks that wait for their next attempt.",
    "stopcast_clock_offset_seconds": "Seconds by which the API's clock is ahead of ours.",
    "stopcast_credentials_expiry_timestamp_seconds": "When the credentials expire; 0 where that is not known.",
    "stopcast_worst_second_calls": "The most calls in any second of the last finished run.",
    "stopcast_last_run_finished_timestamp_seconds": "When a run last finished.",
}


class PrometheusObserver:
    """Keeps the metrics. It is an observer for a Stopper.

    Args:
        registry: where the metrics are registered, Prometheus' default registry unless given.
        app_ids: AppIds that ``stopcast_tasks_total`` and ``stopcast_attempts_total`` count separately, with a label
            ``app_id``; all others count as ``other``. Without any there is no such label.
        labels: names of further labels of every metric, such as ``account`` where there are several Stoppers. Then
            ``labelled`` makes the observers, and this object itself is not one.

    Raises:
        ValueError: the registry already has metrics of these names, for example from another ``PrometheusObserver``.
    """

    def __init__(
        self, registry: CollectorRegistry = REGISTRY, *, app_ids: Collection[str] = (), labels: Collection[str] = ()
    ) -> None:
        labels = tuple(labels)
        self._app_ids = frozenset(app_ids)
        by_app = ("app_id",) if app_ids else ()
        own = {
            "stopcast_tasks": ("status", *by_app),
            "stopcast_attempts": ("verdict", *by_app),
            "stopcast_warnings": ("event",),
        }
        self._lock = RLock()
        # Processes share their metrics by other values than prometheus-client's usual ones.
        shared = values.ValueClass is not values.MutexValue

        def counter(name: str, text: str) -> Callable[..., Any]:
            names = (*labels, *own.get(name, ()))
            if shared:
                return _by_labels(Counter(name, text, names, registry=registry), names)
            return Tallies("counter", name, text, names, Count, lock=self._lock, registry=registry).labels

        def histogram(name: str, text: str) -> Callable[..., Any]:
            bounds = TASK_SECONDS if name == "stopcast_task_seconds" else SECONDS
            if shared:
                return _by_labels(Histogram(name, text, labels, registry=registry, buckets=bounds), labels)
            make = partial(Buckets, bounds)
            return Tallies("histogram", name, text, labels, make, lock=self._lock, registry=registry).labels

        def gauge(name: str, text: str) -> Callable[..., Any]:
            return _by_labels(Gauge(name, text, labels, registry=registry), labels)

        self._metrics: dict[str, Callable[..., Any]] = {
            name: make(name, text)
            for make, texts in ((counter, _COUNTERS), (histogram, _HISTOGRAMS), (gauge, _GAUGES))
            for name, text in texts.items()
        }
        self._unlabelled = None if labels else _Counting(self._metrics, self._lock, self._app_ids, {})

    def watch(self, opened: Opened) -> None:
        """Export what a Stopper is doing. A Stopper calls this when it is entered."""
        if self._unlabelled is not None:
            self._unlabelled.watch(opened)

    def labelled(self, **labels: str) -> Observer:
        """Return an observer whose metrics have these labels: a value for each name in ``labels``.

        Raises:
            ValueError: the names are not those of ``labels``.
        """
        return _Counting(self._metrics, self._lock, self._app_ids, labels)

    def __call__(self, event: Event, /) -> None:
        """Count the event.

        Raises:
            ValueError: the metrics have ``labels``, so ``labelled`` has to make the observers.
        """
        if self._unlabelled is None:
            raise ValueError("these metrics have labels: give the Stopper what `labelled(...)` returns")
        self._unlabelled(event)


def _by_labels(metric: Any, names: Collection[str]) -> Callable[..., Any]:
    """Return a function of labels that returns the metric's child, or the metric itself where it has none."""
    return metric.labels if names else lambda: metric


class _Counting:
    """The metrics of one set of labels, and what each event does to them.

    Args:
        metrics: of each name, a function of its labels.
        lock: is held while an event is counted: once, since to lock takes longer than to count.
        app_ids: the AppIds that are counted separately.
        labels: of every metric.
    """

    def __init__(
        self,
        metrics: Mapping[str, Callable[..., Any]],
        lock: AbstractContextManager[object],
        app_ids: frozenset[str],
        labels: Mapping[str, str],
    ) -> None:
        self._lock = lock
        self._app_ids = app_ids
        tasks, attempts = metrics["stopcast_tasks"], metrics["stopcast_attempts"]
        by_app = bool(app_ids)

        # Looking up a labelled counter costs more than counting.
        @cache
        def tasks_with(status: str, app_id: str) -> Any:
            return tasks(**labels, status=status, **({"app_id": app_id} if by_app else {}))

        @cache
        def attempts_with(verdict: str, app_id: str) -> Any:
            return attempts(**labels, verdict=verdict, **({"app_id": app_id} if by_app else {}))

        self._tasks, self._attempts = tasks_with, attempts_with
        # These too are exported from the start, so that an alert sees the first task that failed as an increase.
        for status, app_id in product(Status, (*app_ids, _OTHER)):
            tasks_with(status, app_id)

        def metric(name: str) -> Any:
            return metrics[name](**labels)

        self._connection = metric("stopcast_connection_wait_seconds")
        self._limiter = metric("stopcast_limiter_wait_seconds")
        self._answer = metric("stopcast_answer_seconds")
        self._task_seconds = metric("stopcast_task_seconds")
        self._refreshes = metric("stopcast_credentials_refreshes")
        self._expiry = metric("stopcast_credentials_expiry_timestamp_seconds")
        self._worst = metric("stopcast_worst_second_calls")
        self._ended = metric("stopcast_calls_ended")
        self._finished_at = metric("stopcast_last_run_finished_timestamp_seconds")
        self._counts: WeakSet[CallCounts] = WeakSet()
        metric("stopcast_calls_in_flight").set_function(lambda: sum(each.in_flight for each in tuple(self._counts)))
        metric("stopcast_tasks_waiting").set_function(lambda: sum(each.waiting for each in tuple(self._counts)))
        retries, warnings = metric("stopcast_retries"), metrics["stopcast_warnings"]
        # Exported from the start, so that an alert sees the first warning as an increase.
        self._warnings = {kind: warnings(**labels, event=name) for kind, name in WARNINGS.items()}
        rate, clock = metric("stopcast_rate_limit_calls_per_second"), metric("stopcast_clock_offset_seconds")
        self._handlers: dict[type[Event], Callable[[Any], object]] = {
            TaskRefused: lambda event: self._count(event.outcome),
            AttemptFinished: self._attempt,
            TaskFinished: self._task,
            RetryPlanned: lambda _: retries.inc(),
            RateChanged: lambda event: rate.set(event.per_second),
            ClockCorrected: lambda event: clock.set(event.offset_seconds),
            CredentialsRefreshed: self._refreshed,
            CallsEnded: lambda _: self._ended.set(1),
            CallsResumed: lambda _: self._ended.set(0),
            RunFinished: self._run,
        }

    def __call__(self, event: Event, /) -> None:
        kind = type(event)
        with self._lock:
            if (handle := self._handlers.get(kind)) is not None:
                handle(event)
            if (warnings := self._warnings.get(kind)) is not None:
                warnings.inc()

    def watch(self, opened: Opened) -> None:
        self._counts.add(opened.counts)
        self._expiry.set(opened.expires_at or 0.0)

    def _counted_as(self, task: Task) -> str:
        return task.app_id if task.app_id in self._app_ids else _OTHER

    def _attempt(self, event: AttemptFinished) -> None:
        self._attempts(event.verdict, self._counted_as(event.task)).inc()
        self._connection.observe(event.connection_seconds)
        # Without a permit there was no call, so no wait to measure.
        if event.answer_seconds:
            self._limiter.observe(event.limiter_seconds)
            self._answer.observe(event.answer_seconds)

    def _task(self, event: TaskFinished) -> None:
        self._count(event.outcome)
        self._task_seconds.observe(event.outcome.seconds)

    def _count(self, outcome: Outcome) -> None:
        self._tasks(outcome.status, self._counted_as(outcome.task)).inc()

    def _refreshed(self, event: CredentialsRefreshed) -> None:
        self._refreshes.inc()
        self._expiry.set(event.expires_at or 0.0)

    def _run(self, event: RunFinished) -> None:
        self._worst.set(event.worst_second)
        self._ended.set(0)
        self._finished_at.set_to_current_time()
