"""Outcomes that were never those of a call, and reports of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from stopcast.report.line import LineWriter
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task

NOON: Final = 1_763_812_800.0


def outcome(task: Task, status: Status = Status.STOPPED, **values: Any) -> Outcome:
    """Return an outcome of one attempt that ended at noon."""
    sent = {"attempts": 1, "finished_at": NOON, "seconds": 0.05}
    return Outcome(task, status, **{**sent, **values})


def write_report(path: Path, outcomes: Iterable[Outcome], *, torn: bytes = b"") -> str:
    """Write a report, and return its name for the command line. ``torn`` is the start of a line that has no end."""
    writer = LineWriter()
    path.write_bytes(b"".join(map(writer.line, outcomes)) + torn)
    return path.name
