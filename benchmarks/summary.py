"""What `stopcast summary` costs: lines a second and the most memory, beside a program that only parses every line."""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

import orjson

from measuring import cpu_seconds, in_own_process, middle, print_table, print_versions, ratio, rounds, spread
from stopcast.cli.lists.reports import Reports
from stopcast.report.line import line_of
from stopcast.summary import Kind
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task

RATE: Final = 149.0

SETTLED: Final = "summary, every task settled"
MIXED: Final = "summary, one task in 500 unsettled"
TWICE: Final = "summary, two reports of half the lines each"
PARSED: Final = "orjson.loads of every line"


def write_report(path: Path, first: int, number: int, *, unsettled: bool) -> None:
    """Write lines as a run does: a twentieth stopped already, two in a hundred tried twice."""
    chance = Random(first)
    with path.open("wb") as file:
        for place in range(first, first + number):
            luck, took = chance.random(), 0.03 + chance.expovariate(50)
            status, code, calls, http_status = Status.STOPPED, None, 1, 200
            if luck < 0.05:
                status, code = Status.ALREADY_STOPPED, "InvalidParameter.ErrorActiveTaskNotFound"
            elif luck < 0.07:
                calls, took = 2, took + 0.4
            elif unsettled and luck < 0.072:
                status, code, calls, http_status = Status.GAVE_UP, "InternalError", 20, 500
            task = Task(f"64a1b2c3d4e5f601234567{place % 7:02d}", f"room-{place % 997:04d}", f"webcast-{place:010d}")
            request_id = f"20261122{chance.getrandbits(96):024X}"
            ended = 1.79e9 + place / RATE + took
            outcome = Outcome(task, status, calls, code, None, http_status, request_id, "tasks.csv", place, ended, took)
            file.write(line_of(outcome))


def measure(name: str, reports: Sequence[Path], lines: int) -> dict[str, float]:
    """Read the reports once; return what it cost."""
    used, began = cpu_seconds(), time.perf_counter()
    if name == PARSED:
        for report in reports:
            with report.open("rb", buffering=1 << 20) as file:
                for line in file:
                    orjson.loads(line)
    else:
        with Reports([str(report) for report in reports]) as opened:
            figures = opened.figures(most_listed=1000)
        figures.calls[Kind.STOP].timeline.worst_second()
    return {
        "lines": lines / (time.perf_counter() - began),
        "us": (cpu_seconds() - used) * 1e6 / lines,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="of a report (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of everything, interleaved (%(default)s)")
    arguments = parser.parse_args()
    lines: int = arguments.lines
    print_versions("stopcast", "orjson")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.jsonl") for number in range(4)]
        write_report(paths[0], 0, lines, unsettled=False)
        write_report(paths[1], 0, lines, unsettled=True)
        write_report(paths[2], 0, lines // 2, unsettled=True)
        write_report(paths[3], lines // 4, lines - lines // 2, unsettled=True)
        reports = {PARSED: paths[:1], SETTLED: paths[:1], MIXED: paths[1:2], TWICE: paths[2:]}

        def in_turn(name: str) -> Mapping[str, float]:
            return in_own_process(measure, name, reports[name], lines)

        results = rounds(arguments.rounds, in_turn, list(reports))
    print_table(
        f"Reports of {lines:,} lines: median of {arguments.rounds} rounds",
        ("what reads them", "lines a second", "us a line", "least to most", "/ parsing", "most MB"),
        [
            (
                name,
                f"{middle(figures, 'lines'):,.0f}",
                f"{middle(figures, 'us'):.1f}",
                spread(figures, "us", "{:.1f}"),
                f"{ratio(figures, results[PARSED], 'us'):.1f}",
                f"{middle(figures, 'mb'):.0f}",
            )
            for name, figures in results.items()
        ],
    )


if __name__ == "__main__":
    main()
