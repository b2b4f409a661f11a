"""What the report adds to a call, with its real policy: lines written in groups, on the disk within a second.

Both runs are the command's: list, check, sign, send, judge. One of them writes its report to a file, one to
/dev/null, and one has a report that takes every outcome and does nothing with it.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Mapping
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
from stopcast.outcome import Outcome
from stopcast.run import Run
from stopcast.sandbox import SANDBOX_CREDENTIALS
from stopcast.sources import open_list
from stopcast.stopper import Stopper

NO_REPORT: Final = "no report"
ON_DISK: Final = "a report on disk"
DEVICE: Final = "a report to /dev/null"


class NoReport:
    """Takes what a report takes."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def write(self, outcome: Outcome) -> None:
        """Do nothing."""

    async def finish(self) -> None:
        """Do nothing."""


def measure(name: str, url: str, tasks: Path, calls: int) -> dict[str, float]:
    """Stop the tasks; return what one call cost."""

    async def run(report: Path) -> None:
        async with Stopper(SANDBOX_CREDENTIALS, endpoint=url, limiter=Unlimited(), max_at_once=64) as stopper:
            stopping = Run(stopper, report)
            async with aclosing(open_list(tasks)) as batches:
                await stopping.stop_lists(batches)
        if stopping.finished != calls:
            raise RuntimeError(f"{stopping.finished} of {calls} tasks came to an end")

    with tempfile.TemporaryDirectory() as folder:
        # Beside a file there are also the notes of what is in flight; they belong to what a report costs.
        report = Path(folder, "report.jsonl") if name == ON_DISK else Path("/dev/null")
        if name == NO_REPORT:
            patch("stopcast.run.Report", NoReport).start()
        began, cpu_began = time.perf_counter(), cpu_seconds()
        asyncio.run(run(report))
        cpu, seconds = cpu_seconds() - cpu_began, time.perf_counter() - began
    return {"cpu_us": cpu / calls * 1e6, "us": seconds / calls * 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000, help="in each measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="of all three, interleaved (%(default)s)")
    arguments = parser.parse_args()
    print_versions("stopcast", "aiohttp", "orjson")
    with running_server() as server, tempfile.TemporaryDirectory() as folder:
        tasks = Path(folder, "tasks.csv")
        write_tasks(tasks, arguments.calls)

        def one(name: str) -> Mapping[str, float]:
            return in_own_process(measure, name, server.url, tasks, arguments.calls)

        results = rounds(arguments.rounds, one, [NO_REPORT, DEVICE, ON_DISK])
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
