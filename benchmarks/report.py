"""Measure what the report adds to a call. Its policy is the real one: lines in groups, on the disk within a second.

All runs do what the command does: read the list, check, sign, send, judge. One writes its report to a file, one to
/dev/null, and one has a report that ignores every outcome. They alternate in one process. Two processes that do the
same differ by as much as a report costs, and so does one process from minute to minute. The first and the last calls of
a run are ignored, so that one-time work is not spread over few calls.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Final
from unittest.mock import patch

from measuring import (
    cpu_seconds,
    in_own_process,
    middle,
    print_table,
    print_versions,
    ratio,
    rounds,
    spread,
    write_tasks,
)
from server import running_server
from stopcast.limiters import Unlimited
from stopcast.report.writer import Report
from stopcast.run import Run
from stopcast.sandbox import SANDBOX_CREDENTIALS
from stopcast.sources import ListReader, ReadOptions
from stopcast.stopper import Stopper
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Batch

NO_REPORT: Final = "no report"
ON_DISK: Final = "a report on disk"
DEVICE: Final = "a report to /dev/null"
NAMES: Final = (NO_REPORT, DEVICE, ON_DISK)
#: Rows.
_MARK_EVERY: Final = 500


class NoReport:
    """A report that ignores every outcome."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def write(self, outcome: Outcome) -> None:
        """Do nothing."""

    async def finish(self) -> None:
        """Do nothing."""


async def run(name: str, url: str, tasks: Path, number: int) -> dict[str, float]:
    """Stop the tasks, and return what one call cost."""
    marks: list[tuple[int, float, float]] = []

    async def marked(batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
        async for batch in batches:
            for first in range(0, len(batch.rows), _MARK_EVERY):
                marks.append((stopping.finished, cpu_seconds(), time.perf_counter()))
                yield Batch(batch.source, batch.rows[first : first + _MARK_EVERY])

    with tempfile.TemporaryDirectory() as folder:
        # A file also has the in-flight log beside it, which is part of a report's cost.
        path = Path(folder, "report.jsonl") if name == ON_DISK else Path("/dev/null")
        with patch("stopcast.run.Report", NoReport if name == NO_REPORT else Report):
            async with Stopper(SANDBOX_CREDENTIALS, endpoint=url, limiter=Unlimited(), max_at_once=64) as stopper:
                stopping = Run(stopper, path)
                reader = ListReader(str(tasks), ReadOptions())
                async with reader, aclosing(reader.batches()) as batches:
                    await stopping.stop_lists(marked(batches))
    if stopping.finished != number:
        raise RuntimeError(f"{stopping.finished} of {number} tasks were finished")
    (calls_before, cpu_before, before), (calls, cpu, now) = marks[1], marks[-1]
    calls -= calls_before
    return {"cpu_us": (cpu - cpu_before) / calls * 1e6, "us": (now - before) / calls * 1e6}


def measure(url: str, tasks: Path, number: int, times: int) -> dict[str, list[Mapping[str, float]]]:
    """Stop the tasks with each report in turn, once in each round."""

    def one(name: str) -> Mapping[str, float]:
        gc.collect()
        return asyncio.run(run(name, url, tasks, number))

    rounds(1, one, NAMES)  # so that each run finds memory that others have used
    return rounds(times, one, NAMES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000, help="calls in each run (%(default)s)")
    parser.add_argument("--rounds", type=int, default=30, help="rounds of all three (%(default)s)")
    parser.add_argument("--only", choices=NAMES, help="a single run of this kind, for a profiler")
    arguments = parser.parse_args()
    print_versions("stopcast", "aiohttp", "orjson")
    with running_server() as server, tempfile.TemporaryDirectory() as folder:
        tasks = Path(folder, "tasks.csv")
        write_tasks(tasks, arguments.calls)
        if arguments.only is not None:
            gc.disable()  # one collection more or less would make two runs differ
            asyncio.run(run(arguments.only, server.url, tasks, arguments.calls))
            return
        results = in_own_process(measure, server.url, tasks, arguments.calls, arguments.rounds)
    print_table(
        f"A call, list to report: median of {arguments.rounds} rounds of {arguments.calls:,} calls, 64 at once",
        ("with", "us CPU", "least to most", "/ no report", "us in all", "/ no report"),
        [
            (
                name,
                f"{middle(figures, 'cpu_us'):.0f}",
                spread(figures, "cpu_us"),
                f"{ratio(figures, results[NO_REPORT], 'cpu_us'):.3f}",
                f"{middle(figures, 'us'):.0f}",
                f"{ratio(figures, results[NO_REPORT], 'us'):.3f}",
            )
            for name, figures in results.items()
        ],
    )


if __name__ == "__main__":
    main()
