"""What the files that people keep their key in hold: the ``ve`` command's, and the older SDKs'.

A file's text becomes values by name, unchecked. No reason holds any part of a value: parsers quote the lines they fail
on, so their words are never passed on.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import orjson

from stopcast.credentials import vendor

#: Chooses of the profiles in the ``ve`` command's file.
PROFILE_VARIABLE: Final = "VOLCENGINE_PROFILE"


class State(StrEnum):
    """What a place was found to be."""

    USABLE = "usable"
    ABSENT = "absent"
    """Nothing is there."""
    PASSED_OVER = "passed over"
    """Something is there, of no use and no harm; whoever runs is told."""
    BROKEN = "broken"
    """Somebody meant it to be used, and it cannot be."""


class Holding(NamedTuple):
    """Values by their names, unchecked, and the part of the place that they stand in.

    ``profile`` and ``mode`` are told where it is the vendor's provider that makes credentials of them.
    """

    values: Mapping[str, object]
    part: str = ""
    warnings: tuple[str, ...] = ()
    profile: str = ""
    mode: str = ""


class UnusableError(Exception):
    """A place cannot be used; ``words`` say why, without any part of a value."""

    def __init__(self, state: State, words: str) -> None:
        super().__init__(words)
        self.state = state
        self.words = words


def read_file(path: Path) -> tuple[str, int]:
    """Return the file's text and its mode; raise UnusableError where there is none to be had."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(), os.fstat(file.fileno()).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UnusableError(State.ABSENT, "no such file") from None
    except OSError as error:
        broken(error.strerror or type(error).__name__)
    except ValueError:
        broken("not UTF-8")


def pick_profile(text: str, asked: str | None) -> Holding:
    """Return what the profile holds: the one asked for, else the ``current`` one, else ``default``."""
    config = _json_object(text)
    profiles, current = config.get("profiles") or {}, config.get("current") or "default"
    if not isinstance(profiles, dict) or not isinstance(current, str):
        broken("profiles is no object, or current no string")
    name = current if asked is None else asked
    if name not in profiles:
        there = ", ".join(map(repr, profiles)) or "none"
        words = f"there is no profile {name!r}; {PROFILE_VARIABLE} can choose of: {there}"
        raise UnusableError(State.BROKEN if profiles else State.PASSED_OVER, words)
    profile = profiles[name]
    mode = (profile.get("mode") or "AK") if isinstance(profile, dict) else None
    if not isinstance(mode, str):
        broken(f"profile {name!r} is no object, or its mode no string")
    holding = Holding(profile, f", profile {shown(name)}")
    login = mode.strip().lower()
    if login == "ak":
        return holding
    if login not in vendor.MODES:
        raise UnusableError(State.PASSED_OVER, f"profile {name!r} has mode {mode!r}, which is not known here")
    if not vendor.installed():
        broken(f"profile {name!r} has mode {mode!r}, which needs the vendor's SDK: pip install 'stopcast[volc]'")
    return holding._replace(profile=name, mode=login)


def pick_ini(text: str, _asked: str | None) -> Holding:
    """Return what the section ``[default]`` of an ini file holds."""
    # Raw: in a secret, % is a character like any other.
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        broken("not an ini file")
    if not parser.has_section("default"):
        raise UnusableError(State.PASSED_OVER, "it has no section [default]")
    return Holding(dict(parser.items("default")))


def pick_object(text: str, _asked: str | None) -> Holding:
    """Return what a file that is one JSON object holds."""
    return Holding(_json_object(text))


def _json_object(text: str) -> dict[str, object]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        broken(f"not JSON, from line {error.lineno}, column {error.colno} on")
    if not isinstance(value, dict):
        broken("not a JSON object")
    return value


def broken(words: str) -> NoReturn:
    """Raise: somebody meant this place to be used, and it cannot be."""
    raise UnusableError(State.BROKEN, words)


def shown(text: str) -> str:
    """Return a name from outside as one that cannot upset a terminal."""
    return text if text.isprintable() else repr(text)
