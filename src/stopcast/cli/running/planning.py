"""The lists looked at before anything is sent: ``--dry-run``, ``--expect``, and the question on a terminal."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import orjson

from stopcast.accounts.file import read_accounts
from stopcast.accounts.routes import Routes
from stopcast.cli.display import messages
from stopcast.cli.lists import Lists
from stopcast.cli.options.values import Options
from stopcast.cli.output import EXIT_BAD_ROWS, EXIT_GOOD, write_stdout
from stopcast.errors import ConfigurationError
from stopcast.i18n import duration
from stopcast.limiters.token_bucket import full_rate
from stopcast.report.history import Past, peek_past
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome, Status

_INVALID_SHOWN: Final = 10


class Plan:
    """What a run over these lists would do.

    Attributes:
        intake: the rows, counted.
        per_account: the tasks of each account; None is for those that nobody claims. Empty without accounts.
    """

    def __init__(self, options: Options, intake: Intake, invalid: list[Outcome]) -> None:
        self._options = options
        self._invalid = invalid
        self.intake = intake
        self.per_account: Counter[str | None] = Counter()
        self._rates: dict[str, float] = {}
        if options.accounts is not None:
            accounts, routes = read_accounts(options.accounts)
            account_of = Routes(routes).account_of
            for app_id, number in intake.per_app.items():
                self.per_account[account_of(app_id)] += number
            self._rates = {it.name: it.max_per_second or options.max_per_second for it in accounts}

    def __str__(self) -> str:
        options = self._options
        if not self._rates:
            rate = full_rate(options.max_per_second)
            pace = f"{duration(self.intake.tasks / rate)} at {rate:.0f} calls a second"
            return messages.plan(self.intake, self._invalid, pace=pace)
        slowest = max(self.per_account[name] / full_rate(rate) for name, rate in self._rates.items())
        shares = [(f"account {name}", self.per_account[name]) for name in self._rates]
        if self.per_account[None]:
            shares.append(("claimed by no account, and so not sent", self.per_account[None]))
        return messages.plan(
            self.intake, self._invalid, pace=f"{duration(slowest)}, each account at its cap", shares=shares
        )

    def as_json(self) -> dict[str, Any]:
        """Return the counts as a program is shown them."""
        told = self.intake.as_json()
        if self._rates:
            told["per_account"] = {name: self.per_account[name] for name in self._rates}
            told["claimed_by_no_account"] = self.per_account[None]
        return told


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
            f"the lists hold {messages.rows(found, 'task')}, not the {options.expect:,} expected. Nothing was sent. "
            f"See what they hold with --dry-run, then mend them, or --expect {found}"
        )
    return Plan(options, intake, invalid[:_INVALID_SHOWN])


async def dry_run(options: Options) -> int:
    """Print the plan, and return the exit status."""
    plan = await make_plan(options, Lists.of(options))
    write_stdout(orjson.dumps(plan.as_json()) if options.as_json else str(plan))
    return EXIT_BAD_ROWS if plan.intake.invalid or plan.per_account[None] else EXIT_GOOD
