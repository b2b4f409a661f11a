"""The exceptions of stopcast, where they go to another process or are copied."""

from __future__ import annotations

import pickle
from copy import copy

from stopcast import AccountsGivenUpError, ClosedError, CredentialsRefusedError


def test_an_error_of_several_accounts_can_be_copied_and_pickled_for_another_process() -> None:
    error = AccountsGivenUpError({"a": CredentialsRefusedError("refused"), "b": ClosedError("left")})
    for other in (pickle.loads(pickle.dumps(error)), copy(error)):
        assert str(other) == str(error) == "account a: refused\naccount b: left"
        assert {account: type(each) for account, each in other.errors.items()} == {
            "a": CredentialsRefusedError,
            "b": ClosedError,
        }
