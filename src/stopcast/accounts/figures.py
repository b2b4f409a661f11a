"""The totals of a run by account."""

from __future__ import annotations

from stopcast.accounts.router import Router
from stopcast.report.totals import AccountFigures


def figures_of(router: Router) -> dict[str, AccountFigures]:
    """Return the calls of each account, by its name."""
    given_up = {name: str(error) for name, error in router.given_up.items()}
    return {
        name: AccountFigures(meter.calls, meter.worst_second, meter.mean_per_second, given_up.get(name))
        for name, meter in router.meter.by_account.items()
    }
