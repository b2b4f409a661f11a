"""The doctor over an accounts file: each key by itself, and each endpoint once."""

from __future__ import annotations

import pytest

from stopcast.sandbox import Emulator
from support.findings import failed, findings
from support.processes import Shell

ACCOUNTS = """
[accounts.team-a]
apps = ["app-a", "live-*"]
environment = "TEAM_A"

[accounts.team-b]
apps = ["app-b"]
credentials_file = "team-b.ini"
endpoint = "{other}"
"""


@pytest.fixture
def two_accounts(shell: Shell, api: Emulator) -> tuple[str, ...]:
    """Options for an accounts file: team-a's key is right, team-b's file is missing."""
    (shell / "accounts.toml").write_text(ACCOUNTS.format(other=api.url))
    keys = {"ACCESS_KEY": "sandbox", "SECRET_KEY": "sandbox-secret"}
    shell.variables = {f"TEAM_A_{name}": value for name, value in keys.items()}
    return ("doctor", "--accounts", "accounts.toml", "--endpoint", api.url)


def test_each_account_has_a_line_about_its_own_key_and_the_endpoint_is_checked_once(
    shell: Shell, api: Emulator, two_accounts: tuple[str, ...]
) -> None:
    ended = shell.run(*two_accounts)
    lines = ended.out.splitlines()
    (a,) = (line for line in lines if "account team-a" in line)
    (b,) = (line for line in lines if "account team-b" in line)
    assert a.startswith("ok       account team-a: key sa… from environment TEAM_A_ACCESS_KEY")
    assert "accepted: yes" in a
    assert b.startswith("FAILED   account team-b: its key cannot be used: ")
    assert "team-b.ini: no such file" in b
    assert (ended.status, ended.out.count("clock: "), api.calls) == (3, 1, 1)


def test_each_account_is_checked_with_its_own_key(shell: Shell, two_accounts: tuple[str, ...]) -> None:
    (shell / "team-b.ini").write_text("[default]\naccess_key_id = sandbox\nsecret_access_key = wrong\n")
    (shell / "team-b.ini").chmod(0o600)
    ended = shell.run(*two_accounts, "--json")
    assert failed(ended) == {"account team-b"}
    assert "SignatureDoesNotMatch" in findings(ended)["account team-b"]["words"]


def test_one_account_is_checked_by_its_name(shell: Shell, two_accounts: tuple[str, ...]) -> None:
    assert "account team-b" not in shell.run(*two_accounts, "--account", "team-a").out
    ended = shell.run(*two_accounts, "--account", "team-c")
    assert (ended.status, ended.out) == (2, "")
    assert "--account team-c: accounts.toml has the accounts team-a, team-b" in ended.err


def test_a_name_without_a_file_of_accounts_is_wrong_usage_unless_the_variable_has_it(
    shell: Shell, api: Emulator
) -> None:
    assert "--account needs --accounts FILE" in shell.run("doctor", "--account", "team-a").err
    shell.variables["STOPCAST_ACCOUNT"] = "team-a"  # for the shared quota
    assert shell.run("doctor", "--endpoint", api.url).status == 0


@pytest.mark.parametrize(
    ("app_id", "state", "words"),
    [
        ("live-7", "ok", "refuses neither it nor"),
        ("unclaimed", "failed", "no account claims it"),
        ("app-b", "not tried", "account team-b claims it"),
    ],
)
def test_an_appid_is_checked_with_the_key_of_the_account_that_claims_it(
    shell: Shell, two_accounts: tuple[str, ...], app_id: str, state: str, words: str
) -> None:
    ended = shell.run(*two_accounts, "--account", "team-a", "--app-id", app_id, "--json")
    found = findings(ended)[f"AppId {app_id}"]
    assert (found["state"], words in found["words"]) == (state, True)
