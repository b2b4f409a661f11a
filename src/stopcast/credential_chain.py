"""The places where people already keep their key: in which order they are looked at, and what was wrong with each.

A place that holds nothing is passed by. A place that somebody filled in, but that cannot be used, ends the search: the
next place may hold another account's key, and whoever mis-set one variable at 3 a.m. must not run with that unawares.
Two things are no such mistakes and only warned of: values that are empty (a variable handed through a container, a
profile not yet filled in), and a login of a kind that cannot be used here yet, unless it was asked for by name.

No reason holds any part of a value. Parsers quote the lines they fail on, so their words are never passed on.

Names and places: the vendor's ``volcenginesdk-core`` and ``ve`` command (new), ``volcengine`` (older).
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import orjson

from stopcast.api import REGION_PATTERN
from stopcast.credentials import Credentials
from stopcast.errors import ConfigurationError, CredentialsNotFoundError

#: Keys and tokens stand in headers: nothing but visible ASCII.
_VISIBLE: Final = re.compile(r"[!-~]+")
_PROFILE_VARIABLE: Final = "VOLCENGINE_PROFILE"


class State(StrEnum):
    """What a place was found to be."""

    USABLE = "usable"
    ABSENT = "absent"
    """Nothing is there."""
    PASSED_OVER = "passed over"
    """Something is there, of no use and no harm; whoever runs is told."""
    BROKEN = "broken"
    """Somebody meant it to be used, and it cannot be."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one place held.

    Attributes:
        place: its name, such as ``~/.volcengine/config.json, profile default``.
        state: the word for it.
        words: the same for people, without any part of a value.
        credentials: where the place is usable.
        warnings: what should be mended although it is usable.
    """

    place: str
    state: State
    words: str
    credentials: Credentials | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """The credentials to use, and what the person who runs should know of how they were found."""

    credentials: Credentials
    warnings: tuple[str, ...] = ()


def find_credentials(*, environ: Mapping[str, str], home: Path, profile: str | None = None) -> Found:
    """Return the credentials of the first place that has some.

    Args:
        environ: the environment's variables.
        home: the directory that ``~`` stands for.
        profile: of the ``ve`` command's file; where given, no other place is looked at.

    Raises:
        CredentialsNotFoundError: no place has any; the message names each with what was found there.
        ConfigurationError: a place was meant to be used and cannot be.
    """
    past: list[Look] = []
    for look in _looks(_Request(environ, home, profile)):
        if look.credentials is not None:
            passed = [f"{it.place}: {it.words}; passed over" for it in past if it.state is State.PASSED_OVER]
            return Found(look.credentials, (*passed, *look.warnings))
        if look.state is State.BROKEN:
            raise ConfigurationError(
                f"credentials in {look.place}: {look.words}. "
                "Mend or remove them; no further place is tried, as its key might be another account's"
            )
        past.append(look)
    told = "".join(f"\n  {look.place}: {look.words}" for look in past)
    raise CredentialsNotFoundError(
        f"no credentials found. Looked at:{told}\n"
        "Set VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY, or rehearse with --sandbox, which needs none"
    )


def look_everywhere(*, environ: Mapping[str, str], home: Path, profile: str | None = None) -> tuple[Look, ...]:
    """Return what every place holds, in the order they are tried, those after the first usable one included."""
    return tuple(_looks(_Request(environ, home, profile)))


class _Request(NamedTuple):
    environ: Mapping[str, str]
    home: Path
    profile: str | None


class _Names(NamedTuple):
    """What the four values are called in one place; "" for one that the place does not have."""

    access_key: str
    secret_key: str
    session_token: str = ""
    region: str = ""


class _Holding(NamedTuple):
    """Values by their names, unchecked, and the part of the place that they stand in."""

    values: Mapping[str, object]
    part: str = ""
    warnings: tuple[str, ...] = ()


class _UnusableError(Exception):
    def __init__(self, state: State, words: str) -> None:
        super().__init__(words)
        self.state = state
        self.words = words


@dataclass(frozen=True, slots=True)
class _Environment:
    names: _Names

    def where(self, _request: _Request) -> str:
        return f"environment {self.names.access_key}"

    def wanted(self, _request: _Request) -> str:
        return ""

    def hold(self, request: _Request) -> _Holding:
        if request.profile is not None:
            raise _UnusableError(State.ABSENT, f"not looked at, as profile {request.profile!r} is asked for")
        if request.environ.keys().isdisjoint(self.names[:3]):
            raise _UnusableError(State.ABSENT, "not set")
        unheard = f"{_PROFILE_VARIABLE} is set, but so is {self.names.access_key}, which comes first"
        return _Holding(request.environ, warnings=(unheard,) if request.environ.get(_PROFILE_VARIABLE) else ())


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    names: _Names
    pick: Callable[[str, str | None], _Holding]
    path_variable: str = ""

    def where(self, request: _Request) -> str:
        named = request.environ.get(self.path_variable)
        return f"{_shown(named)} ({self.path_variable})" if named else f"~/{self.path}"

    def wanted(self, request: _Request) -> str:
        if request.environ.get(self.path_variable):
            return f"{self.path_variable} names it"
        asked = _profile_asked_for(request)
        return "" if asked is None or not self.path_variable else f"profile {asked!r} is asked for"

    def hold(self, request: _Request) -> _Holding:
        path = Path(request.environ.get(self.path_variable) or request.home / self.path)
        text, mode = _read(path)
        holding = self.pick(text, _profile_asked_for(request))
        if not (stat.S_ISREG(mode) and stat.S_IMODE(mode) & 0o077):
            return holding
        command = shlex.join(["chmod", "600", str(path)])
        warning = f"{self.where(request)} is open to others, mode {stat.S_IMODE(mode):o}: {command}"
        return holding._replace(warnings=(warning,))


def _read(path: Path) -> tuple[str, int]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(), os.fstat(file.fileno()).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise _UnusableError(State.ABSENT, "no such file") from None
    except OSError as error:
        _broken(error.strerror or type(error).__name__)
    except ValueError:
        _broken("not UTF-8")


def _profile_asked_for(request: _Request) -> str | None:
    return request.profile if request.profile is not None else request.environ.get(_PROFILE_VARIABLE) or None


def _pick_profile(text: str, asked: str | None) -> _Holding:
    config = _json_object(text)
    profiles, current = config.get("profiles") or {}, config.get("current") or "default"
    if not isinstance(profiles, dict) or not isinstance(current, str):
        _broken("profiles is no object, or current no string")
    name = current if asked is None else asked
    if name not in profiles:
        there = ", ".join(map(repr, profiles)) or "none"
        words = f"there is no profile {name!r}; {_PROFILE_VARIABLE} can choose of: {there}"
        raise _UnusableError(State.BROKEN if profiles else State.PASSED_OVER, words)
    profile = profiles[name]
    mode = (profile.get("mode") or "AK") if isinstance(profile, dict) else None
    if not isinstance(mode, str):
        _broken(f"profile {name!r} is no object, or its mode no string")
    if mode.strip().upper() != "AK":
        raise _UnusableError(
            State.PASSED_OVER, f"profile {name!r} has mode {mode!r}; only AK, a key in the file, can be used yet"
        )
    return _Holding(profile, f", profile {_shown(name)}")


def _pick_ini(text: str, _asked: str | None) -> _Holding:
    # Raw: in a secret, % is a character like any other.
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        _broken("not an ini file")
    if not parser.has_section("default"):
        raise _UnusableError(State.PASSED_OVER, "it has no section [default]")
    return _Holding(dict(parser.items("default")))


def _pick_object(text: str, _asked: str | None) -> _Holding:
    return _Holding(_json_object(text))


def _json_object(text: str) -> dict[str, object]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        _broken(f"not JSON, from line {error.lineno}, column {error.colno} on")
    if not isinstance(value, dict):
        _broken("not a JSON object")
    return value


def _broken(words: str) -> NoReturn:
    raise _UnusableError(State.BROKEN, words)


def _shown(text: str) -> str:
    return text if text.isprintable() else repr(text)


#: The places, in the order in which they are tried.
PLACES: Final[tuple[_Environment | _File, ...]] = (
    _Environment(
        _Names("VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", "VOLCENGINE_SESSION_TOKEN", "VOLCENGINE_REGION")
    ),
    _Environment(_Names("VOLC_ACCESSKEY", "VOLC_SECRETKEY")),
    _File(
        ".volcengine/config.json",
        _Names("access-key", "secret-key", "session-token", "region"),
        _pick_profile,
        path_variable="VOLCENGINE_CLI_CONFIG_FILE",
    ),
    _File(".volc/credentials", _Names("access_key_id", "secret_access_key"), _pick_ini),
    _File(".volc/config", _Names("ak", "sk"), _pick_object),
)


def _looks(request: _Request) -> Iterator[Look]:
    for place in PLACES:
        where = place.where(request)
        try:
            values, part, warnings = place.hold(request)
            where += part
            credentials = _credentials(values, place.names, source=where)
        except _UnusableError as error:
            # Whoever names a file or a profile wants that one, whatever is wrong with it.
            if wanted := place.wanted(request):
                look = Look(where, State.BROKEN, f"{error.words} ({wanted})")
            else:
                look = Look(where, error.state, error.words)
        else:
            look = Look(where, State.USABLE, "usable", credentials, warnings)
        yield look


def _credentials(values: Mapping[str, object], names: _Names, *, source: str) -> Credentials:
    """Check the four values and return them as one; the message of what is wrong names them, and shows none."""
    given = {name: values[name] for name in names if name and values.get(name) not in (None, "")}
    pair = names[:2]
    secrets = [name for name in names[:3] if name in given]
    if not secrets:
        raise _UnusableError(State.PASSED_OVER, f"{' and '.join(pair)} are missing or empty")
    if missing := [name for name in pair if name not in given]:
        _broken(f"{' and '.join(secrets)} without {' and '.join(missing)}")
    checked = {name: _text(name, value, region=name == names.region) for name, value in given.items()}
    return Credentials(
        access_key=checked[names.access_key],
        secret_key=checked[names.secret_key],
        session_token=checked.get(names.session_token),
        region=checked.get(names.region),
        source=source,
    )


def _text(name: str, value: object, *, region: bool) -> str:
    if not isinstance(value, str):
        _broken(f"{name} is no string")
    if value != value.strip():
        _broken(f"{name} begins or ends with white space, perhaps the end of a line")
    if not (REGION_PATTERN if region else _VISIBLE).fullmatch(value):
        _broken(f"{name} holds a character that cannot stand in {'a region' if region else 'a header'}")
    return value
