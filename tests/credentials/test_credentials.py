"""Where a key is found, the message for a place that cannot be used, and that no message shows a secret."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stopcast.credentials.chain import find_credentials, list_sources
from stopcast.credentials.files import SourceState
from stopcast.credentials.places import PLACES, Search
from stopcast.credentials.value import Credentials
from stopcast.errors import ConfigurationError, CredentialsNotFoundError

#: Part of every secret value. No message may show it.
SECRET = "hunter2"
NEW = {"VOLCENGINE_ACCESS_KEY": "AKnew", "VOLCENGINE_SECRET_KEY": f"{SECRET}-new"}
OLD = {"VOLC_ACCESSKEY": "AKold", "VOLC_SECRETKEY": f"{SECRET}-old"}
NEW_PLACE, OLD_PLACE = "environment VOLCENGINE_ACCESS_KEY", "environment VOLC_ACCESSKEY"
CONFIG, INI, OLDEST = "~/.volcengine/config.json", "~/.volc/credentials", "~/.volc/config"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def put(home: Path, place: str, content: str | bytes | Mapping[str, Any], *, mode: int = 0o600) -> Path:
    """Write a file of the home directory as a person would, and return its path."""
    path = home / place.removeprefix("~/")
    path.parent.mkdir(parents=True, exist_ok=True)
    match content:
        case bytes():
            path.write_bytes(content)
        case str():
            path.write_text(content, encoding="utf-8")
        case _:
            path.write_text(json.dumps(content), encoding="utf-8")
    path.chmod(mode)
    return path


def profile(name: str = "default", /, **values: Any) -> dict[str, Any]:
    return {name: {"access-key": f"AK{name}", "secret-key": f"{SECRET}-{name}", **values}}


def put_config(home: Path, *, current: object = None, **profiles: Any) -> Path:
    return put(home, CONFIG, {"current": current, "profiles": profiles})


def put_ini(home: Path, *lines: str) -> Path:
    return put(home, INI, "\n".join(lines or ("[default]", "access_key_id=AKini", f"secret_access_key={SECRET}%ini")))


def put_oldest(home: Path) -> Path:
    return put(home, OLDEST, {"ak": "AKoldest", "sk": f"{SECRET}-oldest"})


class Found(NamedTuple):
    credentials: Credentials
    warnings: tuple[str, ...] = ()


def find(home: Path, environ: Mapping[str, str] | None = None) -> Found:
    source = find_credentials(Search(environ or {}, home))
    assert SECRET not in repr(source)
    assert source.credentials is not None
    assert source.region == source.credentials.region
    return Found(source.credentials, source.warnings)


def refusal(home: Path, environ: Mapping[str, str] | None = None) -> str:
    """Return the message with which the search ends, after a check that it holds no secret."""
    with pytest.raises(ConfigurationError) as refused:
        find_credentials(Search(environ or {}, home))
    assert SECRET not in str(refused.value)
    # A parser's exception would hold what it read.
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    return str(refused.value)


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


# What ends the search: a person filled this place in, and the next one may belong to another account


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"VOLCENGINE_ACCESS_KEY": SECRET}, "VOLCENGINE_ACCESS_KEY without VOLCENGINE_SECRET_KEY"),
        ({"VOLCENGINE_SECRET_KEY": SECRET}, "VOLCENGINE_SECRET_KEY without VOLCENGINE_ACCESS_KEY"),
        (NEW | {"VOLCENGINE_SECRET_KEY": ""}, "VOLCENGINE_ACCESS_KEY without VOLCENGINE_SECRET_KEY"),
        (
            {"VOLCENGINE_SESSION_TOKEN": SECRET},
            "VOLCENGINE_SESSION_TOKEN without VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY",
        ),
        ({"VOLC_ACCESSKEY": SECRET}, "VOLC_ACCESSKEY without VOLC_SECRETKEY"),
        (NEW | {"VOLCENGINE_SECRET_KEY": f"{SECRET}\n"}, "VOLCENGINE_SECRET_KEY begins or ends with white space"),
        (NEW | {"VOLCENGINE_SECRET_KEY": f" {SECRET}"}, "VOLCENGINE_SECRET_KEY begins or ends with white space"),
        (NEW | {"VOLCENGINE_ACCESS_KEY": "  "}, "VOLCENGINE_ACCESS_KEY begins or ends with white space"),
        (NEW | {"VOLCENGINE_ACCESS_KEY": f"{SECRET}\r\nX: y"}, "VOLCENGINE_ACCESS_KEY holds a character"),
        (NEW | {"VOLCENGINE_SESSION_TOKEN": f"a\x00{SECRET}"}, "VOLCENGINE_SESSION_TOKEN holds a character"),
        (NEW | {"VOLCENGINE_SECRET_KEY": f"{SECRET}\udcff"}, "VOLCENGINE_SECRET_KEY holds a character"),
        (NEW | {"VOLCENGINE_SECRET_KEY": f"{SECRET}é"}, "VOLCENGINE_SECRET_KEY holds a character"),
        (
            NEW | {"VOLCENGINE_REGION": "cn north"},
            "VOLCENGINE_REGION holds a character that is not allowed in a region",
        ),
    ],
)
def test_a_variable_that_is_set_wrong_ends_the_search(home: Path, environ: dict[str, str], words: str) -> None:
    put_config(home, **profile())
    put_ini(home)
    # The older names are complete where the case is about the new ones.
    message = refusal(home, environ if "VOLC_ACCESSKEY" in environ else OLD | environ)

    assert words in message
    assert "belong to another account" in message


@pytest.mark.parametrize(
    ("place", "content", "words"),
    [
        (CONFIG, "", "not JSON"),
        (CONFIG, f'{{"secret-key": "{SECRET}" "x"}}', "not JSON: line 1, column 26"),
        (CONFIG, "[" * 100_000, "not JSON"),
        (CONFIG, f'["{SECRET}"]', "not a JSON object"),
        (CONFIG, f'"{SECRET}"', "not a JSON object"),
        (CONFIG, f"\udcff{SECRET}".encode("utf-8", "surrogateescape"), "not UTF-8"),
        (CONFIG, {"profiles": [SECRET]}, "profiles is not an object"),
        (CONFIG, {"profiles": SECRET}, "profiles is not an object"),
        (CONFIG, {"profiles": profile(), "current": [SECRET]}, "current is not a string"),
        (CONFIG, {"profiles": {"default": [SECRET]}}, "profile 'default' is not an object"),
        (CONFIG, {"profiles": profile(mode=[SECRET])}, "its mode is not a string"),
        (CONFIG, {"profiles": profile(**{"access-key": [SECRET]})}, "profile default: access-key is not a string"),
        (CONFIG, {"profiles": profile(**{"secret-key": 7})}, "secret-key is not a string"),
        (CONFIG, {"profiles": profile(**{"secret-key": None})}, "access-key without secret-key"),
        (CONFIG, {"profiles": profile(**{"session-token": {"a": SECRET}})}, "session-token is not a string"),
        (CONFIG, {"profiles": profile(**{"access-key": f"{SECRET}\n"})}, "access-key begins or ends with white space"),
        (CONFIG, {"profiles": profile(**{"access-key": f'"{SECRET}"'})}, "access-key is in quotes or brackets"),
        (CONFIG, {"profiles": profile(**{"secret-key": f"<{SECRET}>"})}, "secret-key is in quotes or brackets"),
        (INI, f"[default]\naccess_key_id='{SECRET}'\nsecret_access_key=s", "access_key_id is in quotes or brackets"),
        (CONFIG, {"profiles": profile(**{"access-key": SECRET, "secret-key": "AKLTNjQy"})}, "perhaps exchanged"),
        (INI, f"[default]\naccess_key_id={SECRET}\nsecret_access_key=AKTPa", "perhaps exchanged"),
        (CONFIG, {"profiles": profile(region="cn/north")}, "region holds a character that is not allowed in a region"),
        (CONFIG, {"profiles": profile("other")}, "there is no profile 'default'"),
        (INI, f"secret_access_key = {SECRET}", "no section; write [default]"),
        (INI, f"[default]\naccess_key_id\n{SECRET}", "not an ini file"),
        (INI, f"[default]\naccess_key_id=a\naccess_key_id={SECRET}", "not an ini file"),
        (INI, f"[default]\n[default]\naccess_key_id={SECRET}", "not an ini file"),
        (INI, f"[default]\naccess_key_id=a\nsecret_access_key=\n  {SECRET}\n  {SECRET}", "secret_access_key begins or"),
        (INI, f"[default]\naccess_key_id=a\nsecret_access_key={SECRET}\n  {SECRET}", "secret_access_key holds a"),
        (INI, f"[default]\naccess_key_id={SECRET}", "access_key_id without secret_access_key"),
        (INI, b"\xff\xfe" + SECRET.encode("utf-16-le"), "not UTF-8"),
        (OLDEST, f"[default]\nregion={SECRET}", "not JSON"),
        (OLDEST, {"ak": SECRET}, "ak without sk"),
    ],
)
def test_a_broken_file_ends_the_search(home: Path, place: str, content: Any, words: str) -> None:
    if place != OLDEST:
        put_oldest(home)
    put(home, place, content)
    message = refusal(home)

    assert message.startswith(f"credentials in {place}")
    assert words in message


@pytest.mark.parametrize("place", [CONFIG, INI, OLDEST])
def test_a_directory_in_place_of_a_file_ends_the_search(home: Path, place: str) -> None:
    (home / place.removeprefix("~/")).mkdir(parents=True)

    assert f"credentials in {place}: Is a directory" in refusal(home)


def test_a_file_without_read_permission_ends_the_search(home: Path) -> None:
    path = put_config(home, **profile())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root can read every file")
    put_ini(home)

    assert f"credentials in {CONFIG}: Permission denied" in refusal(home)


# What does not end the search


@pytest.mark.parametrize(
    "empty", [{"VOLCENGINE_ACCESS_KEY": ""}, {"VOLCENGINE_ACCESS_KEY": "", "VOLCENGINE_SECRET_KEY": ""}]
)
def test_empty_variables_are_skipped_with_a_warning(home: Path, empty: dict[str, str]) -> None:
    found = find(home, empty | OLD)

    assert found.credentials.source == OLD_PLACE
    assert found.warnings == (
        f"{NEW_PLACE}: VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY are missing or empty; skipped",
    )


def test_a_region_alone_is_not_a_key(home: Path) -> None:
    assert f"{NEW_PLACE}: not set" in refusal(home, {"VOLCENGINE_REGION": "cn-north-1"})


@pytest.mark.parametrize(
    ("place", "content"),
    [
        (CONFIG, {}),
        (CONFIG, {"profiles": None}),
        (CONFIG, {"profiles": {}}),
        (CONFIG, {"profiles": {"default": {}}}),
        (CONFIG, {"profiles": profile(**{"access-key": "", "secret-key": ""})}),
        (INI, ""),
        (INI, f"[other]\naccess_key_id=a\nsecret_access_key={SECRET}"),
        (INI, "[default]\naccess_key_id=\nsecret_access_key="),
    ],
)
def test_a_file_that_is_not_filled_in_is_skipped_with_a_warning(home: Path, place: str, content: Any) -> None:
    put_oldest(home)
    put(home, place, content)
    found = find(home)

    assert found.credentials.source == OLDEST
    assert [warning.startswith(place) and warning.endswith("; skipped") for warning in found.warnings] == [True]


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
