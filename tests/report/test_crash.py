"""What a killed run leaves behind, and how a resumed run continues."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stopcast.sandbox import Emulator
from stopcast.sandbox.thread import serving
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Task
from support import dying_run, noting_api
from support.processes import HANGS_AFTER_SECONDS, Shell, end_of, read_report, statuses, until, write_csv

REPORT = "stopcast-report.jsonl"
KILLS = 30
ROWS_A_ROUND = 40


class NotingApi:
    """The emulator of ``noting_api``, seen from here."""

    def __init__(self, url: str, notes: Path) -> None:
        self.url = url
        self._notes = notes

    @property
    def calls(self) -> list[Task]:
        """The calls so far, in their order."""
        return [Task(*json.loads(line)) for line in self._notes.read_bytes().splitlines()]

    @property
    def calls_made(self) -> int:
        """The number of calls so far."""
        return self._notes.read_bytes().count(b"\n")

    @property
    def stopped(self) -> set[Task]:
        """The tasks that the emulator says it has stopped."""
        with urllib.request.urlopen(f"{self.url}/tasks") as answer:
            rows = [json.loads(line) for line in answer]
        return {Task(row["AppId"], row["RoomId"], row["TaskId"]) for row in rows}


@pytest.fixture
def noting(shell: Shell) -> Iterator[NotingApi]:
    """Serves an emulator with faults and latency in another process."""
    notes = shell / "calls"
    notes.touch()
    program = (sys.executable, noting_api.__file__)
    process = shell.start(str(notes), program=program, stdin=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield NotingApi(process.stdout.readline().decode().strip(), notes)
    finally:
        end_of(process)


def listed(number: int) -> list[Task]:
    """Return tasks of which some do not run and some fail for a while."""
    rooms = [noting_api.GONE, noting_api.STUBBORN, *["room"] * 18]
    return [Task("app", rooms[n % len(rooms)], f"task-{n}") for n in range(number)]


def settled_so_far(report: Path) -> set[Task]:
    """Return the tasks that a whole line of the report settles, whatever a kill has made of its end."""
    lines = map(json.loads, report.read_bytes().rpartition(b"\n")[0].splitlines()) if report.exists() else ()
    return {Task(it["AppId"], it["RoomId"], it["TaskId"]) for it in lines if Status(it["status"]).settled}


def test_killing_a_run_at_30_random_instants_and_resuming_leaves_the_accounts_of_an_undisturbed_run(
    shell: Shell, noting: NotingApi
) -> None:
    chance = random.Random(20261123)
    report, rows = shell / REPORT, 0
    options = ("--endpoint", noting.url, "--max-per-second", "600", "--max-attempts", "3", "-q", "--json", "--resume")
    settled: list[tuple[int, set[Task]]] = []
    kills = left_in_flight = 0
    while kills < KILLS:
        rows += ROWS_A_ROUND
        name = write_csv(shell / "list.csv", listed(rows))
        before = noting.calls_made
        process = shell.start("run", name, *options)
        # Most kills fall among the calls, some into the start, whenever that is.
        calls = chance.randrange(ROWS_A_ROUND) if kills % 5 else 0
        until(lambda: noting.calls_made >= before + calls or process.poll() is not None)  # noqa: B023 - of this round
        time.sleep(chance.uniform(0.0, 0.05 if calls else 0.5))
        process.kill()
        kills += end_of(process).status == -signal.SIGKILL
        settled.append((noting.calls_made, settled_so_far(report)))
        left_in_flight += (shell / f"{REPORT}.inflight").exists()

    tasks = listed(rows)
    name = write_csv(shell / "list.csv", [*tasks, *tasks[:5], Task("app", "", "no-room")])
    ended = shell.run("run", name, *options)
    for _ in range(10):  # until the stubborn ones are through, and whom the faults hit three times
        if not statuses(report)["gave_up"]:
            break
        ended = shell.run("run", name, *options)
    assert ended.without_traceback
    assert ended.status == 1

    lines = statuses(report)
    assert (lines.pop("duplicate"), lines.pop("invalid")) == (5, 1)
    assert lines.total() == rows
    assert lines.keys() == {"stopped", "already_stopped", "presumed_stopped"}
    assert {status: number for status, number in ended.summary["statuses"].items() if number} == statuses(report)
    by_status: dict[str, set[Task]] = {status: set() for status in lines}
    for line in read_report(report):
        if line["status"] in by_status:
            by_status[line["status"]].add(Task(line["AppId"], line["RoomId"], line["TaskId"]))
    assert set.union(*by_status.values()) == set(tasks)

    gone = {task for task in tasks if task.room_id == noting_api.GONE}
    assert noting.stopped == set(tasks) - gone
    assert by_status["already_stopped"] <= gone
    assert by_status["stopped"] | by_status["presumed_stopped"] >= noting.stopped
    sent = Counter(noting.calls)
    # Of those that do not run, a kill may have come between the note and the call.
    assert all(sent[task] > 1 for task in by_status["presumed_stopped"] - gone)
    assert by_status["already_stopped"]
    for calls, done in settled:
        assert done.isdisjoint(noting.calls[calls:])
    assert left_in_flight > KILLS / 2
    assert not (shell / f"{REPORT}.inflight").exists()
    assert not (shell / f"{REPORT}.tidying").exists()


@pytest.mark.parametrize("kind", ["fresh", "resumed"])
def test_dying_at_any_change_of_a_file_and_resuming_leaves_one_true_line_a_row(shell: Shell, kind: str) -> None:
    sent = Counter[Task]()

    def fails_at_first(task: Task) -> bool:
        sent[task] += 1
        return task.room_id == dying_run.LATER and sent[task] == 1

    with serving(Emulator(quota_per_second=None, fail_forever=fails_at_first)) as api:
        process = shell.start(api.url, kind, program=(sys.executable, dying_run.__file__))
        assert process.stdout is not None
        scenarios = []
        # As many scenarios as there are changes: each has its time, and not all together.
        while line := within_seconds(HANGS_AFTER_SECONDS, process, process.stdout.readline):
            scenarios.append(json.loads(line))
        ended = end_of(process)
        assert ended.status == 0, ended.err
        stopped = set(api.stopped)
    assert sum(result["died"] == -signal.SIGKILL for result in scenarios) > 12
    for result in scenarios:
        kinds = Counter(line["status"] for line in result["lines"])
        counts = (kinds["duplicate"], kinds["invalid"], kinds["already_stopped"], kinds["gave_up"])
        assert counts == (1, 1, 0, 0), result
        ended_tasks = [Task(it["AppId"], it["RoomId"], it["TaskId"]) for it in result["lines"] if it["attempts"]]
        stopped_here = [task for task in stopped if task.app_id == result["app"]]
        assert Counter(ended_tasks) == dict.fromkeys(stopped_here, 1), result
        assert len(ended_tasks) == dying_run.TASKS
        assert (result["ended"], result["left"]) == (1, []), result


def within_seconds(seconds: float, process: subprocess.Popen[bytes], act: Callable[[], bytes]) -> bytes:
    hangs = threading.Timer(seconds, process.kill)
    hangs.start()
    try:
        return act()
    finally:
        hangs.cancel()
