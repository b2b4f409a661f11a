"""The lists looked at before anything is sent: ``--dry-run``, ``--expect``, and the question on a terminal."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Final

import orjson

from stopcast.cli import telling
from stopcast.cli.lists import Lists
from stopcast.cli.options import EXIT_BAD_ROWS, EXIT_GOOD, put_out
from stopcast.cli.run_options import Options
from stopcast.errors import ConfigurationError
from stopcast.intake import Intake
from stopcast.limiters import TokenBucket
from stopcast.outcome import Outcome, Status
from stopcast.resume import Past, peek_past

_INVALID_SHOWN: Final = 10


class Plan:
    """What a run over these lists would do.

    Attributes:
        intake: the rows, counted.
    """

    def __init__(self, intake: Intake, invalid: list[Outcome], calls_per_second: float) -> None:
        self.intake = intake
        self._invalid = invalid
        self._calls_per_second = calls_per_second

    def __str__(self) -> str:
        return telling.plan(self.intake, self._invalid, calls_per_second=self._calls_per_second)


async def make_plan(options: Options, lists: Lists) -> Plan:
    """Read the lists once, and send nothing.

    Raises:
        ConfigurationError: they do not hold as many tasks as ``--expect`` says.
        ListError: a list cannot be read.
    """
    past = await peek_past(Path(options.report)) if options.resume else Past()
    intake = Intake(limit=options.limit, earlier=past.earlier)
    invalid: list[Outcome] = []
    async with aclosing(lists.batches()) as batches:
        async for batch in batches:
            outcomes = intake.take(batch, 0.0).outcomes
            if len(invalid) < _INVALID_SHOWN:
                invalid += [outcome for outcome in outcomes if outcome.status is Status.INVALID]
            if intake.full:
                break
    found = intake.tasks + intake.settled
    if options.expect is not None and found != options.expect:
        raise ConfigurationError(
            f"the lists hold {telling.rows(found, 'task')}, not the {options.expect:,} expected. Nothing was sent. "
            f"See what they hold with --dry-run, then mend them, or --expect {found}"
        )
    return Plan(intake, invalid[:_INVALID_SHOWN], TokenBucket(options.max_per_second).full_rate)


async def dry_run(options: Options) -> int:
    """Print the plan, and return the exit status."""
    plan = await make_plan(options, Lists.of(options))
    put_out(orjson.dumps(plan.intake.as_json()) if options.as_json else str(plan))
    return EXIT_BAD_ROWS if plan.intake.invalid else EXIT_GOOD
