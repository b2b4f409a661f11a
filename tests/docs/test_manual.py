"""The manual's tables agree with the code."""

from __future__ import annotations

import re
import signal
import tomllib

from stopcast.cli.output import EXIT_BAD_ROWS, EXIT_GIVEN_UP, EXIT_GOOD, EXIT_USAGE
from stopcast.tasks.outcome import Status
from support.documents import README, ROOT, page, rows, words

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]


def test_the_tables_of_statuses_are_the_statuses() -> None:
    yes = {True: "yes", False: "no"}
    listed = {row[0].strip("`"): (row[2], row[3]) for row in rows(page("statuses"))}
    assert listed == {status.value: (yes[not status.settled], yes[status.good]) for status in Status}


def test_the_tables_of_exit_statuses_are_the_exit_statuses() -> None:
    signals = {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    known = {EXIT_GOOD, EXIT_BAD_ROWS, EXIT_USAGE, EXIT_GIVEN_UP} | signals
    for document in (page("exit"), README):
        listed = [cell for cell, *_ in rows(document) if re.fullmatch(r"[0-9, ]+", cell)]
        assert {int(number) for cell in listed for number in cell.split(",")} == known


def test_every_promise_names_tests_that_exist() -> None:
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    promises = rows(page("promises"))
    assert len(promises) >= 15
    missing = [
        sentence
        for _, sentences in promises
        for sentence in sentences.split("; ")
        if f"def test_{sentence.replace(' ', '_')}(" not in tests
    ]
    assert missing == []


def test_the_map_of_the_code_is_the_contract_on_imports() -> None:
    layers = [set(layer.split(" | ")) for layer in CONTRACTS[0]["layers"]]
    assert [words(row[0]) for row in rows(page("code"))] == layers
    adapters = {module.removeprefix("stopcast.") for module in CONTRACTS[1]["modules"]}
    listed = re.search(r"the\s+adapters \(([^)]*)\)", page("code"))
    assert listed is not None
    assert words(listed[1]) == adapters


def test_the_map_of_the_code_names_places_that_exist() -> None:
    named = re.findall(r"`([a-z_/.]+)`", page("code").partition("## Where to change what")[2].partition("\n## ")[0])
    source = ROOT / "src/stopcast"
    assert [name for name in named if not ((source / name).exists() or (source / f"{name}.py").exists())] == []
    assert len(named) > 15


def test_every_metric_and_every_event_is_in_the_manual() -> None:
    from prometheus_client import CollectorRegistry

    from stopcast.events import Event
    from stopcast.prometheus import PrometheusObserver
    from stopcast.redis_metrics import RedisMetrics

    registry = CollectorRegistry()
    PrometheusObserver(registry)
    registry.register(RedisMetrics())
    metrics = {f"{family.name}_total" if family.type == "counter" else family.name for family in registry.collect()}
    observing = page("observing")
    assert set(re.findall(r"`(stopcast_[a-z_]+)", observing)) == metrics | {"stopcast_rows_expected"}, (
        "the last is a run's own"
    )
    quoted = words(observing)
    assert {kind.__name__ for kind in Event.__args__} <= quoted
    assert {kind.log_entry.name for kind in Event.__args__} <= quoted


def test_every_benchmark_is_listed_with_its_last_figures() -> None:
    listed = (ROOT / "benchmarks" / "README.md").read_text()
    modules = (ROOT / "benchmarks").glob("*.py")
    scripts = {path.name for path in modules if '__name__ == "__main__"' in path.read_text()}
    assert set(re.findall(r"^\| `([a-z_]+\.py)` \|", listed, re.MULTILINE)) == scripts
    assert set(re.findall(r"^### ([a-z_]+\.py)$", listed, re.MULTILINE)) == scripts
