"""The settings, dead letters and state of a queue from a shell."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from stopcast.sandbox import Emulator
from support.processes import (
    Shell,
    end_of,
    statuses,
    tasks,
    with_variables,
)
from support.queue_commands import enqueued, work
from support.queues import leave_pending
from support.redis_server import free_port

At = tuple[str, ...]


def test_a_worker_warns_that_it_uses_the_settings_of_the_others(queue: Shell, at: At) -> None:
    enqueued(queue, tasks(1))
    assert work(queue, "a.jsonl", *at).status == 0
    ended = queue.run("worker", "--until-empty", "-o", "b.jsonl", *at, "--claim-after", "5")
    assert ended.status == 0
    assert "claim_after_seconds is 0.5, as the queue keeps it for all its workers, and not 5" in ended.err


def test_the_settings_that_all_workers_share_are_changed_by_a_command(queue: Shell) -> None:
    enqueued(queue, tasks(1))
    ended = queue.run("configure", "--claim-after", "7.5", "--max-deliveries", "3")
    assert (ended.status, "settings: claim-after 7.5 s, max-deliveries 3" in ended.out) == (0, True)
    assert queue.run("configure", "--max-deliveries", "4").status == 0
    status = json.loads(queue.run("status", "--json").out)["queue"]
    assert (status["claim_after_seconds"], status["max_deliveries"]) == (7.5, 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "name settings of a queue"),
        (("--claim-after", "5", "--max-per-second", "5"), "name settings of a queue"),
        (("--max-per-second", "5"), "name the quota"),
        (("--quota", "redis://127.0.0.1:1", "--account", "a", "--max-per-second", "151"), "--raised-quota"),
        (("--claim-after", "0"), "--claim-after"),
    ],
)
def test_settings_that_make_no_sense_are_wrong_usage(queue: Shell, options: At, words: str) -> None:
    ended = queue.run("configure", *options)
    assert (ended.status, words in ended.err) == (2, True)


def test_a_variable_for_workers_does_not_change_the_settings_of_all(queue: Shell) -> None:
    enqueued(queue, tasks(1))
    with_variables(queue, {"STOPCAST_CLAIM_AFTER": "5"})
    assert queue.run("configure", "--max-deliveries", "3").status == 0
    status = json.loads(queue.run("status", "--json").out)["queue"]
    assert (status["claim_after_seconds"], status["max_deliveries"]) == (None, 3)


def test_dead_letters_are_reported_once_and_go_back_into_the_queue_in_doubt(
    queue: Shell, api: Emulator, at: At, there: Any
) -> None:
    enqueued(queue, tasks(3))
    leave_pending(there, worker="dead", count=3)
    ended = work(queue, "a.jsonl", *at, "--max-deliveries", "1")
    assert ended.status == 1
    assert "3 tasks came back too often" in ended.err
    assert "was delivered" not in ended.err
    assert "dead letters: 3; to put them back:\n  stopcast enqueue --dead-letters\n" in queue.run("status").out
    # Without the variable the command has to name the queue.
    url = queue.variables.pop("STOPCAST_QUEUE")
    shown = queue.run("status", "--queue", url).out
    assert f"  stopcast enqueue --dead-letters --queue {url}\n" in shown
    queue.variables["STOPCAST_QUEUE"] = url
    assert "3 dead letters put back into the queue tasks" in queue.run("enqueue", "--dead-letters").err
    api.running = set()
    assert work(queue, "b.jsonl", *at).status == 0
    assert statuses(queue / "b.jsonl") == {"presumed_stopped": 3}
    assert there.xlen("{tasks}:dead") == 0
    assert queue.run("enqueue", "--dead-letters", "--json").summary == {"dead_letters": 0}


def test_a_watch_goes_on_when_redis_does_not_answer(shell: Shell) -> None:
    watching = shell.start("status", "--watch", "--queue", f"redis://127.0.0.1:{free_port()}/0/tasks")
    assert watching.stderr is not None
    for _ in range(2):
        while b"cannot be used" not in watching.stderr.readline():
            assert watching.poll() is None
    watching.send_signal(signal.SIGINT)
    assert end_of(watching).status == 0


def test_a_queue_is_watched_until_a_signal(queue: Shell) -> None:
    enqueued(queue, tasks(2))
    watching = queue.start("status", "--watch", "--json")
    assert watching.stdout is not None
    first, second = (json.loads(watching.stdout.readline()) for _ in range(2))
    assert first["queue"]["length"] == second["queue"]["length"] == 2
    watching.send_signal(signal.SIGINT)
    ended = end_of(watching)
    assert (ended.status, ended.without_traceback) == (0, True)
