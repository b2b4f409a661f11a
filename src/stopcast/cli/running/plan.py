"""What a run would do, found by reading its lists: for ``--dry-run``, ``--expect``, and the question at a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from stopcast.accounts.file import read_accounts
from stopcast.accounts.routes import Routes
from stopcast.cli.display import list_messages, messages
from stopcast.cli.lists import Beginning, Lists
from stopcast.cli.options import Options
from stopcast.errors import ConfigurationError
from stopcast.i18n import _, duration, ngettext
from stopcast.limiters.pacer import full_rate
from stopcast.report.history import ReportHistory, peek_history
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome, Status

#: Below this rate its first decimal matters.
_FEW_A_SECOND: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run over these lists would do.

    Attributes:
        intake: counts the rows.
        invalid: the first rows that name no task.
        lists: how each list was understood.
        max_per_second: the cap of the only account.
        arrival_jitter: seconds by which the way to the API varies.
        caps: of an accounts file, the cap of each account.
        per_account: the number of tasks of each account in the file, and of None for those that no account claims.
        unused_exclusions: whether tasks are excluded, and the lists name none of them.
    """

    intake: Intake
    invalid: list[Outcome]
    lists: Sequence[Beginning]
    max_per_second: float
    arrival_jitter: float
    caps: Mapping[str, float]
    per_account: Counter[str | None]
    unused_exclusions: bool = False

    def __str__(self) -> str:
        read = chain.from_iterable(map(list_messages.understood, self.lists))
        warnings = list_messages.warnings(self.intake, unused_exclusions=self.unused_exclusions)
        return "\n".join([*read, self._counts(), *warnings])

    def _counts(self) -> str:
        if not self.caps:
            rate = full_rate(self.max_per_second, self.arrival_jitter)
            time = duration(self.intake.tasks / rate)
            shown = f"{rate:.2g}" if rate < _FEW_A_SECOND else f"{rate:.0f}"
            pace = _("{duration} at {rate} calls a second", duration=time, rate=shown)
            return messages.plan(self.intake, self.invalid, pace=pace)
        slowest = max(self.per_account[name] / full_rate(cap, self.arrival_jitter) for name, cap in self.caps.items())
        shares = [(_("account {name}", name=name), self.per_account[name]) for name in self.caps]
        if self.per_account[None]:
            shares.append((_("claimed by no account, and so not sent"), self.per_account[None]))
        pace = _("{duration}, each account at its cap", duration=duration(slowest))
        return messages.plan(self.intake, self.invalid, pace=pace, shares=shares)

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints."""
        counts = self.intake.as_json()
        counts["not_chosen"] = self.intake.not_chosen
        counts["number_ids"] = self.intake.numbers
        counts["rounded_ids"] = self.intake.rounded
        counts["lists"] = list(map(list_messages.as_json, self.lists))
        if self.caps:
            counts["per_account"] = {name: self.per_account[name] for name in self.caps}
            counts["claimed_by_no_account"] = self.per_account[None]
        return counts


async def make_plan(options: Options, lists: Lists, *, excluded: Container[bytes]) -> Plan:
    """Read the lists once and return the plan; nothing is sent.

    Raises:
        ConfigurationError: the lists do not hold the number of tasks that ``--expect`` names, or the accounts file
            cannot be used.
        ListError: a list cannot be read.
    """
    accounts, routes = read_accounts(options.calls.accounts) if options.calls.accounts else ([], {})
    history = await peek_history(Path(options.report.path)) if options.report.resume else ReportHistory()
    history.check_kind(Path(options.report.path), changes=True, sandbox=options.calls.sandbox)
    intake = Intake(limit=options.lists.limit, settled=history.settled, excluded=excluded)
    invalid: list[Outcome] = []
    async with aclosing(lists.batches()) as batches:
        async for batch in batches:
            outcomes = intake.take(batch, 0.0).outcomes
            if len(invalid) < list_messages.INVALID_SHOWN:
                unsent = (outcome for outcome in outcomes if outcome.status is Status.INVALID)
                invalid += sorted(unsent, key=lambda outcome: outcome.line or 0)
            if intake.full:
                break
    found = intake.tasks + intake.settled + intake.excluded
    if (expected := options.guards.expect) is not None and found != expected:
        text = ngettext(
            "the lists hold 1 task, not the {expected:,} expected. Nothing was sent. See what they hold with "
            "--dry-run, then fix the lists, or use --expect {number}",
            "the lists hold {number:,} tasks, not the {expected:,} expected. Nothing was sent. See what they hold with "
            "--dry-run, then fix the lists, or use --expect {number}",
            found,
            expected=expected,
        )
        raise ConfigurationError(text)
    account_of = Routes(routes).account_of
    per_account: Counter[str | None] = Counter()
    if accounts:
        for app_id, number in intake.per_app.items():
            per_account[account_of(app_id)] += number
    return Plan(
        intake=intake,
        invalid=invalid,
        lists=list(lists.beginnings.values()),
        max_per_second=options.calls.max_per_second,
        arrival_jitter=options.calls.arrival_jitter,
        caps={account.name: account.max_per_second or options.calls.max_per_second for account in accounts},
        per_account=per_account,
        unused_exclusions=are_unused(options, intake, history.statuses),
    )


def are_unused(options: Options, intake: Intake, statuses: Mapping[Status, int]) -> bool:
    """Return whether lists that were read to their ends, and the report, have none of the tasks of ``--except``."""
    return bool(options.lists.excepted) and not (intake.excluded or intake.full or statuses.get(Status.EXCLUDED))
