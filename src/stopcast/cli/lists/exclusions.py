"""The lists of ``--except``: tasks that are never sent, whatever the other lists say."""

from __future__ import annotations

import logging
from collections.abc import Container
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from stopcast.cli.lists import Lists
from stopcast.cli.options import ListOptions
from stopcast.cli.output import log
from stopcast.errors import ConfigurationError, ListError
from stopcast.i18n import _
from stopcast.marking import N_
from stopcast.sources import ReportFilter
from stopcast.tasks.identities import Identities
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome, Status

_INVALID: Final = N_(
    "--except {source}, line {line}: {message}. Nothing was sent: each row of a list of exceptions must name a task"
)
_EMPTY: Final = N_("stopcast: the lists of --except name no task: {names}")


async def read_exclusions(options: ListOptions, *, report: str = "") -> Container[bytes]:
    """Return the identities of the tasks that ``--except`` names.

    Their lists are read to their ends, and of an earlier report all lines are taken, whatever their status.

    Raises:
        ConfigurationError: a list is the report itself, or standard input is named twice.
        ListError: a list cannot be read, or one of its rows names no task.
    """
    names = options.excepted
    if not names:
        return frozenset()
    if [*options.tasks, *names].count("-") > 1:
        raise ConfigurationError("standard input (-) can be read only once; name it once, as a list or with --except")
    lists = Lists.of(
        replace(options, tasks=names, form="auto", only=None),
        report=report,
        report_filter=ReportFilter(frozenset(Status)),
        rehearsals=True,
    )
    intake, excluded = Intake(), Identities()
    async with aclosing(lists.batches()) as batches:
        async for batch in batches:
            taken = intake.take(batch, 0.0)
            for outcome in taken.outcomes:
                _refuse_invalid(outcome)
            excluded.add_all([taken.identities[place] for place in taken.places])
    if not excluded:
        log(_(_EMPTY, names=", ".join(names)), event="exceptions_empty", level=logging.WARNING)
    return excluded


def _refuse_invalid(outcome: Outcome) -> None:
    if outcome.status is Status.INVALID:
        source = "standard input" if outcome.source == "-" else outcome.source
        raise ListError(_INVALID.format(source=source, line=outcome.line, message=outcome.message))
