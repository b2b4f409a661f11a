"""The metrics for Prometheus, as a scrape sees them."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from stopcast import RetryPolicy, Stopper, Task, TokenBucket
from stopcast.events import CredentialsRefreshed, RetryPlanned
from stopcast.ports import Observer
from stopcast.prometheus import PrometheusObserver
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults

QUICK = RetryPolicy(first_wait_seconds=0.002, longest_wait_seconds=0.02)
OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0; charset=utf-8"}
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Scraper:
    """A registry that is served over HTTP, and a client that reads it as Prometheus does."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.server, self.thread = start_http_server(0, "127.0.0.1", self.registry)

    def scrape(self) -> Samples:
        request = urllib.request.Request(f"http://127.0.0.1:{self.server.server_port}/metrics", headers=OPEN_METRICS)
        with urllib.request.urlopen(request, timeout=10) as response:
            text = response.read().decode()
        # This parser refuses what breaks the rules of names and units.
        families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        samples = [sample for family in families for sample in family.samples]
        return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}


@pytest.fixture
def scraper() -> Iterator[Scraper]:
    serving = Scraper()
    yield serving
    serving.server.shutdown()
    serving.server.server_close()
    serving.thread.join()


async def run(observer: Observer) -> None:
    listed = [Task("school", f"room-{number}", f"task-{number}") for number in range(8)]
    faults = Faults({"internal": listed[:2], "throttled": [listed[2]], "parameter": [listed[3]]})
    async with (
        Emulator(faults=faults, refused_apps={"dead": "InvalidParameter.NotExistAppId"}) as emulator,
        Stopper(
            SANDBOX_CREDENTIALS,
            endpoint=emulator.url,
            retry=QUICK,
            limiter=TokenBucket(500),
            observers=[observer],
        ) as stopper,
    ):
        async for _ in stopper.stop_all([*listed, listed[0], Task("dead", "room", "task")]):
            pass


async def test_a_scrape_tells_what_became_of_tasks_and_attempts(scraper: Scraper) -> None:
    observer = PrometheusObserver(scraper.registry)
    await run(observer)
    samples = await asyncio.to_thread(scraper.scrape)

    def by(name: str, label: str) -> dict[str, float]:
        return {dict(labels)[label]: value for (sample, labels), value in samples.items() if sample == name}

    assert by("stopcast_tasks_total", "status") == {"stopped": 7, "failed": 2, "duplicate": 1}
    assert by("stopcast_attempts_total", "verdict") == {
        "ok": 7,
        "transient": 2,
        "throttled": 1,
        "task": 1,
        "application": 1,
    }
    assert samples["stopcast_retries_total", ()] == 3
    assert samples["stopcast_task_seconds_count", ()] == 9
    for part in ("connection_wait", "limiter_wait", "answer"):
        assert samples[f"stopcast_{part}_seconds_count", ()] == 12
    assert samples["stopcast_rate_limit_calls_per_second", ()] > 480
    assert samples["stopcast_worst_second_calls", ()] == 12
    assert samples["stopcast_last_run_finished_timestamp_seconds", ()] > 1.7e9
    assert by("stopcast_warnings_total", "event")["app_set_aside"] == 1


async def test_no_label_holds_an_id_unless_an_appid_is_asked_for_by_name(scraper: Scraper) -> None:
    plain, named = CollectorRegistry(), scraper.registry
    await run(PrometheusObserver(plain))
    assert {label for family in plain.collect() for sample in family.samples for label in sample.labels} == {
        "status",
        "verdict",
        "event",
        "le",
    }
    await run(PrometheusObserver(named, app_ids=["school"]))
    samples = await asyncio.to_thread(scraper.scrape)
    told = {dict(labels)["app_id"] for name, labels in samples if name == "stopcast_tasks_total"}
    assert told == {"school", "other"}
    assert "room" not in repr(samples)


async def test_one_observer_serves_several_stoppers(scraper: Scraper) -> None:
    observer = PrometheusObserver(scraper.registry)
    await asyncio.gather(run(observer), run(observer))
    samples = await asyncio.to_thread(scraper.scrape)
    assert samples["stopcast_tasks_total", (("status", "stopped"),)] == 14


async def test_several_accounts_are_told_apart_by_a_label(scraper: Scraper) -> None:
    metrics = PrometheusObserver(scraper.registry, labels=["account"])
    await asyncio.gather(*(run(metrics.labelled(account=name)) for name in ("a", "b")))
    samples = await asyncio.to_thread(scraper.scrape)
    for account in ("a", "b"):
        assert samples["stopcast_tasks_total", (("account", account), ("status", "stopped"))] == 7
        assert samples["stopcast_rate_limit_calls_per_second", (("account", account),)] > 480
    with pytest.raises(ValueError, match="labelled"):
        metrics(RetryPlanned(Task("a", "r", "t"), 1, "", 0.0))


def test_new_credentials_tell_when_they_expire() -> None:
    registry = CollectorRegistry()
    PrometheusObserver(registry)(CredentialsRefreshed("a test", expires_at=1.9e9))
    assert registry.get_sample_value("stopcast_credentials_refreshes_total") == 1
    assert registry.get_sample_value("stopcast_credentials_expiry_timestamp_seconds") == 1.9e9
