"""stopcast as the client that ``call_cost.py`` measures: from a list to a report, and in a service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from call_place import CREDENTIALS, TASK, Job, Place, check, in_workers
from stopcast.ports import Observer
from stopcast.tasks.task import Task

if TYPE_CHECKING:
    from stopcast import Stopper

#: What a service does with a Stopper and its tasks. It returns the number of good outcomes.
Use = Callable[["Stopper", Iterator[Task]], Awaitable[int]]


def whole_stopcast(place: Place, *, capped: bool = False) -> Job:
    from stopcast.limiters import TokenBucket, Unlimited
    from stopcast.run import Run
    from stopcast.sources import ListReader, ReadOptions
    from stopcast.stopper import Stopper

    async def run() -> None:
        per_second = 1e6 if capped else place.per_second
        limiter = Unlimited() if per_second is None else TokenBucket(per_second)
        async with Stopper(CREDENTIALS, endpoint=place.endpoint, limiter=limiter, max_at_once=place.at_once) as stopper:
            stopping = Run(stopper, place.report)
            reader = ListReader(str(place.tasks), ReadOptions())
            async with reader, aclosing(reader.batches()) as batches:
                await stopping.stop_lists(batches)
        check(place, stopping.finished)

    return run


def no_observers() -> Sequence[Observer]:
    return ()


def a_function() -> Sequence[Observer]:
    """Do nothing: the cost is that of the events themselves."""
    return [lambda _: None]


def prometheus() -> Sequence[Observer]:
    from stopcast.prometheus import PrometheusObserver

    return [PrometheusObserver()]


def otel(sampled: float) -> Sequence[Observer]:
    """Return an observer with OpenTelemetry's SDK, which samples this share of the traces and exports none."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

    from stopcast.otel import OpenTelemetryObserver

    class Nowhere(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - the SDK's signature
            return SpanExportResult.SUCCESS

    traces = TracerProvider(sampler=TraceIdRatioBased(sampled))
    traces.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=100_000))
    return [OpenTelemetryObserver(tracer_provider=traces, meter_provider=MeterProvider([InMemoryMetricReader()]))]


def in_a_service(place: Place, observers: Callable[[], Sequence[Observer]], use: Use) -> Job:
    # Here, because it is the import that loads the HTTP client, and the observers import their libraries.
    from stopcast import Stopper, Unlimited

    made = observers()

    async def run() -> None:
        tasks = (TASK._replace(task_id=f"webcast-{number:010d}") for number in range(place.calls))
        async with Stopper(
            CREDENTIALS,
            endpoint=place.endpoint,
            limiter=Unlimited(),
            max_at_once=place.at_once,
            observers=made,
        ) as stopper:
            good = await use(stopper, tasks)
        check(place, good)

    return run


def embedded_stopcast(place: Place, *, observers: Callable[[], Sequence[Observer]] = no_observers) -> Job:
    async def stream(stopper: Stopper, tasks: Iterator[Task]) -> int:
        good = 0
        async for outcome in stopper.stop_all(tasks):
            good += outcome.good
        return good

    return in_a_service(place, observers, stream)


def single_stopcast(place: Place, *, observers: Callable[[], Sequence[Observer]] = no_observers) -> Job:
    """Await ``stop()`` for each task, as a service does for each of its requests."""

    async def one_by_one(stopper: Stopper, tasks: Iterator[Task]) -> int:
        good = 0

        async def call() -> None:
            nonlocal good
            outcome = await stopper.stop(next(tasks))
            good += outcome.good

        await in_workers(place, call)
        return good

    return in_a_service(place, observers, one_by_one)
