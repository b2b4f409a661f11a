"""The message for a place that cannot be used, and which of them end the search."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

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
    put_oldest,
    refusal,
)

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
