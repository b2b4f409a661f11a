"""Counters and histograms that take little time, beside prometheus-client's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import RLock

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics

from stopcast.prometheus import PrometheusObserver
from stopcast.tallies import Buckets, Count, Tallies

BOUNDS = (0.001, 0.25, 1.0, 15.0)
AMOUNTS = (0.0, 0.001, 0.0011, 0.25, 15.0, 15.1)
TEXT = 'What "it" counts.\\'


def of_ours(registry: CollectorRegistry) -> tuple[Tallies[Count], Tallies[Buckets]]:
    lock = RLock()
    return (
        Tallies("counter", "events", TEXT, ("kind", "account"), Count, lock=lock, registry=registry),
        Tallies("histogram", "wait_seconds", TEXT, ("account",), lambda: Buckets(BOUNDS), lock=lock, registry=registry),
    )


def of_prometheus_client(registry: CollectorRegistry) -> tuple[Counter, Histogram]:
    return (
        Counter("events", TEXT, ("kind", "account"), registry=registry),
        Histogram("wait_seconds", TEXT, ("account",), registry=registry, buckets=BOUNDS),
    )


@pytest.fixture(params=[True, False], ids=["with created", "without created"])
def _created(request: pytest.FixtureRequest) -> Iterator[None]:
    if not request.param:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    yield
    prometheus_client.enable_created_metrics()  # type: ignore[no-untyped-call]


@pytest.mark.usefixtures("_created")
@pytest.mark.parametrize("export", [generate_latest, openmetrics.generate_latest], ids=["text", "OpenMetrics"])
def test_they_are_exported_as_prometheus_client_exports_its_own(export: Callable[[CollectorRegistry], bytes]) -> None:
    exported = []
    for make in (of_ours, of_prometheus_client):
        registry = CollectorRegistry()
        counter, histogram = make(registry)
        counter.labels(kind="a", account='"one"\n').inc()
        counter.labels(account="two", kind="never")
        for amount in AMOUNTS:
            counter.labels(kind="b", account="two").inc()
            histogram.labels(account="two").observe(amount)
        exported.append(re.sub(r"(_created\{.*\}) .*", r"\1", export(registry).decode()))
    ours, theirs = exported
    assert ours == theirs
    assert 'wait_seconds_bucket{account="two",le="0.25"} 4.0' in ours


def test_a_name_that_the_registry_has_already_is_refused() -> None:
    registry = CollectorRegistry()
    PrometheusObserver(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        PrometheusObserver(registry)


@pytest.mark.parametrize("labels", [{}, {"acount": "a"}, {"account": "a", "region": "b"}])
def test_labels_with_other_names_are_refused(labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="account"):
        PrometheusObserver(CollectorRegistry(), labels=["account"]).labelled(**labels)


COUNTING = """
from stopcast.events import TaskRefused
from stopcast.prometheus import PrometheusObserver
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task
PrometheusObserver()(TaskRefused(Outcome(Task("a", "r", "t"), Status.INVALID)))
"""


def test_processes_that_share_their_metrics_in_files_are_counted_together(tmp_path: Path) -> None:
    for _ in range(2):
        variables = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", COUNTING], env=variables, check=True)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(tmp_path))  # type: ignore[no-untyped-call]
    assert registry.get_sample_value("stopcast_tasks_total", {"status": "invalid"}) == 2
