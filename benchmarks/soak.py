"""Whether a long run stays as it began: rate, CPU, memory and file descriptors of ``stopcast run`` over time.

The run is the command itself in a process of its own, at the cap, against ``stopcast sandbox`` in another one, with
latency and some faults. An hour by default. It looks into /proc, so it wants Linux.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import BinaryIO, Final, NamedTuple

from measuring import print_table, print_versions, write_tasks
from stopcast.sandbox import SANDBOX_CREDENTIALS

CAP: Final = 150
FAULTS: Final = ("internal=1%", "reset=0.5%", "close_after=0.5%", "cut_body=0.5%", "gone=0.5%")
STOPCAST: Final = (sys.executable, "-m", "stopcast")
#: What telling the first million tasks apart takes for each (``stopcast.identities``), and what an allocator may keep.
BYTES_A_TASK: Final = 110
SLACK_MB: Final = 2.0
_ATTEMPTS: Final = re.compile(rb'"attempts":(\d+)')


class Look(NamedTuple):
    """What a run is like at one moment."""

    at: float
    lines: int
    calls: int
    cpu_seconds: float
    rss_mb: float
    descriptors: int


class Span(NamedTuple):
    """What a run was like between two looks."""

    minutes: float
    lines: int
    tasks_a_second: float
    calls_a_second: float
    cpu_percent: float
    us_a_call: float
    rss_mb: float
    descriptors: int

    @classmethod
    def between(cls, began: float, then: Look, now: Look) -> Span:
        """Return what lies between the looks, in a run that began at ``began``."""
        seconds, cpu, calls = now.at - then.at, now.cpu_seconds - then.cpu_seconds, now.calls - then.calls
        return cls(
            (now.at - began) / 60,
            now.lines,
            (now.lines - then.lines) / seconds,
            calls / seconds,
            100 * cpu / seconds,
            1e6 * cpu / max(calls, 1),
            now.rss_mb,
            now.descriptors,
        )


class Watched:
    """A process and the report that it writes."""

    def __init__(self, pid: int, report: BinaryIO) -> None:
        self._proc = Path("/proc", str(pid))
        self._report = report
        self._lines = self._calls = 0

    def look(self) -> Look:
        """Return what the process is like now."""
        for line in self._report:
            if not line.endswith(b"\n"):  # it is being written
                self._report.seek(-len(line), os.SEEK_CUR)
                break
            self._lines += 1
            if attempts := _ATTEMPTS.search(line):
                self._calls += int(attempts[1])
        # After the name, which may hold anything: fields 14 and 15 are user and system time (man 5 proc).
        times = (self._proc / "stat").read_text().rpartition(")")[2].split()[11:13]
        pages = int((self._proc / "statm").read_text().split()[1])
        return Look(
            time.monotonic(),
            self._lines,
            self._calls,
            sum(map(int, times)) / os.sysconf("SC_CLK_TCK"),
            pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
            len(list((self._proc / "fd").iterdir())),
        )


@contextmanager
def sandbox() -> Iterator[str]:
    """Serve the sandbox in another process, and give its address."""
    faults = [part for fault in FAULTS for part in ("--fault", fault)]
    command = [*STOPCAST, "sandbox", "--latency", "20", "--jitter", "5", "--quota", str(CAP), *faults]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def soak(folder: Path, *, seconds: float, looks: int) -> list[Span]:
    """Let a run go on for so long, and return what it was like from look to look."""
    tasks, report = folder / "tasks.csv", folder / "report.jsonl"
    write_tasks(tasks, int(seconds * CAP * 1.1) + 1000)
    key = {"VOLCENGINE_ACCESS_KEY": SANDBOX_CREDENTIALS.access_key}
    key["VOLCENGINE_SECRET_KEY"] = SANDBOX_CREDENTIALS.secret_key
    with sandbox() as url:
        command = [*STOPCAST, "run", str(tasks), "-o", str(report), "--endpoint", url, "-q"]
        process = subprocess.Popen(command, env={**os.environ, **key})
        try:
            while not report.exists() or not report.stat().st_size:
                assert process.poll() is None, "the run ended at once"
                time.sleep(0.1)
            with report.open("rb") as lines:
                spans = watch(Watched(process.pid, lines), seconds=seconds, looks=looks)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
    assert process.returncode == 128 + signal.SIGINT, f"the run ended with status {process.returncode}"
    return spans


def watch(watched: Watched, *, seconds: float, looks: int) -> list[Span]:
    """Look so many times, evenly."""
    began = time.monotonic()
    then = watched.look()
    spans = []
    for number in range(1, looks + 1):
        time.sleep(max(0.0, began + seconds * number / looks - time.monotonic()))
        now = watched.look()
        spans.append(Span.between(began, then, now))
        then = now
    return spans


def verdicts(spans: Sequence[Span]) -> Iterator[tuple[str, bool]]:
    """Hold the last third against the first; the first look, with the start in it, is left out."""
    settled = spans[1:]
    third = max(1, len(settled) // 3)
    first, last = settled[:third], settled[-third:]
    rate = mean(span.calls_a_second for span in last) / mean(span.calls_a_second for span in first)
    yield f"calls a second: {rate:.3f} of the beginning's (at least 0.99)", rate >= 0.99
    cpu = mean(span.us_a_call for span in last) / mean(span.us_a_call for span in first)
    yield f"CPU time a call: {cpu:.2f} of the beginning's (at most 1.15)", cpu <= 1.15
    grown = (last[-1].rss_mb - first[0].rss_mb) * 1e6
    tasks = last[-1].lines - first[0].lines
    flat = grown <= BYTES_A_TASK * tasks + SLACK_MB * 1e6
    yield (
        f"memory: {grown / 1e6:+.1f} MB for {tasks:,} tasks (at most {BYTES_A_TASK} bytes each and {SLACK_MB:.0f} MB)",
        flat,
    )
    descriptors = max(span.descriptors for span in last) - max(span.descriptors for span in first)
    yield f"file descriptors: {descriptors:+d} (at most +8)", descriptors <= 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="how long (%(default)s)")
    parser.add_argument("--looks", type=int, default=12, help="lines of the table (%(default)s)")
    arguments = parser.parse_args()
    if arguments.looks < 4 or arguments.minutes <= 0:
        parser.error("it takes 4 looks, and some time")
    print_versions("stopcast", "aiohttp", "aiolimiter", "orjson")
    with tempfile.TemporaryDirectory() as folder:
        spans = soak(Path(folder), seconds=60 * arguments.minutes, looks=arguments.looks)
    print_table(
        f"A run of {arguments.minutes:g} minutes at {CAP} calls a second; latency 20 +- 5 ms, {', '.join(FAULTS)}",
        ("minute", "lines", "tasks/s", "calls/s", "CPU %", "us a call", "RSS MB", "descriptors"),
        [
            (
                f"{span.minutes:.1f}",
                f"{span.lines:,}",
                f"{span.tasks_a_second:.1f}",
                f"{span.calls_a_second:.1f}",
                f"{span.cpu_percent:.1f}",
                f"{span.us_a_call:.0f}",
                f"{span.rss_mb:.1f}",
                f"{span.descriptors}",
            )
            for span in spans
        ],
    )
    print()
    judged = list(verdicts(spans))
    for text, flat in judged:
        print(f"{'flat' if flat else 'NOT FLAT'}: {text}")
    sys.exit(not all(flat for _, flat in judged))


if __name__ == "__main__":
    main()
