"""Traces and metrics for OpenTelemetry (extra ``otel``): an observer that makes spans and measures.

    from stopcast.otel import OpenTelemetryObserver

    async with stopcast.Stopper(observers=[OpenTelemetryObserver()]) as stopper:
        ...

Each task for which a call was made is a client span with the name of the API's action, ``StopWebcast``, below the
caller's own span, with each attempt as an event. Names and units are those of OpenTelemetry's semantic conventions
where there is one, otherwise they begin with ``stopcast.``. No metric's attribute ever holds an id; a span names its
task unless ``task_ids=False`` is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation, get_meter_provider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, get_tracer_provider
from opentelemetry.util.types import AttributeValue

from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST
from stopcast.api.endpoint import DEFAULT_ENDPOINT, Endpoint
from stopcast.api.signing import SERVICE
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
from stopcast.ports import CallCounts, Opened

#: The boundaries that the convention requires for ``http.client.request.duration``.
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_METHODS: Final = {action.name: action.method for action in (STOP_WEBCAST, GET_WEBCAST_TASK)}
_TASK_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


class OpenTelemetryObserver:
    """Makes spans and metrics. It is an observer for a Stopper.

    Args:
        endpoint: for ``server.address`` and ``server.port``, instead of the endpoint of the Stopper that was entered
            last.
        attributes: added to every span and every metric, such as an account's name where there are several Stoppers.
        tracer_provider: OpenTelemetry's global provider unless given.
        meter_provider: OpenTelemetry's global provider unless given.
        task_ids: whether spans have the AppId, RoomId and TaskId.
    """

    def __init__(
        self,
        *,
        endpoint: str | Endpoint | None = None,
        attributes: Mapping[str, AttributeValue] = MappingProxyType({}),
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        task_ids: bool = True,
    ) -> None:
        self._server_given = endpoint is not None
        server = _server(endpoint.url if isinstance(endpoint, Endpoint) else endpoint or DEFAULT_ENDPOINT)
        self._given = attributes
        self._attributes = {**attributes, **server}
        self._task_ids = task_ids
        self._tracer = (tracer_provider or get_tracer_provider()).get_tracer("stopcast")
        meter = (meter_provider or get_meter_provider()).get_meter("stopcast")
        instruments = _Instruments(meter, attributes, server)
        self._handlers: dict[type[Event], Callable[[Any], object]] = {
            **instruments.handlers,
            TaskFinished: self._finished,
        }
        self._instruments = instruments

    def __call__(self, event: Event) -> None:
        """Record the event."""
        kind = type(event)
        if (handle := self._handlers.get(kind)) is not None:
            handle(event)
        if (name := WARNINGS.get(kind)) is not None:
            self._instruments.warning(name)

    def watch(self, opened: Opened) -> None:
        """Name the server of a Stopper's endpoint, and export what it is doing. A Stopper calls this when entered."""
        if not self._server_given:
            server = _server(opened.endpoint)
            self._attributes = {**self._given, **server}
            self._instruments.name_server(server)
        self._instruments.counts.add(opened.counts)

    def _finished(self, event: TaskFinished) -> None:
        self._instruments.task(event)
        if not event.attempts:
            return  # its first call was cut off, and such a call has no event
        first = event.attempts[0]
        span = self._tracer.start_span(
            first.action,
            kind=SpanKind.CLIENT,
            start_time=_nanoseconds(first.finished_at - first.seconds),
            attributes=self._attributes,
        )
        if span.is_recording():
            self._describe(span, event)
        span.end(_nanoseconds(event.outcome.finished_at))

    def _describe(self, span: Span, event: TaskFinished) -> None:
        outcome = event.outcome
        span.set_attributes(
            _present(
                {
                    "rpc.system": "volcengine",
                    "rpc.service": SERVICE,
                    "rpc.method": event.attempts[0].action,
                    "http.response.status_code": outcome.http_status,
                    "error.type": None if outcome.good else outcome.code or outcome.status.value,
                    "stopcast.status": outcome.status.value,
                    "stopcast.attempts": outcome.attempts,
                    "stopcast.request_id": outcome.request_id,
                }
            )
        )
        if self._task_ids:
            span.set_attributes({f"stopcast.{name}": value for name, value in outcome.task._asdict().items()})
        if not outcome.good:
            span.set_status(Status(StatusCode.ERROR, outcome.code or outcome.message))
        for attempt in event.attempts:
            span.add_event("attempt", _attempt(attempt), _nanoseconds(attempt.finished_at))


