"""The metrics for Prometheus, as a scrape sees them."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from stopcast import ConfigurationError, RedisQueue, RetryPolicy, Status, Stopper, Task, TokenBucket
from stopcast.events import CredentialsRefreshed, RetryPlanned
from stopcast.fleet.quota.redis_ledger import LedgerRequest, RedisLedger
from stopcast.fleet.quota.slots import QuotaSettings
from stopcast.ports import Observer
from stopcast.prometheus import PrometheusObserver
from stopcast.redis_metrics import RedisMetrics
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from support.held import HeldApi
from support.redis_server import RedisServer

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


def test_each_status_is_exported_from_the_start_so_that_its_first_task_is_an_increase() -> None:
    registry = CollectorRegistry()
    PrometheusObserver(registry, app_ids=["a"])
    for status, app_id in product(Status, ("a", "other")):
        assert registry.get_sample_value("stopcast_tasks_total", {"status": status, "app_id": app_id}) == 0


async def test_a_scrape_counts_the_results_of_tasks_and_attempts(scraper: Scraper) -> None:
    observer = PrometheusObserver(scraper.registry)
    await run(observer)
    samples = await asyncio.to_thread(scraper.scrape)

    def by(name: str, label: str) -> dict[str, float]:
        return {dict(labels)[label]: value for (sample, labels), value in samples.items() if sample == name and value}

    assert by("stopcast_tasks_total", "status") == {"stopped": 7, "failed": 1, "set_aside": 1, "duplicate": 1}
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
    scraped = {dict(labels)["app_id"] for name, labels in samples if name == "stopcast_tasks_total"}
    assert scraped == {"school", "other"}
    assert "room" not in repr(samples)


async def test_one_observer_serves_several_stoppers(scraper: Scraper) -> None:
    observer = PrometheusObserver(scraper.registry)
    await asyncio.gather(run(observer), run(observer))
    samples = await asyncio.to_thread(scraper.scrape)
    assert samples["stopcast_tasks_total", (("status", "stopped"),)] == 14


async def test_several_accounts_are_distinguished_by_a_label(scraper: Scraper) -> None:
    metrics = PrometheusObserver(scraper.registry, labels=["account"])
    await asyncio.gather(*(run(metrics.labelled(account=name)) for name in ("a", "b")))
    samples = await asyncio.to_thread(scraper.scrape)
    for account in ("a", "b"):
        assert samples["stopcast_tasks_total", (("account", account), ("status", "stopped"))] == 7
        assert samples["stopcast_rate_limit_calls_per_second", (("account", account),)] > 480
    with pytest.raises(ValueError, match="labelled"):
        metrics(RetryPlanned(Task("a", "r", "t"), 1, "", 0.0))


def test_the_expiry_of_new_credentials_is_a_metric() -> None:
    registry = CollectorRegistry()
    PrometheusObserver(registry)(CredentialsRefreshed("a test", expires_at=1.9e9))
    assert registry.get_sample_value("stopcast_credentials_refreshes_total") == 1
    assert registry.get_sample_value("stopcast_credentials_expiry_timestamp_seconds") == 1.9e9


# A queue and a shared quota

TASKS = [("a", "r", f"t{number}") for number in range(3)]


def of_redis(samples: Samples, *labels: tuple[str, str]) -> dict[str, float]:
    """Return the figures of a scrape for one queue, or one quota."""
    return {name.removeprefix("stopcast_"): value for (name, its), value in samples.items() if its == labels}


async def test_a_queue_and_a_quota_are_scraped_as_status_prints_them(
    scraper: Scraper, redis_server: RedisServer
) -> None:
    url = redis_server.url
    async with RedisQueue(f"{url}/one") as queue, RedisLedger(url, "main") as ledger:
        await queue.put(TASKS)
        redis_server.ask("XGROUP", "CREATE", "one", "stopcast", "0")
        redis_server.ask("XREADGROUP", "GROUP", "stopcast", "a worker", "COUNT", 2, "STREAMS", "one", ">")
        redis_server.ask("XADD", "{one}:dead", "*", "task", "a,r,dead")
        settings = QuotaSettings()
        seen = await ledger.ask(LedgerRequest(settings=settings, verify=True))
        while seen is not None and not seen.permits:
            await asyncio.sleep(seen.wait_seconds)
            seen = await ledger.ask(LedgerRequest(settings=settings, permits=6))
        await ledger.ask(LedgerRequest(settings=settings, throttled=2, hold_seconds=60))
    queues = [f"{url}/one", f"{url}/empty"]
    async with RedisMetrics(scraper.registry, queues=queues, quotas=[(url, "main"), (url, "unused")]):
        scraped = scraper.scrape()
    one = of_redis(scraped, ("queue", "one"))
    assert 0 < one.pop("queue_oldest_seconds") < 600
    figures = {"length": 3, "pending": 2, "workers": 1, "dead_letters": 1, "results": 0}
    assert one == {f"queue_{name}": figure for name, figure in figures.items()}
    empty = {f"queue_{name}": 0 for name in (*figures, "oldest_seconds")}
    assert of_redis(scraped, ("queue", "empty")) == empty
    quota = of_redis(scraped, ("account", "main"), ("action", "StopWebcast"))
    assert 146 <= quota.pop("quota_rate_limit_calls_per_second") <= 150
    assert 0 < quota.pop("quota_held_seconds") <= 60
    worst = quota.pop("quota_worst_second_permits")
    assert quota == {"quota_permits_total": 6, "quota_throttled_total": 2}
    assert 1 <= worst <= 6
    assert of_redis(scraped, ("account", "unused"), ("action", "StopWebcast")) == {}
    assert scraper.scrape() == {}


async def test_while_redis_is_away_a_queue_has_no_figures_not_even_old_ones(
    scraper: Scraper, redis_server: RedisServer
) -> None:
    async with RedisMetrics(scraper.registry, queues=[f"{redis_server.url}/one"], every_seconds=0.01):
        assert ("stopcast_queue_length", (("queue", "one"),)) in scraper.scrape()
        redis_server.kill()
        async with asyncio.timeout(60):
            while scraper.scrape():
                await asyncio.sleep(0.01)
        redis_server.start()
        async with asyncio.timeout(60):
            while not scraper.scrape():
                await asyncio.sleep(0.01)


async def test_figures_that_cannot_be_renewed_any_more_are_left_out_and_the_cause_is_logged(
    scraper: Scraper, redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with RedisMetrics(scraper.registry, queues=[f"{redis_url}/one"], every_seconds=0.01) as metrics:
        assert scraper.scrape()
        monkeypatch.setattr(metrics._queues[0], "status", None)
        async with asyncio.timeout(60):
            while scraper.scrape():
                await asyncio.sleep(0.01)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "metrics of Redis failed: TypeError" in caplog.text


async def test_metrics_without_a_queue_or_with_the_same_names_twice_are_refused(
    scraper: Scraper, redis_url: str
) -> None:
    with pytest.raises(ConfigurationError):
        async with RedisMetrics(scraper.registry, quotas=[("http://host", "main")]):
            pass
    async with RedisMetrics(scraper.registry, queues=[f"{redis_url}/one"]):
        with pytest.raises(ValueError, match="Duplicated"):
            await RedisMetrics(scraper.registry).__aenter__()
        assert scraper.scrape()


async def test_the_expiry_of_the_first_credentials_and_what_a_stopper_is_doing_are_exported_from_the_start() -> None:
    registry = CollectorRegistry()
    key = replace(SANDBOX_CREDENTIALS, expires_at=time.time() + 3600)
    api = HeldApi()
    observer = PrometheusObserver(registry)
    async with Stopper(key, endpoint="http://127.0.0.1", transport=api, observers=[observer]) as stopper:
        assert registry.get_sample_value("stopcast_credentials_expiry_timestamp_seconds") == key.expires_at
        stopping = asyncio.create_task(stopper.stop(Task("app", "room", "task")))
        await api.until(lambda: api.held == 1)
        assert registry.get_sample_value("stopcast_calls_in_flight") == 1
        assert registry.get_sample_value("stopcast_tasks_waiting") == 0
        api.release()
        await stopping
    assert registry.get_sample_value("stopcast_calls_in_flight") == 0


async def test_labelled_observers_export_each_their_stopper() -> None:
    registry = CollectorRegistry()
    observer, api = PrometheusObserver(registry, labels=["account"]), HeldApi()
    stoppers = [
        Stopper(
            SANDBOX_CREDENTIALS,
            endpoint="http://127.0.0.1",
            transport=api,
            observers=[observer.labelled(account=account)],
        )
        for account in ("a", "b")
    ]
    async with stoppers[0] as first, stoppers[1]:
        stopping = asyncio.create_task(first.stop(Task("app", "room", "task")))
        await api.until(lambda: api.held == 1)
        found = [registry.get_sample_value("stopcast_calls_in_flight", {"account": account}) for account in ("a", "b")]
        assert found == [1, 0]
        api.release()
        await stopping
