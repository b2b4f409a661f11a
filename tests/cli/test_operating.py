"""The output for operators: the log on standard error, and the metrics."""

from __future__ import annotations

import asyncio
import json
import math
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stopcast import virtual_clock
from stopcast.background import Supervisor
from stopcast.cli.options import MetricsOptions, OutputOptions
from stopcast.cli.running.metrics import metrics
from stopcast.cli.user import User
from stopcast.events import TaskRefused
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from stopcast.tasks.outcome import Outcome, Status
from support.processes import Shell, end_of, statuses, tasks, until, write_csv

At = tuple[str, ...]


def records(err: str) -> list[dict[str, Any]]:
    """Return the log; fail unless every line is one object."""
    return [json.loads(line) for line in err.splitlines()]


def samples(text: str) -> dict[str, float]:
    families = text_string_to_metric_families(text)
    return {
        f"{sample.name}{''.join(sample.labels.values())}": sample.value
        for family in families
        for sample in family.samples
    }


# --log-format, -v


def test_with_log_format_json_every_line_is_an_object_with_the_name_of_an_event(
    shell: Shell, api: Emulator, at: At
) -> None:
    api.faults = Faults({"internal": tasks(1)})
    api.refused_apps = {"dead": "InvalidParameter.NotExistAppId"}
    name = write_csv(shell / "list.csv", [*tasks(3), *tasks(1, app="dead")])
    logged = records(shell.run("run", name, *at, "--log-format", "json", "-v").err)
    assert {"app_set_aside", "retry_planned", "rate_changed", "run_finished", "summary"} <= {
        record["event"] for record in logged
    }
    assert all(set(record) >= {"time", "level", "logger", "event", "message"} for record in logged)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"]) for record in logged)
    summary = next(record for record in logged if record["event"] == "summary")
    assert (summary["level"], summary["summary"]["statuses"]["stopped"]) == ("info", 3)
    (set_aside,) = (record for record in logged if record["event"] == "app_set_aside")
    assert (set_aside["level"], set_aside["app_id"]) == ("warning", "dead")


def test_with_log_format_json_a_given_up_run_logs_the_error_and_the_command_that_continues(
    shell: Shell, at: At
) -> None:
    shell.variables["VOLCENGINE_SECRET_KEY"] = "not-the-s3cret"
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(20)), *at, "--log-format=json", "-vv")
    assert ended.status == 3
    by_event = {record["event"]: record for record in records(ended.err)}
    assert (by_event["given_up"]["level"], by_event["given_up"]["error"]) == ("error", "CredentialsRefusedError")
    assert "--resume" in by_event["resumable"]["resume_with"]
    assert "s3cret" not in ended.err


@pytest.mark.parametrize(("flag", "logged"), [("-y", []), ("-v", ["retry"]), ("-vv", ["retry", "ids", "attempts"])])
def test_rooms_and_tasks_are_logged_only_with_vv(
    shell: Shell, api: Emulator, at: At, flag: str, logged: list[str]
) -> None:
    api.faults = Faults({"internal": tasks(1)})
    err = shell.run("run", write_csv(shell / "list.csv", tasks(2)), *at, flag).err
    found = {"retry": "InternalError", "ids": "room-0", "attempts": "app/room-0/task-0: attempt 2: ok"}
    assert [what for what, words in found.items() if words in err] == logged


def test_control_characters_are_never_raw_in_the_log(shell: Shell, at: At) -> None:
    name = "list\x1b[2J.csv"
    assert "\x1b" not in shell.run("run", name, *at).err


# --metrics-port, --metrics-file