class _Instruments:
    """The metrics, and what each event does to them."""

    def __init__(
        self, meter: Meter, attributes: Mapping[str, AttributeValue], server: Mapping[str, AttributeValue]
    ) -> None:
        self._attributes = dict(attributes)
        # Most calls have the same attributes.
        self._with_status = cache(lambda status: {**self._attributes, "stopcast.status": status})
        self.counts: WeakSet[CallCounts] = WeakSet()
        self.name_server(server)
        self._observe(meter, "stopcast.calls_in_flight", "{call}", "Calls without an answer yet.", "in_flight")
        self._observe(meter, "stopcast.tasks_waiting", "{task}", "Tasks that wait for their next attempt.", "waiting")

        def histogram(name: str, description: str, boundaries: Sequence[float] = _SECONDS) -> Histogram:
            return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=boundaries)

        self._duration = histogram("http.client.request.duration", "Duration of HTTP client requests.")
        self._connection = histogram("stopcast.connection.wait_time", "Time that a call waited for a connection.")
        self._limiter = histogram("stopcast.limiter.wait_time", "Time that a call waited for its permit.")
        self._task = histogram("stopcast.task.duration", "From a task's first attempt to its outcome.", _TASK_SECONDS)
        # Counted here, and read when the metrics are collected: a call of the SDK for each task costs 5 us.
        self._tasks: Counter[str] = Counter()
        meter.create_observable_counter("stopcast.tasks", [self._count_tasks], "{task}", "Rows that have an outcome.")
        retries = meter.create_counter("stopcast.retries", "{retry}", "Attempts that a further attempt follows.")
        rate = meter.create_gauge("stopcast.rate_limit", "{call}/s", "Calls a second that may go out now.")
        self._warnings = meter.create_counter(
            "stopcast.warnings", "{warning}", "Events that an operator should look at."
        )
        ended = meter.create_gauge("stopcast.calls_ended", "1", "1 while calls have ended for good, 0 otherwise.")
        ended.set(0, self._attributes)
        clock = meter.create_gauge("stopcast.clock.offset", "s", "Time by which the API's clock is ahead of ours.")
        refreshes = meter.create_counter("stopcast.credentials.refreshes", "{refresh}", "New credentials.")
        self.handlers: dict[type[Event], Callable[[Any], object]] = {
            TaskRefused: lambda event: self._tasks.update((event.outcome.status.value,)),
            AttemptFinished: self._attempt,
            RetryPlanned: lambda _: retries.add(1, self._attributes),
            RateChanged: lambda event: rate.set(event.per_second, self._attributes),
            CallsEnded: lambda _: ended.set(1, self._attributes),
            CallsResumed: lambda _: ended.set(0, self._attributes),
            RunFinished: lambda _: ended.set(0, self._attributes),
            ClockCorrected: lambda event: clock.set(event.offset_seconds, self._attributes),
            CredentialsRefreshed: lambda _: refreshes.add(1, self._attributes),
        }

    def name_server(self, server: Mapping[str, AttributeValue]) -> None:
        """Give the calls' metrics the server's address from now on."""

        @cache
        def of_call(action: str, http_status: int | None, error_type: str | None) -> dict[str, AttributeValue]:
            call = {
                "http.request.method": _METHODS[action],
                "http.response.status_code": http_status,
                "error.type": error_type,
            }
            return {**self._attributes, **server, **_present(call)}

        self._of_call = of_call

    def _observe(self, meter: Meter, name: str, unit: str, description: str, count: str) -> None:
        def observe(_: CallbackOptions) -> list[Observation]:
            return [Observation(sum(getattr(each, count) for each in tuple(self.counts)), self._attributes)]

        meter.create_observable_gauge(name, [observe], unit, description)

    def _count_tasks(self, _: CallbackOptions) -> list[Observation]:
        return [Observation(tasks, self._with_status(status)) for status, tasks in self._tasks.copy().items()]

    def task(self, event: TaskFinished) -> None:
        status = event.outcome.status.value
        self._tasks[status] += 1
        self._task.record(event.outcome.seconds, self._with_status(status))

    def warning(self, name: str) -> None:
        self._warnings.add(1, {**self._attributes, "stopcast.event": name})

    def _attempt(self, event: AttemptFinished) -> None:
        self._connection.record(event.connection_seconds, self._attributes)
        # Without a permit there was no request, so no wait to measure.
        if event.answer_seconds:
            self._limiter.record(event.limiter_seconds, self._attributes)
            attributes = self._of_call(event.action, event.http_status, _error_type(event))
            self._duration.record(event.answer_seconds, attributes)


def _attempt(event: AttemptFinished) -> dict[str, AttributeValue]:
    return _present(
        {
            "stopcast.attempt": event.attempt,
            "stopcast.verdict": event.verdict,
            "stopcast.sent": event.sent,
            "http.response.status_code": event.http_status,
            "error.type": _error_type(event),
            "stopcast.code": event.code,
            "stopcast.message": event.message,
            "stopcast.request_id": event.request_id,
            "stopcast.connection_seconds": event.connection_seconds,
            "stopcast.limiter_seconds": event.limiter_seconds,
            "stopcast.answer_seconds": event.answer_seconds,
        }
    )


def _error_type(event: AttemptFinished) -> str | None:
    return None if event.verdict == "ok" else event.verdict


def _server(url: str) -> dict[str, AttributeValue]:
    parts = urlsplit(url)
    return {
        "server.address": parts.hostname or "",
        "server.port": parts.port or (443 if parts.scheme == "https" else 80),
    }


def _present(attributes: Mapping[str, AttributeValue | None]) -> dict[str, AttributeValue]:
    return {name: value for name, value in attributes.items() if value is not None}


def _nanoseconds(moment: float) -> int:
    return int(moment * 1e9)
