"""Measure rate, CPU time, memory and file descriptors of a long ``stopcast run``, and check that they stay flat.

The run is the command itself, in a process of its own and at the cap, against ``stopcast sandbox`` in another process,
with latency and some faults. It takes an hour by default. It reads /proc, so it needs Linux.
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
#: What deduplication takes for each of the first million tasks (``stopcast.tasks.identities``).
BYTES_A_TASK: Final = 110
#: What the allocator may keep.
SLACK_MB: Final = 2.0
_ATTEMPTS: Final = re.compile(rb'"attempts":(\d+)')


class Sample(NamedTuple):
    """The figures of a run at one moment."""

    at: float
    lines: int
    calls: int
    cpu_seconds: float
    rss_mb: float
    descriptors: int


class Span(NamedTuple):
    """The figures of a run between two samples."""

    minutes: float
    lines: int
    tasks_a_second: float
    calls_a_second: float
    cpu_percent: float
    us_a_call: float
    rss_mb: float
    descriptors: int

    @classmethod
    def between(cls, began: float, then: Sample, now: Sample) -> Span:
        """Return the figures between two samples of a run that started at ``began``."""
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
    """A process, and the report that it writes."""

    def __init__(self, pid: int, report: BinaryIO) -> None:
        self._proc = Path("/proc", str(pid))
        self._report = report
        self._lines = self._calls = 0

    def sample(self) -> Sample:
        """Return the present figures of the process."""
        for line in self._report:
            if not line.endswith(b"\n"):  # it is not complete yet
                self._report.seek(-len(line), os.SEEK_CUR)
                break
            self._lines += 1
            if attempts := _ATTEMPTS.search(line):
                self._calls += int(attempts[1])
        # After the name, which may contain anything: fields 14 and 15 are user and system time (man 5 proc).
        times = (self._proc / "stat").read_text().rpartition(")")[2].split()[11:13]
        pages = int((self._proc / "statm").read_text().split()[1])
        return Sample(
            time.monotonic(),
            self._lines,
            self._calls,
            sum(map(int, times)) / os.sysconf("SC_CLK_TCK"),
            pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
            len(list((self._proc / "fd").iterdir())),
        )


@contextmanager
def sandbox() -> Iterator[str]:
    """Serve the sandbox in another process, and yield its address."""
    faults = [part for fault in FAULTS for part in ("--fault", fault)]
    command = [*STOPCAST, "sandbox", "--latency", "20", "--jitter", "5", "--quota", str(CAP), *faults]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def soak(folder: Path, *, seconds: float, samples: int) -> list[Span]:
    """Run for this time, and return the figures between the samples."""
    tasks, report = folder / "tasks.csv", folder / "report.jsonl"
    write_tasks(tasks, int(seconds * CAP * 1.1) + 1000)
    key = {"VOLCENGINE_ACCESS_KEY": SANDBOX_CREDENTIALS.access_key}
    key["VOLCENGINE_SECRET_KEY"] = SANDBOX_CREDENTIALS.secret_key
    with sandbox() as url:
        command = [*STOPCAST, "run", str(tasks), "-o", str(report), "--endpoint", url, "-q"]
        process = subprocess.Popen(command, env={**os.environ, **key})
        try:
            while not report.exists() or not report.stat().st_size:
                assert process.poll() is None, "the run ended too early"
                time.sleep(0.1)
            with report.open("rb") as lines:
                spans = watch(Watched(process.pid, lines), seconds=seconds, samples=samples)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
    assert process.returncode == 128 + signal.SIGINT, f"the run ended with status {process.returncode}"
    return spans


def watch(watched: Watched, *, seconds: float, samples: int) -> list[Span]:
    """Take ``samples`` samples at equal distances."""
    began = time.monotonic()
    then = watched.sample()
    spans = []
    for number in range(1, samples + 1):
        time.sleep(max(0.0, began + seconds * number / samples - time.monotonic()))
        now = watched.sample()
        spans.append(Span.between(began, then, now))
        then = now
    return spans


def verdicts(spans: Sequence[Span]) -> Iterator[tuple[str, bool]]:
    """Compare the last third of the run with the first; the first span contains the start and is ignored."""
    settled = spans[1:]
    third = max(1, len(settled) // 3)
    first, last = settled[:third], settled[-third:]
    rate = mean(span.calls_a_second for span in last) / mean(span.calls_a_second for span in first)
    yield f"calls a second: {rate:.3f} of those at the start (at least 0.99)", rate >= 0.99
    cpu = mean(span.us_a_call for span in last) / mean(span.us_a_call for span in first)
    yield f"CPU time for a call: {cpu:.2f} of that at the start (at most 1.15)", cpu <= 1.15
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
    parser.add_argument("--minutes", type=float, default=60, help="length of the run (%(default)s)")
    parser.add_argument("--samples", type=int, default=12, help="rows of the table (%(default)s)")
    arguments = parser.parse_args()
    if arguments.samples < 4 or arguments.minutes <= 0:
        parser.error("--samples must be at least 4, and --minutes above 0")
    print_versions("stopcast", "aiohttp", "aiolimiter", "orjson")
    with tempfile.TemporaryDirectory() as folder:
        spans = soak(Path(folder), seconds=60 * arguments.minutes, samples=arguments.samples)
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
