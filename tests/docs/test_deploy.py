"""The files of examples/deploy: their commands, variables and metrics are those of the code, and tools accept them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from prometheus_client import CollectorRegistry, Gauge, Metric

from stopcast.api.verdict import Verdict
from stopcast.cli.group import group
from stopcast.events import WARNINGS
from stopcast.prometheus import PrometheusObserver
from stopcast.redis_metrics import RedisMetrics
from stopcast.tasks.outcome import Status
from support.documents import ROOT

DEPLOY = ROOT / "examples/deploy"
FILES = {path.name: path.read_text("utf-8") for path in sorted(DEPLOY.iterdir())}
UNITS = [name for name in FILES if name.endswith((".service", ".timer"))]
COMPOSE = yaml.safe_load(FILES["compose.yaml"])
DEPLOYMENT, CRON_JOB = (
    document
    for document in yaml.safe_load_all(FILES["kubernetes.yaml"])
    if document["kind"] in {"Deployment", "CronJob"}
)
PODS = (DEPLOYMENT["spec"]["template"]["spec"], CRON_JOB["spec"]["jobTemplate"]["spec"]["template"]["spec"])
RULES = [rule for rules in yaml.safe_load(FILES["prometheus-rules.yaml"])["groups"] for rule in rules["rules"]]
PANELS = json.loads(FILES["grafana-dashboard.json"])["panels"]
QUERIES = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]},
}
COMMANDS = set(group.list_commands(click.Context(group)))


def _unit(name: str) -> ConfigParser:
    unit = ConfigParser(interpolation=None, strict=False, delimiters="=")
    unit.optionxform = str  # type: ignore[assignment,method-assign] # the names of settings have capitals
    unit.read_string(FILES[name])
    return unit


def _in_text(text: str) -> Iterator[list[str]]:
    """Yield what follows `stopcast` wherever a text names it with one of its commands."""
    for found in re.finditer(rf"\bstopcast ((?:{'|'.join(COMMANDS)})\b[^\n'`|<]*)", text):
        # systemd writes a percent sign and a dollar sign twice.
        yield shlex.split(found[1].replace("%%", "%").replace("$$", "$").rstrip("."))


def _command_lines() -> Iterator[tuple[str, list[str]]]:
    for name, text in FILES.items():
        yield from ((name, line) for line in _in_text(text))
    for pod in PODS:
        yield from (("kubernetes.yaml", container["args"]) for container in pod["containers"])
    for service in COMPOSE["services"].values():
        if service["image"] == "stopcast" and "command" in service:
            yield "compose.yaml", service["command"]
    default = re.search(r"^CMD (.*)$", FILES["Containerfile"], re.MULTILINE)
    assert default is not None
    yield "Containerfile", json.loads(default[1])


@pytest.mark.parametrize(
    ("name", "line"), [pytest.param(name, line, id=f"{name}: {shlex.join(line)}") for name, line in _command_lines()]
)
def test_a_command_line_is_one_that_the_command_accepts(
    name: str, line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert name in FILES
    # Each of these files sets it beside the command.
    monkeypatch.setenv("STOPCAST_QUEUE", "redis://redis:6379/0/recordings")
    command = group.get_command(click.Context(group), line[0])
    assert command is not None
    command.make_context(line[0], line[1:])


def test_every_file_holds_a_command_line_that_is_checked_unless_it_has_none() -> None:
    assert {name for name, _ in _command_lines()} == {
        "Containerfile",
        "compose.yaml",
        "kubernetes.yaml",
        "prometheus-rules.yaml",
        "stopcast-nightly.service",
        "stopcast-worker@.service",
    }


def test_every_variable_is_known() -> None:
    contexts = [group.get_command(click.Context(group), name) for name in COMMANDS]
    known = {option.envvar for command in contexts if command for option in command.params}
    known |= {"VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", "VOLCENGINE_SESSION_TOKEN"}
    named = set(re.findall(r"\b(?:STOPCAST|VOLC[A-Z]*)_[A-Z_]+", "".join(FILES.values())))
    assert len(named) > 5
    assert named - known == set()


def test_every_way_to_end_a_process_leaves_more_time_than_its_calls_in_flight_take() -> None:
    seconds = [pod["terminationGracePeriodSeconds"] for pod in PODS]
    seconds.append(int(COMPOSE["services"]["worker"]["stop_grace_period"].removesuffix("s")))
    seconds += [int(_unit(name)["Service"]["TimeoutStopSec"]) for name in UNITS if name.endswith(".service")]
    assert len(seconds) == 5
    command = group.get_command(click.Context(group), "worker")
    assert command is not None
    grace = next(option.default for option in command.params if "--grace" in option.opts)
    assert isinstance(grace, int)
    assert min(seconds) >= grace + 5


def test_containers_run_without_privileges_and_with_a_read_only_root() -> None:
    for pod in PODS:
        assert pod["securityContext"]["runAsNonRoot"]
        # A Service that is named stopcast would set STOPCAST_PORT, which is an option of the sandbox.
        assert pod["enableServiceLinks"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert (context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]) == (True, False)
            assert context["capabilities"] == {"drop": ["ALL"]}
    for name in ("worker", "stopcast"):
        service = COMPOSE["services"][name]
        assert (service["read_only"], service["user"]) == (True, "65532:0")
    assert "\nUSER 65532:0\n" in FILES["Containerfile"]


def test_probes_and_scrapes_go_to_the_port_of_the_metrics() -> None:
    (worker,) = PODS[0]["containers"]
    port = worker["args"][worker["args"].index("--metrics-port") + 1]
    assert worker["ports"] == [{"name": "metrics", "containerPort": int(port)}]
    for probe in ("readinessProbe", "livenessProbe"):
        assert worker[probe]["httpGet"] == {"path": "/metrics", "port": "metrics"}
    assert DEPLOYMENT["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == port
    (scraped,) = yaml.safe_load(FILES["prometheus.yaml"])["scrape_configs"]
    assert (
        str(scraped["dns_sd_configs"][0]["port"])
        == COMPOSE["services"]["worker"]["environment"]["STOPCAST_METRICS_PORT"]
    )


def test_the_paths_of_the_containerfile_exist() -> None:
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", FILES["Containerfile"], re.MULTILINE):
        for path in line.split():
            assert (ROOT / path).exists(), path
    extras = re.search(r"'\.\[([a-z,]+)\]'", FILES["Containerfile"])
    assert extras is not None
    assert set(extras[1].split(",")) <= set(_project()["optional-dependencies"])


def _project() -> dict[str, Any]:
    import tomllib

    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project


def test_units_hold_only_settings_that_systemd_knows(tmp_path: Path) -> None:
    if (program := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed (Debian's package systemd)")
    for name in UNITS:
        # It asks for a program that exists.
        (tmp_path / name).write_text(FILES[name].replace("/opt/stopcast/bin/stopcast", sys.executable))
    units = [name.replace("@.", "@1.") for name in UNITS]
    (tmp_path / "stopcast-worker@1.service").symlink_to(tmp_path / "stopcast-worker@.service")
    command = [program, "verify", "--man=no", *(str(tmp_path / name) for name in units)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # A machine may have faults of its own among its units.
    assert [line for line in done.stderr.splitlines() if "stopcast" in line] == []


def test_a_unit_that_is_stopped_has_not_failed_and_one_that_cannot_work_is_not_started_again() -> None:
    worker = _unit("stopcast-worker@.service")["Service"]
    assert (worker["SuccessExitStatus"], worker["RestartPreventExitStatus"]) == ("143", "2")
    assert _unit("stopcast-nightly.timer")["Timer"]["Persistent"] == "yes"


def test_kubernetes_accepts_the_objects() -> None:
    validator = pytest.importorskip(
        "kubernetes_validate", reason="not checked against Kubernetes' schema: install the extra examples"
    )
    for document in yaml.safe_load_all(FILES["kubernetes.yaml"]):
        validator.validate(document, "1.30", strict=True)


def _promtool(*arguments: str | Path) -> None:
    if (program := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    done = subprocess.run([program, *arguments], cwd=DEPLOY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_its_configuration_and_the_rules() -> None:
    _promtool("check", "config", "prometheus.yaml")


def test_each_rule_fires_in_its_case_and_is_silent_while_all_is_well() -> None:
    _promtool("test", "rules", "prometheus-rules-test.yaml")
    assert {rule["alert"] for rule in RULES} == set(
        re.findall(r'alertname="(\w+)"', FILES["prometheus-rules-test.yaml"])
    )


def test_prometheus_accepts_every_query_of_the_dashboard(tmp_path: Path) -> None:
    replaced = {"$__rate_interval": "1m", "$job": ".*"}
    rules = [{"record": f"query_{n}", "expr": query} for n, query in enumerate(QUERIES.values())]
    text = yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]})
    for name, value in replaced.items():
        text = text.replace(name, value)
    path = tmp_path / "queries.yaml"
    path.write_text(text)
    _promtool("check", "rules", path)


def _metrics() -> dict[str, Metric]:
    """Return each series' name with its family."""
    registry = CollectorRegistry()
    PrometheusObserver(registry)
    # A run of the command adds this one.
    Gauge("stopcast_rows_expected", "", registry=registry)
    families = [*registry.collect(), *RedisMetrics().collect()]
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return {f"{family.name}{suffix}": family for family in families for suffix in suffixes[family.type]}


