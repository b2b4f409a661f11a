"""Which account an AppId belongs to: an exact AppId first, then the first pattern that fits, in the order given."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from stopcast.errors import ConfigurationError
from stopcast.marking import N_

#: The message of a task whose AppId no account claims.
UNCLAIMED: Final = N_("no account claims this AppId")
#: The characters of an AppId, and the two signs of a pattern.
_FORM: Final = re.compile(r"[a-zA-Z0-9_@\-.*?]{1,128}")
_REMEMBERED: Final = 4096


class Routes:
    """Finds the account of an AppId.

    An exact AppId comes before every pattern. Of the patterns, the first one that fits counts. In a pattern ``*``
    stands for any number of characters, and ``?`` for one.

    Args:
        routes: accounts by AppId or pattern, in their order.

    Raises:
        ConfigurationError: a route can be neither an AppId nor a pattern.
    """

    def __init__(self, routes: Mapping[str, str]) -> None:
        for route in routes:
            if not _FORM.fullmatch(route):
                raise ConfigurationError(f"{route!r} is neither an AppId nor a pattern with * or ?")
        self._exact = {route: account for route, account in routes.items() if not _is_pattern(route)}
        self._patterns = [
            (re.compile(fnmatch.translate(route)), account) for route, account in routes.items() if _is_pattern(route)
        ]
        # A list has few AppIds, but a hostile one may have any number.
        self.account_of = lru_cache(maxsize=_REMEMBERED)(self._find)

    def _find(self, app_id: str) -> str | None:
        """Return the account that the AppId belongs to, None if no account claims it."""
        if (account := self._exact.get(app_id)) is not None:
            return account
        return next((account for pattern, account in self._patterns if pattern.match(app_id)), None)


def merge_routes(accounts: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Turn accounts with their AppIds and patterns into accounts by AppId or pattern, in the same order.

    Raises:
        ConfigurationError: two accounts claim the same AppId or pattern.
    """
    routes: dict[str, str] = {}
    for account, claims in accounts.items():
        for claim in claims:
            if routes.setdefault(claim, account) != account:
                raise ConfigurationError(f"{claim} is claimed by {routes[claim]} and by {account}")
    return routes


def _is_pattern(route: str) -> bool:
    return "*" in route or "?" in route
