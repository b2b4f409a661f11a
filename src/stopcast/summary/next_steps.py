"""What is left to do after the runs that reports are of, each step with its command."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from stopcast.summary.calls import Kind
from stopcast.summary.figures import ReportFigures
from stopcast.tasks.outcome import ASKED, STOPPED, Status

#: Tasks that were sent and are not stopped, or that were asked about without an answer.
_UNDECIDED: Final = (Status.FAILED, Status.SET_ASIDE, Status.GAVE_UP)


class Todo(Enum):
    """What is to be done."""

    FIX_ROWS = auto()
    RUN_AGAIN = auto()
    STOP_RUNNING = auto()
    ASK_AGAIN = auto()
    VERIFY = auto()
    RUN_FOR_REAL = auto()


class Step(NamedTuple):
    """What is to be done, with how many rows, and the command for it, "" where that is not known."""

    todo: Todo
    rows: int
    command: str


def next_steps(figures: ReportFigures, report: str) -> list[Step]:
    """Return what is left to do; ``report`` stands for the reports in a command."""
    return [step for step in _steps(figures, report) if step.rows]


def _steps(figures: ReportFigures, report: str) -> Iterator[Step]:
    if figures.rehearsal:
        yield Step(Todo.RUN_FOR_REAL, figures.lines, "")
        return
    statuses = figures.total.statuses
    asked = sum(statuses[status] for status in (Status.NOT_STARTED, Status.UNKNOWN))
    undecided = sum(statuses[status] for status in _UNDECIDED)
    if asked_only(figures):
        asked, undecided = asked + undecided, 0
    yield Step(Todo.FIX_ROWS, statuses[Status.INVALID], f"stopcast summary {report} --list invalid")
    yield Step(Todo.RUN_AGAIN, undecided, f"stopcast run {report} -o again.jsonl")
    running = f"stopcast run {report} --only still_running -o again.jsonl"
    yield Step(Todo.STOP_RUNNING, statuses[Status.STILL_RUNNING], running)
    yield Step(Todo.ASK_AGAIN, asked, f"stopcast verify {report} -o asked-again.jsonl")
    if not figures.total.bad and not statuses.keys() & ASKED:
        stopped = sum(statuses[status] for status in STOPPED)
        yield Step(Todo.VERIFY, stopped, f"stopcast verify {report} -o verified.jsonl")


def asked_only(figures: ReportFigures) -> bool:
    """Return whether the tasks were only asked about, so that none of them was to be stopped."""
    return bool(figures.calls[Kind.VERIFY].tried and not figures.calls[Kind.STOP].tried)
