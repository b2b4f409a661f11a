"""A state of a run for the tests of the display, and the lines that are shown of one."""

from __future__ import annotations

from stopcast import Status
from stopcast.cli.display.attempt_stats import ErrorCount
from stopcast.cli.display.frame import Subject, frame
from stopcast.cli.display.monitor import RunSnapshot
from stopcast.cli.lists.remaining import RowsLeft
from stopcast.cli.options import ListOptions, Options

SNAPSHOT = RunSnapshot(
    state="",
    seconds=83,
    done=12_345,
    bad=3,
    to_do=RowsLeft(16_055, exact=False),
    seconds_left=108,
    statuses={Status.STOPPED: 12_300, Status.DUPLICATE: 42, Status.FAILED: 3},
    rate=148.9,
    limited_to=75,
    cap=150,
    rates=[0, 75, 150, 149, 300],
    in_flight=14,
    waiting=3,
    retries=27,
    throttled=12,
    latency_p50=0.022,
    latency_p95=1.3,
    errors=[
        ErrorCount("InternalError", 24, "An internal error.", 0),
        ErrorCount("no answer", 1, "Reset \u4e2d\u6587", 0),
    ],
)


def options(*tasks: str) -> Options:
    return Options(lists=ListOptions(tasks=tasks))


def shown(snapshot: RunSnapshot, width: int = 77, height: int = 24, *facts: str) -> list[str]:
    return [line.plain for line in frame(snapshot, Subject("Stopping list.csv", facts), width, height)]
