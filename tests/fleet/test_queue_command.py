"""The queue from a shell: enqueue, worker and status, against a real Redis. Signals and crashes need processes."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

import pytest

from stopcast.sandbox import Emulator, Faults
from stopcast.tasks.task import Task
from support.processes import (
    Shell,
    end_of,
    lines_by_task,
    read_report,
    statuses,
    tasks,
    until,
    with_variables,
    write_csv,
)
from support.queue_commands import SOON, enqueued, work
from support.queues import leave_pending
from support.redis_server import RedisServer, free_port

At = tuple[str, ...]


def test_a_worker_stops_each_task_of_a_list_once(queue: Shell, api: Emulator, at: At) -> None:
    enqueued(queue, tasks(200))
    ended = work(queue, "report.jsonl", *at, "--json")
    assert (ended.status, ended.summary["statuses"]["stopped"]) == (0, 200)
    assert lines_by_task(queue / "report.jsonl") == dict.fromkeys(tasks(200), 1)
    assert {line["source"] for line in read_report(queue / "report.jsonl")} == {"tasks"}
    assert api.stopped == set(tasks(200))
    status = json.loads(queue.run("status", "--json").out)["queue"]
    assert (status["length"], status["pending"], status["workers"]) == (0, 0, [])
    assert not (queue / "report.jsonl.inflight").exists()


def test_two_workers_share_a_queue_and_each_task_is_in_one_report(queue: Shell, api: Emulator) -> None:
    enqueued(queue, tasks(400))
    # The first worker needs 4 s for them alone, so the second one may start late; and neither of them takes over what
    # the other one has while a busy machine holds it up.
    options = ("--until-empty", "--endpoint", api.url, "--max-per-second", "100")
    workers = [queue.start("worker", "-o", f"{name}.jsonl", *options) for name in "ab"]
    assert [end_of(worker).status for worker in workers] == [0, 0]
    by_a, by_b = lines_by_task(queue / "a.jsonl"), lines_by_task(queue / "b.jsonl")
    assert by_a + by_b == dict.fromkeys(tasks(400), 1)
    assert by_a
    assert by_b
    assert api.calls == 400


def test_a_signal_lets_a_worker_hand_its_unsent_tasks_back_without_doubt(
    queue: Shell, api: Emulator, at: At, there: Any
) -> None:
    enqueued(queue, tasks(300))
    worker = queue.start("worker", "-o", "a.jsonl", "--endpoint", api.url, "--max-per-second", "100")
    until(lambda: api.calls > 20)
    worker.send_signal(signal.SIGTERM)
    ended = end_of(worker)
    assert ended.status == 143
    assert ended.without_traceback
    assert "handed back" in ended.err
    # Nothing of the queue is left behind that this worker would have to finish.
    assert "not finished" not in ended.err
    assert f"worker --resume -o a.jsonl --endpoint {api.url} --max-per-second 100" in ended.err.splitlines()[-1]
    assert there.xpending("tasks", "stopcast")["pending"] == 0
    assert there.xinfo_consumers("tasks", "stopcast") == []
    assert there.xlen("tasks") == 300 - len(read_report(queue / "a.jsonl"))
    assert work(queue, "b.jsonl", *at).status == 0
    assert lines_by_task(queue / "a.jsonl") + lines_by_task(queue / "b.jsonl") == dict.fromkeys(tasks(300), 1)
    assert statuses(queue / "b.jsonl").keys() == {"stopped"}


def test_a_second_signal_cuts_calls_off_and_hands_their_tasks_back_in_doubt(
    queue: Shell, api: Emulator, at: At, there: Any
) -> None:
    api.faults = Faults({"hang": tasks(1)})
    enqueued(queue, tasks(1))
    worker = queue.start("worker", "-o", "a.jsonl", *at, stderr=subprocess.PIPE)
    until(lambda: api.calls)
    worker.send_signal(signal.SIGINT)
    assert worker.stderr is not None
    while b"second signal" not in (line := worker.stderr.readline()):
        assert line, "it never logged that"
    worker.send_signal(signal.SIGINT)
    assert end_of(worker).status == 130
    assert [fields for _, fields in there.xrange("tasks")] == [{"task": "app,room-0,task-0", "in_doubt": "1"}]
    api.running = set()
    assert work(queue, "b.jsonl", *at).status == 0
    assert statuses(queue / "b.jsonl") == {"presumed_stopped": 1}


def test_the_tasks_of_a_killed_worker_are_taken_over(queue: Shell, api: Emulator, at: At) -> None:
    enqueued(queue, tasks(300))
    worker = queue.start("worker", "-o", "a.jsonl", *SOON, "--endpoint", api.url, "--max-per-second", "200")
    until(lambda: api.calls > 50)
    worker.kill()
    end_of(worker)
    assert work(queue, "b.jsonl", *at).status == 0
    by_a, by_b = lines_by_task(queue / "a.jsonl"), lines_by_task(queue / "b.jsonl")
    assert set(by_a) | set(by_b) == set(tasks(300)) == api.stopped
    # A task that was sent before the death, and has no line, is not "already stopped".
    assert statuses(queue / "b.jsonl").keys() <= {"stopped", "presumed_stopped"}


def test_a_killed_worker_that_is_started_again_does_not_send_what_its_report_settles(
    queue: Shell, api: Emulator, at: At, there: Any
) -> None:
    enqueued(queue, tasks(3))
    leave_pending(there, worker="killed", count=2)
    assert queue.run("run", write_csv(queue / "one.csv", tasks(1)), *at, "-o", "a.jsonl").status == 0
    assert work(queue, "a.jsonl", *at, "--resume").status == 0
    assert lines_by_task(queue / "a.jsonl") == dict.fromkeys(tasks(3), 1)
    assert api.calls == 3
    assert there.xlen("tasks") == 0


def test_outcomes_can_go_to_the_results_stream_alone(queue: Shell, at: At, there: Any) -> None:
    enqueued(queue, tasks(10))
    assert queue.run("worker", "--until-empty", "--results", *at).status == 0
    lines = [json.loads(fields["line"]) for _, fields in there.xrange("{tasks}:results")]
    assert {Task(line["AppId"], line["RoomId"], line["TaskId"]) for line in lines} == set(tasks(10))
    assert "results: 10" in queue.run("status").out


def test_a_worker_without_a_place_for_its_outcomes_is_a_usage_error(queue: Shell) -> None:
    ended = queue.run("worker", "--sandbox")
    assert ended.status == 2
    assert "-o PATH" in ended.err


@pytest.mark.parametrize("command", [("enqueue", "list.csv"), ("worker", "--sandbox", "--results"), ("status",)])
def test_a_queue_that_cannot_be_reached_is_reported_without_its_password(
    shell: Shell, command: tuple[str, ...]
) -> None:
    write_csv(shell / "list.csv", tasks(1))
    for address, status in (("redis://:hush@127.0.0.1:1/0/tasks", 3), ("redis://:hush@127.0.0.1:1/0", 2)):
        ended = shell.run(*command, "--queue", address)
        assert ended.status == status
        assert ended.without_traceback
        assert "hush" not in ended.err + ended.out


def test_a_worker_of_a_queue_that_cannot_be_used_is_refused_before_any_sign_of_a_start(shell: Shell, at: At) -> None:
    address = f"redis://127.0.0.1:{free_port()}/0/tasks"
    ended = shell.run("worker", "-o", "a.jsonl", "--queue", address, *at)
    assert (ended.status, "cannot be used" in ended.err) == (3, True)
    assert "Stopping" not in ended.log


def test_a_restart_of_redis_is_reported_and_costs_no_task_and_no_call(
    shell: Shell, api: Emulator, redis_server: RedisServer
) -> None:
    redis_server.restart_with_a_log()
    queue = with_variables(shell, {"STOPCAST_QUEUE": f"{redis_server.url}/tasks"})
    enqueued(queue, tasks(600))
    options = ("--until-empty", *SOON, "--endpoint", api.url, "--max-per-second", "300")
    with (queue / "log").open("wb") as err:
        worker = queue.start("worker", "-o", "a.jsonl", *options, stderr=err)
    until(lambda: api.calls > 50)
    redis_server.kill()
    calls = api.calls
    until(lambda: api.calls >= calls + 20)  # the tasks at hand are stopped
    until(lambda: "the queue cannot be used for now" in (queue / "log").read_text())
    redis_server.start()
    assert end_of(worker).status == 0
    assert "the queue is back" in (queue / "log").read_text()
    assert lines_by_task(queue / "a.jsonl") == dict.fromkeys(tasks(600), 1)
    assert api.calls == 600


def test_every_worker_ends_with_status_1_when_the_queue_has_lost_its_data(
    queue: Shell, api: Emulator, there: Any
) -> None:
    enqueued(queue, tasks(300))
    options = ("--endpoint", api.url, "--max-per-second", "100")
    workers = [queue.start("worker", "-o", f"{name}.jsonl", *options) for name in "ab"]
    until(lambda: api.calls > 10 and len(there.xinfo_consumers("tasks", "stopcast")) == 2)
    there.flushall()
    for ended in map(end_of, workers):
        assert ended.status == 1
        assert "the queue tasks has lost its tasks" in ended.err
        assert "Put the list in again: stopcast enqueue LIST" in ended.err
        assert "could not be handed back" not in ended.err


def test_a_results_key_of_another_type_ends_the_worker_with_status_3(queue: Shell, at: At, there: Any) -> None:
    enqueued(queue, tasks(3))
    there.set("{tasks}:results", "something else")
    ended = queue.run("worker", "--until-empty", "--results", *at)
    assert ended.status == 3
    assert "{tasks}:results is not a stream" in ended.err
    assert there.xlen("tasks") == 3


@pytest.mark.parametrize("place", [("-o", "a.jsonl"), ("--results",)])
def test_a_task_that_failed_and_is_put_in_again_counts_once_at_its_worker(
    queue: Shell, api: Emulator, place: tuple[str, ...]
) -> None:
    api.faults = Faults({"parameter": tasks(2)})
    enqueued(queue, tasks(3))
    worker = queue.start("worker", *place, "--endpoint", api.url, "--json")
    until(lambda: api.calls == 3)
    again = 0
    while again < 2:
        again += json.loads(queue.run("enqueue", "list.csv", "--json").out)["queued"]
    until(lambda: api.stopped == set(tasks(3)) and not json.loads(queue.run("status", "--json").out)["queue"]["length"])
    worker.send_signal(signal.SIGTERM)
    counted = [end_of(worker).summary]
    if place[0] == "-o":
        counted.append(json.loads(queue.run("summary", "a.jsonl", "--json").out))
    assert [(totals["statuses"]["stopped"], totals["statuses"]["failed"]) for totals in counted] == [(3, 0)] * len(
        counted
    )


def test_a_killed_worker_that_is_started_again_sends_again_what_failed(
    queue: Shell, api: Emulator, at: At, there: Any
) -> None:
    api.faults = Faults({"parameter": tasks(1)})
    assert queue.run("run", write_csv(queue / "one.csv", tasks(1)), *at, "-o", "a.jsonl").status == 1
    enqueued(queue, tasks(1))
    leave_pending(there, worker="killed", count=1)
    assert work(queue, "a.jsonl", *at, "--resume").status == 0
    assert statuses(queue / "a.jsonl") == {"stopped": 1}