def test_the_metrics_can_be_scraped_during_the_run(shell: Shell, api: Emulator, at: At) -> None:
    process = shell.start("run", "-", *at, "--metrics-port", "0", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stderr is not None
    url = process.stderr.readline().decode().rpartition("metrics: ")[2].strip()
    assert url.startswith("http://127.0.0.1:")
    process.stdin.write(b"AppId,RoomId,TaskId\n" + b"".join(f"a,r,t{n}\n".encode() for n in range(7)) + b"bad id,r,t\n")
    process.stdin.flush()

    def scrape() -> dict[str, float]:
        with urllib.request.urlopen(url, timeout=10) as response:
            return samples(response.read().decode())

    until(lambda: api.calls == 7)
    until(lambda: scrape().get("stopcast_tasks_totalstopped") == 7)
    assert scrape()["stopcast_tasks_totalinvalid"] == 1
    assert scrape()["stopcast_attempts_totalok"] == 7
    assert math.isnan(scrape()["stopcast_rows_expected"]), "a pipe does not say how long it is"
    assert end_of(process).status == 1


def test_the_metrics_file_exists_from_the_start_and_is_complete_at_the_end(shell: Shell, at: At) -> None:
    process = shell.start("run", "-", *at, "--metrics-file", "stopcast.prom", stdin=subprocess.PIPE)
    file = shell / "stopcast.prom"
    until(file.exists)
    first = file.stat().st_ino
    assert samples(file.read_text())["stopcast_retries_total"] == 0
    assert end_of(process, b"a,r,t1\na,r,t2\na,r,t2\n").status == 0
    found = samples(file.read_text())
    assert (found["stopcast_tasks_totalstopped"], found["stopcast_tasks_totalduplicate"]) == (2, 1)
    assert found["stopcast_last_run_finished_timestamp_seconds"] > 1.7e9
    # Another file under the same name, so that a reader never sees half of one.
    assert file.stat().st_ino != first
    assert [path.name for path in shell.directory.glob("stopcast.prom*")] == ["stopcast.prom"]


def test_the_metrics_file_is_rewritten_every_few_seconds_with_a_label_for_each_account(tmp_path: Path) -> None:
    file = tmp_path / "stopcast.prom"

    async def main() -> None:
        supervisor = Supervisor(lambda error: pytest.fail(str(error)))
        options, user = MetricsOptions(file=str(file)), User(OutputOptions(quiet=True))
        async with metrics(options, user, supervisor, by_account=True) as observers_of:
            for account in ("a", "b"):
                (observer,) = observers_of(account)
                observer(TaskRefused(Outcome(tasks(1)[0], Status.INVALID)))
            await asyncio.sleep(6)
            while (
                not {"stopcast_tasks_totalainvalid", "stopcast_tasks_totalbinvalid"} <= samples(file.read_text()).keys()
            ):
                await asyncio.sleep(0)

    virtual_clock.run(main())


def test_the_metrics_of_several_accounts_have_a_label(shell: Shell) -> None:
    (shell / "accounts.toml").write_text(
        '[accounts.a]\napps = ["app-a"]\nenvironment = "A"\n[accounts.b]\napps = ["app-b"]\nenvironment = "B"\n'
    )
    listed = [*tasks(3, app="app-a"), *tasks(2, app="app-b"), *tasks(1, app="unclaimed")]
    options = ("--accounts", "accounts.toml", "--sandbox", "--metrics-file", "stopcast.prom")
    assert shell.run("run", write_csv(shell / "list.csv", listed), *options).status == 1
    found = samples((shell / "stopcast.prom").read_text())
    assert (found["stopcast_tasks_totalastopped"], found["stopcast_tasks_totalbstopped"]) == (3, 2)
    assert found["stopcast_tasks_totalset_aside"] == 1
    assert found["stopcast_rate_limit_calls_per_seconda"] > 140


def test_the_metrics_of_a_worker_include_its_queue_and_quota_until_it_ends(
    shell: Shell, api: Emulator, redis_url: str
) -> None:
    queue = ("--queue", f"{redis_url}/tasks")
    assert shell.run("enqueue", write_csv(shell / "list.csv", tasks(3)), *queue).status == 0
    quota = ("--quota", redis_url, "--account", "main", "--endpoint", api.url)
    metrics = ("--metrics-port", "0", "--metrics-file", "stopcast.prom")
    process = shell.start("worker", *queue, *quota, *metrics, "-o", "report.jsonl")
    assert process.stderr is not None
    url = process.stderr.readline().decode().rpartition("metrics: ")[2].strip()

    def scrape() -> dict[str, float]:
        with urllib.request.urlopen(url, timeout=10) as response:
            return samples(response.read().decode())

    # Not at the start: the worker, and the permits of its calls, appear when Redis is asked again.
    until(lambda: scrape().get("stopcast_queue_workerstasks") == 1)
    until(lambda: scrape().get("stopcast_quota_permits_totalmainStopWebcast", 0) >= 3)
    # A call that has its permit and is not sent yet would be taken back at the signal.
    until(lambda: scrape().get("stopcast_tasks_totalstopped") == 3)
    process.send_signal(signal.SIGTERM)
    assert end_of(process).status == 143
    written = samples((shell / "stopcast.prom").read_text())
    assert written["stopcast_tasks_totalstopped"] == 3
    assert not [name for name in written if name.startswith(("stopcast_queue", "stopcast_quota"))]


def test_a_metrics_file_that_becomes_unwritable_does_not_stop_the_run(shell: Shell, at: At) -> None:
    (shell / "metrics").mkdir()
    process = shell.start("run", "-", *at, "--metrics-file", "metrics/stopcast.prom", stdin=subprocess.PIPE)
    file = shell / "metrics" / "stopcast.prom"
    until(file.exists)
    file.unlink()
    (shell / "metrics").rmdir()
    ended = end_of(process, b"a,r,t1\n")
    assert (ended.status, "--metrics-file" in ended.err) == (0, True)
    assert ended.without_traceback


def test_a_writer_of_the_metrics_file_that_fails_ends_the_run_with_its_cause(
    shell: Shell, api: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    def fail_later(_path: str, _registry: object) -> None:
        nonlocal written
        written += 1
        if written > 1:
            message = "broken"
            raise RuntimeError(message)

    monkeypatch.setattr("prometheus_client.write_to_textfile", fail_later)
    monkeypatch.setattr("stopcast.cli.running.metrics._WRITE_EVERY_SECONDS", 0.01)
    options = ("--endpoint", api.url, "--max-per-second", "20", "--metrics-file", "stopcast.prom")
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(10_000)), *options)
    assert ended.status == 3
    assert "writer of --metrics-file stopcast.prom failed: RuntimeError: broken" in ended.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--metrics-file", "none/stopcast.prom"), "--metrics-file none/stopcast.prom"),
        (("--metrics-port", "0", "--metrics-host", "host.invalid"), "--metrics-port 0 at host.invalid"),
    ],
    ids=["missing folder", "unknown address"],
)
def test_unusable_metrics_options_are_reported_before_any_call(
    shell: Shell, api: Emulator, at: At, options: At, message: str
) -> None:
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), *at, *options)
    assert (ended.status, api.calls) == (2, 0)
    assert message in ended.err
    assert not (shell / "stopcast-report.jsonl").exists()


