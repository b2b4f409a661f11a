"""Lists into a queue from a shell: each task once, and in doubt where a report leaves it in doubt."""

from __future__ import annotations

import gzip
import signal
import subprocess
from functools import partial
from typing import Any

import pytest

from stopcast.sandbox import Emulator, Faults
from support.processes import (
    Shell,
    csv_of,
    end_of,
    lines_by_task,
    settled_by,
    tasks,
    until,
    write_csv,
)
from support.queue_commands import enqueued, work
from support.redis_server import RedisServer

At = tuple[str, ...]


def test_the_good_rows_of_a_dirty_list_are_put_in_and_the_others_are_reported(queue: Shell) -> None:
    (queue / "list.csv").write_text("a,r,1\na,r,1\na,,2\nb,r,1\n\n,,\n")
    ended = queue.run("enqueue", "list.csv", "--json")
    assert ended.status == 1
    assert "list.csv:3: RoomId is empty" in ended.err
    totals = ended.summary
    assert (totals["rows"], totals["queued"], totals["duplicates"], totals["invalid"]) == (4, 2, 1, 1)
    assert "2 tasks" in queue.run("status").out


def test_a_list_is_in_the_queue_once_after_enqueue_was_killed_three_times(queue: Shell, there: Any) -> None:
    listed = tasks(5000)
    text = csv_of(listed).encode()

    def some_more(before: int) -> bool:
        return bool(there.xlen("tasks") > min(before, 1500))

    for _ in range(3):
        cut_off = queue.start("enqueue", "-", "--format", "csv", stdin=subprocess.PIPE)
        assert cut_off.stdin is not None
        before = int(there.xlen("tasks"))
        cut_off.stdin.write(text[: len(text) // 2])
        cut_off.stdin.flush()
        until(partial(some_more, before))
        cut_off.kill()
        end_of(cut_off)
    assert queue.run("enqueue", "-", given=text).status == 0
    assert sorted(fields["task"] for _, fields in there.xrange("tasks")) == sorted(",".join(task) for task in listed)


def test_a_report_puts_the_tasks_that_ended_badly_in_again(queue: Shell, api: Emulator, at: At) -> None:
    listed = tasks(20)
    api.fail_forever = set(listed[:4])
    enqueued(queue, listed)
    assert work(queue, "a.jsonl", *at, "--max-attempts", "1").status == 1
    assert settled_by(queue / "a.jsonl", "gave_up") == set(listed[:4])
    api.fail_forever = ()
    assert queue.run("enqueue", "a.jsonl", "--json").summary["queued"] == 4
    assert work(queue, "b.jsonl", *at).status == 0
    assert set(lines_by_task(queue / "b.jsonl")) == set(listed[:4])


def test_the_rows_that_a_report_leaves_in_doubt_are_put_in_in_doubt(queue: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"close_after": tasks(1), "throttled": tasks(1, first=1)})
    listed = write_csv(queue / "list.csv", tasks(2))
    assert queue.run("run", listed, "-o", "a.jsonl", "--max-attempts", "1", *at).status == 1
    api.running = set()
    assert queue.run("enqueue", "a.jsonl", "--json").summary["queued"] == 2
    assert work(queue, "b.jsonl", *at).status == 0
    assert settled_by(queue / "b.jsonl", "presumed_stopped") == set(tasks(1))


def test_what_was_put_in_is_counted_whatever_ends_it_and_nothing_is_to_be_tried_before_the_cause_is_fixed(
    queue: Shell, there: Any
) -> None:
    write_csv(queue / "good.csv", tasks(3000))
    (queue / "bad.csv.gz").write_bytes(gzip.compress(csv_of(tasks(9)).encode())[:-20])
    ended = queue.run("enqueue", "good.csv", "bad.csv.gz")
    assert ended.status == 2
    assert f"{there.xlen('tasks'):,} tasks were put in. After you have fixed the cause, run the same" in ended.err
    there.delete("tasks")
    there.set("tasks", "something else")
    ended = queue.run("enqueue", "good.csv", "--again")
    assert ended.status == 3
    assert "0 tasks were put in. After you have fixed the cause, run the same command again" in ended.err


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["INT", "TERM", "HUP"],
)
def test_an_interrupted_enqueue_says_what_was_put_in_and_what_to_do(
    queue: Shell, there: Any, number: signal.Signals, status: int
) -> None:
    process = queue.start("enqueue", "-", "--format", "csv", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(csv_of(tasks(3000)).encode())
    process.stdin.flush()
    until(lambda: there.xlen("tasks") > 1000)
    process.send_signal(number)
    ended = end_of(process)
    assert ended.status == status
    assert "tasks were put in. For the others run the same command again" in ended.err


def test_an_enqueue_whose_redis_stands_still_ends_at_a_signal(shell: Shell, redis_server: RedisServer) -> None:
    process = shell.start("enqueue", "-", "--queue", f"{redis_server.url}/tasks", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(csv_of(tasks(3000)).encode())
    process.stdin.flush()
    until(lambda: redis_server.ask("XLEN", "tasks"))
    redis_server.freeze()
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)
    assert ended.status == 143
    assert "tasks were put in. For the others run the same command again" in ended.err
    assert ended.without_traceback
