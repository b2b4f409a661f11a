"""Which account an AppId belongs to."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stopcast import ConfigurationError
from stopcast.accounts.file import read_accounts
from stopcast.accounts.routes import Routes, merge_routes


@pytest.mark.parametrize(
    ("app_id", "account"),
    [
        ("live", "exact"),
        ("live-1", "short"),
        ("live-eu-1", "long"),
        ("live-xx", "letters"),
        ("test", None),
        ("", None),
        ("LIVE", None),
    ],
)
def test_an_exact_app_id_counts_first_then_the_first_pattern_that_fits_and_case_matters(
    app_id: str, account: str | None
) -> None:
    routes = Routes({"live-eu-*": "long", "live-??": "letters", "live*": "short", "live": "exact"})
    assert routes.account_of(app_id) == account


@pytest.mark.parametrize("route", ["", "a b", "a/*", "[ab]", "a" * 129])
def test_what_can_fit_no_app_id_is_an_error(route: str) -> None:
    with pytest.raises(ConfigurationError, match="neither an AppId nor a pattern"):
        Routes({route: "a"})


def test_an_app_id_that_two_accounts_claim_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="app is claimed by a and by b"):
        merge_routes({"a": ["app", "app"], "b": ["other", "app"]})


PATTERN = st.text("ab*?", min_size=1, max_size=5)


@settings(max_examples=500)
@given(one=PATTERN, other=PATTERN, app_id=st.text("ab", min_size=1, max_size=8))
def test_the_account_of_any_app_id_is_that_of_the_first_route_that_fits(one: str, other: str, app_id: str) -> None:
    given_routes = {one: "one"} | ({other: "other"} if other != one else {})
    fits = [route for route in given_routes if fnmatchcase(app_id, route)]
    expected = app_id if app_id in given_routes else next(iter(fits), None)
    assert Routes(given_routes).account_of(app_id) == (None if expected is None else given_routes[expected])


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, ".".join("a" * 5000) + ".b = 1"])
def test_a_file_that_is_nested_too_deeply_is_refused_with_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "accounts.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"accounts\.toml: nested too deeply"):
        read_accounts(str(tmp_path / "accounts.toml"))
