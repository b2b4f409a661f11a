"""Checks the one task of a call that is no part of a stream."""

from __future__ import annotations

import time

from stopcast.sources.objects import AnyTask, row_of
from stopcast.tasks.checks import names_a_task, shown_task, why_bad
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import NO_TASK, BrokenRow, Task

_LINE = 1


def checked(task: AnyTask) -> Task | Outcome:
    """Return the task, or the outcome of a value that names none."""
    if type(task) is Task and names_a_task(task):
        return task
    row = row_of(task, _LINE)
    if isinstance(row, BrokenRow):
        return _invalid(NO_TASK, row.reason)
    if not names_a_task(row):
        return _invalid(shown_task(row), why_bad(row))
    return shown_task(row)


def _invalid(task: Task, reason: str) -> Outcome:
    return Outcome(task, Status.INVALID, message=reason, line=_LINE, finished_at=time.time())
