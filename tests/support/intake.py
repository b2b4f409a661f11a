"""Batches for the tests of what an intake accepts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stopcast.tasks.intake import Accepted, Taken
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Batch, BrokenRow, RawRow

NOW = 1795377600.0


def batch(*rows: tuple[Any, ...], broken: Iterable[tuple[str, int]] = (), left_out: int = 0, first: int = 1) -> Batch:
    """Rows on the lines from ``first`` on."""
    numbered = [RawRow(row[0], row[1], row[2], line) for line, row in enumerate(rows, start=first)]
    return Batch("list", numbered, [BrokenRow(*row) for row in broken], left_out)


def statuses_and_lines(taken: Taken) -> list[tuple[Status, int | None]]:
    return [(outcome.status, outcome.line) for outcome in taken.outcomes]


def parts(taken: Taken) -> tuple[list[Accepted], list[Outcome]]:
    return taken.accepted, list(taken.outcomes)
