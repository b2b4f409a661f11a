"""Fixtures of this folder's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.expiring_account import Account


@pytest.fixture
def account() -> Iterator[Account]:
    """The account that every Stopper of the test calls; none of them leaves a call in flight."""
    account = Account()
    yield account
    assert not account.in_flight