def test_a_port_that_is_taken_is_reported_before_any_call(shell: Shell, api: Emulator, at: At) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), *at, "--metrics-port", port)
    assert (ended.status, api.calls) == (2, 0)
    assert f"--metrics-port {port} at 127.0.0.1" in ended.err


def test_metrics_without_prometheus_client_are_answered_with_its_installation(
    shell: Shell, api: Emulator, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), *at, "--metrics-port", "0")
    assert (ended.status, api.calls) == (2, 0)
    assert "pip install 'stopcast[prometheus]'" in ended.err


def test_the_secret_key_appears_neither_in_the_metrics_nor_in_the_log(shell: Shell, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    ended = shell.run("run", name, *at, "-vv", "--log-format", "json", "--metrics-file", "stopcast.prom")
    for text in (ended.err, (shell / "stopcast.prom").read_text()):
        assert SANDBOX_CREDENTIALS.secret_key not in text


def test_the_metrics_say_how_many_rows_the_lists_hold(shell: Shell, at: At) -> None:
    listed = write_csv(shell / "list.csv", [*tasks(5), *tasks(2)])
    assert shell.run("run", listed, *at, "--metrics-file", "m.prom").status == 0
    assert samples((shell / "m.prom").read_text())["stopcast_rows_expected"] == 7


def test_a_run_whose_every_app_is_refused_was_given_up(shell: Shell, api: Emulator, at: At) -> None:
    api.refused_apps = dict.fromkeys(("dead", "gone"), "InvalidParameter.NotExistAppId")
    name = write_csv(shell / "list.csv", [*tasks(3, app="dead"), *tasks(3, app="gone")])
    ended = shell.run("run", name, *at)
    assert ended.status == 3
    assert "stopcast: the API refused every AppId of the lists; their tasks are set aside" in ended.err
    assert statuses(shell / "stopcast-report.jsonl") == {"set_aside": 6}
    api.refused_apps = {"gone": "InvalidParameter.NotExistAppId"}
    assert shell.run("run", name, *at, "--resume").status == 1