def _labels(family: Metric) -> set[str]:
    """Return the labels of a metric of a Stopper without accounts, of a queue or of a quota, and Prometheus' own."""
    labels = {label for sample in family.samples for label in sample.labels}
    # These have no series yet.
    for prefix, known in {"attempts": {"verdict"}, "queue": {"queue"}, "quota": {"account", "action"}}.items():
        labels |= known if family.name.startswith(f"stopcast_{prefix}") else set()
    return labels | {"job", "instance", "le"}


#: The labels that have a fixed set of values.
VALUES = {
    "status": {status.value for status in Status},
    "verdict": {verdict.name.lower() for verdict in Verdict},
    "event": set(WARNINGS.values()),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_asks_for_metrics_labels_and_values_that_exist(name: str) -> None:
    metrics, query = _metrics(), QUERIES[name]
    asked = re.findall(r"\b(stopcast_[a-z_]+)(?:\{([^}]*)\})?", query)
    assert asked or query.startswith("sum(up{")
    for metric, matchers in asked:
        labels = _labels(metrics[metric])
        for label, value in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
            assert label in labels
            assert label not in VALUES or set(value.split("|")) <= VALUES[label]
    for grouped in re.findall(r"\bby \(([^)]*)\)", query):
        assert set(grouped.split(", ")) <= set.union(*(_labels(metrics[metric]) for metric, _ in asked))


def test_each_metric_is_on_the_dashboard_or_in_a_rule_unless_it_says_nothing_alone() -> None:
    asked = set(re.findall(r"\bstopcast_[a-z_]+", " ".join(QUERIES.values())))
    unasked = {family.name for name, family in _metrics().items() if name in asked}
    alone = {
        "stopcast_clock_offset_seconds",
        "stopcast_credentials_refreshes",
        "stopcast_worst_second_calls",
        "stopcast_queue_results",
        "stopcast_quota_held_seconds",
        "stopcast_quota_worst_second_permits",
        "stopcast_quota_permits",
        "stopcast_quota_throttled",
    }
    assert {family.name for family in _metrics().values()} - unasked == alone


def test_every_file_says_in_its_head_what_it_is_for_and_what_to_change() -> None:
    for name, text in FILES.items():
        head = re.split(r"\n(?![#\n])", text)[0] if not name.endswith(".json") else json.loads(text)["description"]
        assert name == "prometheus-rules-test.yaml" or re.search(r"\b[Cc]hange: ", head), name
