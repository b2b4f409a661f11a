"""The accounts file: what it may hold, and what is refused with words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stopcast import ConfigurationError
from stopcast.accounts.file import parse_accounts
from support.documents import blocks, page
from support.processes import Shell, tasks, write_csv

SECRET = "hunter2"


def refused(text: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        parse_accounts(text, directory=Path("/"))
    assert SECRET not in str(error.value)
    assert error.value.__cause__ is None
    return str(error.value)


def test_an_account_is_read_as_it_stands_and_paths_start_at_the_file() -> None:
    text = """
        [accounts.team-a]
        apps = ["app-1", "live-*"]
        profile = "prod"
        config_file = "keys/config.json"
        max_per_second = 50
        endpoint = "https://open.byteplusapi.com"
        region = "ap-singapore-1"
        [accounts.b]
        apps = ["*"]
        credentials_file = "/run/secrets/b"
    """
    (a, b), routes = parse_accounts(text, directory=Path("/etc/stopcast"))

    assert (a.name, a.apps, a.profile) == ("team-a", ("app-1", "live-*"), "prod")
    assert a.config_file == Path("/etc/stopcast/keys/config.json")
    assert (a.max_per_second, a.endpoint, a.region) == (50.0, "https://open.byteplusapi.com", "ap-singapore-1")
    assert b.credentials_file == Path("/run/secrets/b")
    assert routes == {"app-1": "team-a", "live-*": "team-a", "*": "b"}


@pytest.mark.parametrize(
    "name",
    ["access_key", "secret-key", "AccessKeyId", "SecretAccessKey", "ak", "SK", "session_token", "password", "secret"],
)
def test_a_secret_in_the_file_is_an_error_that_says_where_it_belongs_and_does_not_show_it(name: str) -> None:
    for text in (f'[accounts.a]\napps=["*"]\n{name} = "{SECRET}"', f'{name} = "{SECRET}"'):
        message = refused(text)
        assert f"{name}: a key does not belong in this file" in message
        assert all(way in message for way in ("profile = NAME", "credentials_file = PATH", "environment = PREFIX"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it names no account"),
        (f'[accounts.a]\napps = "{SECRET}', "not TOML (at end of document)"),
        (f"{SECRET} = ", "not TOML (at"),
        ("accounts = 1", "it names no account"),
        ("[accounts]\na = 1", "an account begins with [accounts.NAME]"),
        ("[account.a]", "account is not known here"),
        ('[accounts."a b"]', "an account begins with [accounts.NAME]"),
        (
            '[accounts.a]\napps=["*"]',
            "account a: expected one of profile, environment, credentials_file; there is none",
        ),
        ('[accounts.a]\napps=["*"]\nprofile="a"\nenvironment="A"', "there are profile, environment"),
        ('[accounts.a]\nprofile="a"', "account a: apps is to be a list"),
        ('[accounts.a]\nprofile="a"\napps=[]', "account a: apps is to be a list"),
        ('[accounts.a]\nprofile="a"\napps=[1]', "account a: apps is to be a list"),
        (f'[accounts.a]\nprofile="a"\napps=["{SECRET[:-1]} 2"]', "neither an AppId nor a pattern"),
        ('[accounts.a]\nprofile=""\napps=["*"]', "account a: profile is to be a text"),
        ('[accounts.a]\nprofile="a"\napps=["*"]\nmax_per_second=0', "max_per_second is to be a number above 0"),
        ('[accounts.a]\nprofile="a"\napps=["*"]\nmax_per_second=true', "max_per_second is to be a number above 0"),
        ('[accounts.a]\nprofile="a"\napps=["*"]\nrate=1', "account a: rate is not known; there are apps,"),
        (f'[accounts.a]\nenvironment="{SECRET}"\napps=["*"]', "environment is what the variables' names begin with"),
        ('[accounts.a]\nenvironment="A"\nconfig_file="x"\napps=["*"]', "config_file goes with profile"),
        (
            '[accounts.a]\nprofile="a"\napps=["x"]\n[accounts.b]\nprofile="b"\napps=["x"]',
            "x is claimed by a and by b",
        ),
    ],
)
def test_a_file_that_cannot_be_used_says_why(text: str, words: str) -> None:
    assert words in refused(text)


def test_the_accounts_file_of_the_manual_is_valid() -> None:
    (block,) = blocks(page("accounts"), "toml")
    accounts, routes = parse_accounts(block, directory=Path("/"))
    assert [account.name for account in accounts] == ["team-a", "team-b", "team-c"]
    assert routes["live-*"] == "team-a"


def test_accounts_from_standard_input_are_refused_with_words(shell: Shell) -> None:
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(1)), "--accounts", "-")
    assert (ended.status, "--accounts -: standard input is for lists. Name a file" in ended.err) == (2, True)


def test_an_accounts_file_that_is_a_pipe_without_a_writer_ends_the_command(shell: Shell) -> None:
    os.mkfifo(shell / "accounts.toml")
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(1)), "--accounts", "accounts.toml")
    assert (ended.status, "--accounts accounts.toml: a pipe that was not filled" in ended.err) == (2, True)
