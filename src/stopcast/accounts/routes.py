"""Which account an AppId belongs to: exact names and patterns, and no guessing between two that fit alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import combinations
from typing import Final

from stopcast.errors import ConfigurationError

#: What an AppId may hold, and the two signs of a pattern.
_FORM: Final = re.compile(r"[a-zA-Z0-9_@\-.*?]{1,128}")
_REMEMBERED: Final = 4096


class Routes:
    """Finds the account of an AppId.

    An exact AppId comes before every pattern. In a pattern ``*`` stands for any letters or none, ``?`` for one; of the
    patterns that fit, the one with the most characters beside its ``*`` counts.

    Args:
        routes: accounts by AppId or pattern.

    Raises:
        ConfigurationError: what can be no AppId and no pattern, or two patterns of different accounts that fit a common
            AppId, where neither comes before the other.
    """

    def __init__(self, routes: Mapping[str, str]) -> None:
        for route in routes:
            if not _FORM.fullmatch(route):
                raise ConfigurationError(f"{route!r} is neither an AppId nor a pattern with * or ?")
        self._exact = {route: account for route, account in routes.items() if not _is_pattern(route)}
        patterns = sorted(filter(_is_pattern, routes), key=_weight, reverse=True)
        for one, other in combinations(patterns, 2):
            if routes[one] != routes[other] and _weight(one) == _weight(other) and _overlap(one, other):
                raise ConfigurationError(
                    f"{one} of {routes[one]} and {other} of {routes[other]} fit the same AppIds, and neither is the "
                    f"more exact: make one of them longer, or name the AppIds that both fit"
                )
        self._patterns = [(_compiled(pattern), routes[pattern]) for pattern in patterns]
        # Lists hold few AppIds, but a hostile one may hold any number.
        self.account_of = lru_cache(maxsize=_REMEMBERED)(self._find)

    def _find(self, app_id: str) -> str | None:
        """Return the account that the AppId belongs to, None if it is nobody's."""
        if (account := self._exact.get(app_id)) is not None:
            return account
        return next((account for pattern, account in self._patterns if pattern.fullmatch(app_id)), None)


def merge_routes(accounts: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Turn accounts with their AppIds and patterns into accounts by AppId or pattern.

    Raises:
        ConfigurationError: two accounts claim the same.
    """
    routes: dict[str, str] = {}
    for account, claims in accounts.items():
        for claim in claims:
            if routes.setdefault(claim, account) != account:
                raise ConfigurationError(f"{claim} is claimed by {routes[claim]} and by {account}")
    return routes


def _is_pattern(route: str) -> bool:
    return "*" in route or "?" in route


def _weight(pattern: str) -> int:
    return len(pattern) - pattern.count("*")


def _compiled(pattern: str) -> re.Pattern[str]:
    # Several stars in a row would make a regular expression's search quadratic and worse.
    simple = re.sub(r"\*+", "*", pattern)
    return re.compile("".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in simple), re.DOTALL)


def _overlap(one: str, other: str) -> bool:
    """Whether some text fits both patterns."""
    # Places in ``other`` that may be reached when so much of ``one`` has been read.
    reached = _past_stars({0}, other)
    for sign in one:
        if sign == "*":
            reached = set(range(min(reached, default=len(other)), len(other) + 1)) if reached else reached
            continue
        stepped = set()
        for place in reached:
            if place < len(other) and other[place] == "*":
                stepped.add(place)
            elif (place < len(other) and "?" in (sign, other[place])) or other[place : place + 1] == sign:
                stepped.add(place + 1)
        reached = _past_stars(stepped, other)
    return len(other) in reached


def _past_stars(places: set[int], pattern: str) -> set[int]:
    for place in sorted(places):
        end = place
        while pattern[end : end + 1] == "*":
            end += 1
            places.add(end)
    return places
