"""Spans and metrics, as OpenTelemetry's own SDK receives them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from stopcast import ClosedError, RetryPolicy, Stopper, Task, TokenBucket, Verifier
from stopcast.otel import OpenTelemetryObserver
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from support.virtual import Api, in_virtual_time, stopped, virtual_stopper

QUICK = RetryPolicy(first_wait_seconds=0.002, longest_wait_seconds=0.02)
RETRIED, REFUSED = Task("app", "room", "retried"), Task("app", "room", "refused")


class Telemetry:
    """OpenTelemetry's SDK, keeping all in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.traces = TracerProvider()
        self.traces.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader])

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def points(self) -> dict[str, list[Any]]:
        data = self._reader.get_metrics_data()
        assert data is not None
        metrics = [it for of in data.resource_metrics for scope in of.scope_metrics for it in scope.metrics]
        return {metric.name: list(metric.data.data_points) for metric in metrics}


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


async def run(telemetry: Telemetry, **settings: Any) -> int:
    """Stop two tasks below a span of the caller's, and return the server's port."""
    faults = Faults({"internal": [RETRIED], "parameter": [REFUSED]})
    async with Emulator(faults=faults) as emulator:
        observer = OpenTelemetryObserver(tracer_provider=telemetry.traces, meter_provider=telemetry.meters, **settings)
        async with Stopper(
            SANDBOX_CREDENTIALS, endpoint=emulator.url, retry=QUICK, limiter=TokenBucket(500), observers=[observer]
        ) as stopper:
            tracer = telemetry.traces.get_tracer("the caller")
            with tracer.start_as_current_span("retried's caller"):
                await stopper.stop(RETRIED)
            with tracer.start_as_current_span("refused's caller"):
                await stopper.stop(REFUSED)
    return int(emulator.url.rpartition(":")[2])


async def test_each_task_is_a_span_below_its_caller_s_with_its_attempts_as_events(telemetry: Telemetry) -> None:
    port = await run(telemetry)
    retried, its_caller, refused, other_caller = telemetry.spans
    for span, caller in ((retried, its_caller), (refused, other_caller)):
        assert (span.name, span.kind) == ("StopWebcast", SpanKind.CLIENT)
        assert span.parent is not None
        assert span.context is not None
        assert span.parent == caller.context
        assert span.start_time is not None
        assert span.end_time is not None
        assert caller.start_time is not None
        # Our moments are to the microsecond.
        assert caller.start_time - 100_000 <= span.start_time < span.end_time
        assert all(span.start_time < event.timestamp <= span.end_time for event in span.events)
    assert [(event.name, dict(event.attributes or {})["stopcast.verdict"]) for event in retried.events] == [
        ("attempt", "transient"),
        ("attempt", "ok"),
    ]
    attributes = dict(retried.attributes or {})
    assert (attributes["server.address"], attributes["server.port"]) == ("127.0.0.1", port)
    assert (attributes["stopcast.status"], attributes["stopcast.attempts"]) == ("stopped", 2)
    assert attributes["stopcast.task_id"] == "retried"
    assert "error.type" not in attributes
    assert retried.status.status_code is StatusCode.UNSET
    assert refused.status.status_code is StatusCode.ERROR
    assert dict(refused.attributes or {})["error.type"] == "InvalidParameter"


async def test_a_query_is_a_span_with_its_own_name(telemetry: Telemetry) -> None:
    async with Emulator() as emulator:
        observer = OpenTelemetryObserver(
            endpoint=emulator.url,
            attributes={"account": "a"},
            tracer_provider=telemetry.traces,
            meter_provider=telemetry.meters,
        )
        async with Verifier(SANDBOX_CREDENTIALS, endpoint=emulator.url, observers=[observer]) as verifier:
            await verifier.verify(RETRIED)
    (span,) = telemetry.spans
    assert (span.name, dict(span.attributes or {})["account"]) == ("GetWebCastTask", "a")
    (request,) = telemetry.points()["http.client.request.duration"]
    assert (request.attributes["http.request.method"], request.attributes["account"]) == ("GET", "a")


async def test_a_span_has_no_task_ids_if_task_ids_is_false(telemetry: Telemetry) -> None:
    await run(telemetry, task_ids=False)
    ours = [span for span in telemetry.spans if span.name == "StopWebcast"]
    assert len(ours) == 2
    assert not any(id_ in span.to_json() for span in ours for id_ in (*RETRIED, REFUSED.task_id))


async def test_metrics_have_the_conventions_names_and_no_id(telemetry: Telemetry) -> None:
    port = await run(telemetry)
    points = telemetry.points()
    requests = {
        point.attributes["http.response.status_code"]: point for point in points["http.client.request.duration"]
    }
    assert {status: point.count for status, point in requests.items()} == {500: 1, 200: 1, 400: 1}
    server = {"http.request.method": "POST", "server.address": "127.0.0.1", "server.port": port}
    assert requests[200].attributes == {**server, "http.response.status_code": 200}
    assert requests[500].attributes == {**server, "http.response.status_code": 500, "error.type": "transient"}
    tasks = {point.attributes["stopcast.status"]: point.value for point in points["stopcast.tasks"]}
    assert tasks == {"stopped": 1, "failed": 1}
    assert points["stopcast.retries"][0].value == 1
    assert points["stopcast.rate_limit"][0].value > 480
    assert points["stopcast.limiter.wait_time"][0].count == 3
    values = {value for all_of in points.values() for point in all_of for value in (point.attributes or {}).values()}
    assert not values & {*RETRIED, *REFUSED}


def test_a_task_whose_only_call_was_cut_off_is_counted_and_disturbs_nothing(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    observer = OpenTelemetryObserver(tracer_provider=telemetry.traces, meter_provider=telemetry.meters)

    async def main() -> None:
        api = Api(stopped, latency_seconds=1000.0)
        async with virtual_stopper(api, observers=[observer], drain_seconds=1.0, timeout_seconds=900.0) as stopper:
            stopping = asyncio.create_task(stopper.stop(RETRIED))
            await asyncio.sleep(1)
        with pytest.raises(ClosedError):
            await stopping

    in_virtual_time(main)
    (point,) = telemetry.points()["stopcast.tasks"]
    assert (point.value, point.attributes["stopcast.status"]) == (1, "gave_up")
    assert "observer_failed" not in [getattr(record, "event", None) for record in caplog.records]
