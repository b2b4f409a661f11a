"""Nothing found, files that others can read, and the list of all places; no message shows a secret."""

from __future__ import annotations

import json
import pwd
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stopcast.credentials.chain import find_credentials, list_sources
from stopcast.credentials.files import SourceState
from stopcast.credentials.places import PLACES, Search
from stopcast.credentials.value import Credentials
from stopcast.errors import ConfigurationError, CredentialsNotFoundError
from support.places_of_keys import (
    CONFIG,
    INI,
    NEW,
    NEW_PLACE,
    OLD,
    OLD_PLACE,
    OLDEST,
    SECRET,
    find,
    profile,
    put,
    put_config,
    put_ini,
)

# Nothing found


def test_the_message_that_nothing_was_found_names_every_place_and_what_it_holds(home: Path) -> None:
    put(home, INI, "")
    with pytest.raises(CredentialsNotFoundError) as refused:
        find(home)

    assert str(refused.value).splitlines() == [
        "no credentials found. Searched:",
        f"  {NEW_PLACE}: not set",
        f"  {OLD_PLACE}: not set",
        f"  {CONFIG}: no such file",
        f"  {INI}: there is no section [default]",
        f"  {OLDEST}: no such file",
        "Set VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY, or rehearse with --sandbox, which needs no key",
    ]


def test_without_a_home_directory_only_files_below_it_are_missing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", Mock(side_effect=KeyError("no such user")))
    assert Search.here().home is None

    assert find_credentials(Search(NEW, None)).for_stopper == Credentials("AKnew", f"{SECRET}-new", source=NEW_PLACE)
    path = put(home, "elsewhere.json", {"profiles": profile()})
    found = find_credentials(Search({"VOLCENGINE_CLI_CONFIG_FILE": str(path)}, None))
    assert found.state is SourceState.USABLE
    with pytest.raises(CredentialsNotFoundError, match=f"{CONFIG}: there is no home directory, and HOME is not set"):
        find_credentials(Search({}, None))


def test_the_home_directory_is_that_of_the_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    assert Search.here().home == home


def test_a_home_that_is_not_a_directory_holds_nothing(home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(CredentialsNotFoundError):
        find(home / "file")


# Files that other users can read


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_the_warning_about_a_file_that_others_can_read_says_what_to_type(home: Path, mode: int) -> None:
    path = put_config(home, **profile())
    path.chmod(mode)

    assert find(home).warnings == (f"{CONFIG} can be read by other users, mode {mode:o}: chmod 600 {path}",)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_that_only_its_owner_can_read_causes_no_warning(home: Path, mode: int) -> None:
    put_ini(home).chmod(mode)

    assert find(home).warnings == ()


def test_the_command_to_type_quotes_a_name_with_a_space(home: Path) -> None:
    path = put(home, "my keys.json", {"profiles": profile()}, mode=0o644)
    (warning,) = find(home, {"VOLCENGINE_CLI_CONFIG_FILE": str(path)}).warnings

    assert warning.endswith(f"chmod 600 '{path}'")


# All places


def test_the_list_of_places_includes_those_after_the_first_usable_one(home: Path) -> None:
    put_config(home, **profile(mode="StsToken"))
    put_ini(home).chmod(0o644)
    put(home, OLDEST, {"ak": SECRET})
    sources = list_sources(Search(OLD, home))

    assert [(source.place, source.state) for source in sources] == [
        (NEW_PLACE, SourceState.ABSENT),
        (OLD_PLACE, SourceState.USABLE),
        (CONFIG, SourceState.SKIPPED),
        (INI, SourceState.USABLE),
        (OLDEST, SourceState.BROKEN),
    ]
    assert len(sources) == len(PLACES)
    assert [bool(source.warnings) for source in sources] == [False, False, False, True, False]
    assert SECRET not in repr(sources)


def test_a_name_with_control_characters_is_shown_with_escapes(home: Path) -> None:
    values = {"access-key": "AK", "secret-key": "sk"}
    put_config(home, current="\x1b[2J", **{"\x1b[2J": values})

    assert find(home).credentials.source == f"{CONFIG}, profile \\x1b[2J"


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("aA \n%=[é\x00", max_size=4) | st.just("default"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["profiles", "current", "default", "mode", "access-key", "secret-key", "region", "ak", "sk"]
            ),
            inner,
            max_size=4,
        )
    ),
)
INI_LINES = st.lists(
    st.sampled_from(
        ["[default]", "[DEFAULT]", "[", "access_key_id=a", "secret_access_key=b%", " c", "=", ":", "d", "#", "", "\x00"]
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    config=VALUES.map(json.dumps).map(str.encode) | st.binary(max_size=20),
    ini=INI_LINES.map("\n".join).map(str.encode) | st.binary(max_size=20),
    oldest=VALUES.map(json.dumps).map(str.encode),
    environ=st.dictionaries(
        st.sampled_from([*NEW, *OLD, "VOLCENGINE_SESSION_TOKEN", "VOLCENGINE_REGION", "VOLCENGINE_PROFILE"]),
        st.text("aA \n\x00é\udcff", max_size=3),
        max_size=3,
    ),
)
def test_any_content_gives_a_key_or_a_reason(
    *, config: bytes, ini: bytes, oldest: bytes, environ: dict[str, str], home: Path
) -> None:
    put(home, CONFIG, config)
    put(home, INI, ini)
    put(home, OLDEST, oldest)
    sources = list_sources(Search(environ, home))

    assert all(
        source.description.encode()
        and bool(source.provider or source.credentials) == (source.state is SourceState.USABLE)
        for source in sources
    )
    try:
        found = find_credentials(Search(environ, home))
    except ConfigurationError:
        ends = [source.state for source in sources if source.state in {SourceState.USABLE, SourceState.BROKEN}]
        assert ends[:1] != [SourceState.USABLE]
    else:
        assert found.for_stopper
        assert found.place in [source.place for source in sources]
