"""Where a key is found: the order of the places, and the profile."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from stopcast.credentials.chain import find_credentials
from stopcast.credentials.places import Search
from stopcast.credentials.value import Credentials
from support.places_of_keys import (
    CONFIG,
    INI,
    NEW,
    NEW_PLACE,
    OLD,
    OLD_PLACE,
    OLDEST,
    SECRET,
    Found,
    find,
    profile,
    put,
    put_config,
    put_ini,
    put_oldest,
    refusal,
)

# The order


def test_the_new_names_in_the_environment_come_first(home: Path) -> None:
    put_config(home, **profile())
    given_too = {"VOLCENGINE_SESSION_TOKEN": "token", "VOLCENGINE_REGION": "ap-singapore-1"}

    assert find(home, NEW | OLD | given_too) == Found(
        Credentials("AKnew", f"{SECRET}-new", "token", "ap-singapore-1", source=NEW_PLACE)
    )


def test_the_older_names_come_next_and_have_no_region_and_no_token(home: Path) -> None:
    put_config(home, **profile())

    assert find(home, OLD | {"VOLCENGINE_REGION": "ap-singapore-1"}) == Found(
        Credentials("AKold", f"{SECRET}-old", source=OLD_PLACE)
    )


def test_the_file_of_the_ve_command_comes_before_the_older_files(home: Path) -> None:
    put_config(home, **profile(mode="AK", region="cn-north-1", **{"session-token": "token"}))
    put_ini(home)

    assert find(home) == Found(
        Credentials("AKdefault", f"{SECRET}-default", "token", "cn-north-1", source=f"{CONFIG}, profile default")
    )


def test_the_ini_file_comes_before_the_oldest_and_takes_a_percent_sign_as_it_is(home: Path) -> None:
    put_ini(home)
    put_oldest(home)

    assert find(home) == Found(Credentials("AKini", f"{SECRET}%ini", source=INI))


def test_the_oldest_file_comes_last(home: Path) -> None:
    put_oldest(home)

    assert find(home) == Found(Credentials("AKoldest", f"{SECRET}-oldest", source=OLDEST))


def test_places_after_the_first_usable_one_are_not_opened(home: Path) -> None:
    put(home, CONFIG, "broken")

    assert find(home, NEW).credentials.source == NEW_PLACE


def test_a_byte_order_mark_is_ignored(home: Path) -> None:
    put(home, OLDEST, b"\xef\xbb\xbf" + json.dumps({"ak": "AK", "sk": "sk"}).encode())

    assert find(home).credentials == Credentials("AK", "sk", source=OLDEST)


# The profile


def test_the_profile_is_the_variable_then_current_then_default(home: Path) -> None:
    profiles = profile("b") | profile("c") | profile("default")
    variable = {"VOLCENGINE_PROFILE": "b"}

    put_config(home, current="c", **profiles)
    assert find(home, variable).credentials.access_key == "AKb"
    assert find(home).credentials.access_key == "AKc"
    assert find(home, {"VOLCENGINE_PROFILE": ""}).credentials.access_key == "AKc"
    put_config(home, **profiles)
    assert find(home).credentials.access_key == "AKdefault"


def test_a_key_in_the_environment_comes_before_a_profile_there_with_a_warning(home: Path) -> None:
    put_config(home, **profile("a"))
    found = find(home, NEW | {"VOLCENGINE_PROFILE": "a"})

    assert found.credentials.source == NEW_PLACE
    assert found.warnings == (
        "VOLCENGINE_PROFILE is ignored, because VOLCENGINE_ACCESS_KEY is set too and comes first",
    )


def test_a_missing_profile_that_is_asked_for_ends_the_search_and_the_message_lists_the_others(home: Path) -> None:
    put_config(home, **profile("test"), **profile("default"))
    put_ini(home)
    message = refusal(home, {"VOLCENGINE_PROFILE": "prod"})

    assert "there is no profile 'prod'" in message
    assert "'test', 'default'" in message


@pytest.mark.parametrize("content", [None, {}, {"profiles": {}}, {"profiles": {"prod": {"mode": "StsToken"}}}])
def test_a_profile_that_is_asked_for_and_cannot_be_used_ends_the_search(home: Path, content: Any) -> None:
    if content is not None:
        put(home, CONFIG, content)
    put_ini(home)
    message = refusal(home, {"VOLCENGINE_PROFILE": "prod"})

    assert message.startswith(f"credentials in {CONFIG}")
    assert "profile 'prod' is asked for" in message


def test_a_missing_current_profile_ends_the_search(home: Path) -> None:
    put_config(home, current="gone", **profile("test"))
    put_ini(home)

    assert "there is no profile 'gone'; VOLCENGINE_PROFILE can choose one of: 'test'" in refusal(home)


def test_a_variable_can_name_another_file_and_the_source_shows_both(home: Path) -> None:
    path = put(home, "elsewhere.json", {"profiles": profile()})
    put_config(home, **profile("default", region="cn-north-1"))
    found = find(home, {"VOLCENGINE_CLI_CONFIG_FILE": str(path)})

    assert found.credentials.source == f"{path} (VOLCENGINE_CLI_CONFIG_FILE), profile default"


def test_a_missing_file_that_a_variable_names_ends_the_search(home: Path) -> None:
    put_config(home, **profile())
    put_ini(home)
    message = refusal(home, {"VOLCENGINE_CLI_CONFIG_FILE": str(home / "gone.json")})

    assert "gone.json (VOLCENGINE_CLI_CONFIG_FILE): no such file (VOLCENGINE_CLI_CONFIG_FILE names it)" in message


@pytest.mark.parametrize("mode", ["RamRoleArn", "OIDC", "EcsRole", "sso", "console-login"])
def test_the_message_about_a_missing_vendor_sdk_says_how_to_install_it(
    home: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_config(home, **profile(mode=mode, region="cn-beijing"))
    put_ini(home)
    source = find_credentials(Search({}, home))
    assert (source.place, source.credentials, source.region) == (f"{CONFIG}, profile default", None, "cn-beijing")
    assert source.for_stopper is source.provider
    assert SECRET not in repr(source)
    monkeypatch.setitem(sys.modules, "volcenginesdkcore", None)

    assert f"has mode {mode!r}, which needs the vendor's SDK: pip install 'stopcast[volc]'" in refusal(home)


def test_a_login_of_an_unknown_kind_is_skipped_with_a_warning(home: Path) -> None:
    put_config(home, **profile(mode="StsToken"))
    words = f"{CONFIG}: profile 'default' has mode 'StsToken', which stopcast does not know"

    assert words in refusal(home)
    put_ini(home)
    assert find(home).credentials.source == INI
    assert find(home).warnings == (f"{words}; skipped",)


@pytest.mark.parametrize("mode", ["AK", "ak", " AK ", "", None])
def test_a_profile_without_a_mode_holds_a_key(home: Path, mode: str | None) -> None:
    put_config(home, **profile(mode=mode))

    assert find(home).credentials.access_key == "AKdefault"


@pytest.mark.parametrize(
    ("key", "shown"),
    [("", "…"), ("a", "a…"), ("short", "sh…"), ("x" * 15, "xx…"), ("AKLTmiddle-of-it-9f3c", "AKLT…9f3c")],
)
def test_of_a_key_both_ends_are_shown_and_of_a_short_one_only_the_beginning(key: str, shown: str) -> None:
    assert Credentials(key, SECRET).shown_key == shown
