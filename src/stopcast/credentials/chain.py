"""The places where people already keep their key: in which order they are looked at, and what was wrong with each.

A place that holds nothing is passed by. A place that somebody filled in, but that cannot be used, ends the search: the
next place may hold another account's key, and whoever mis-set one variable at 3 a.m. must not run with that unawares.
Two things are no such mistakes and only warned of: values that are empty (a variable handed through a container, a
profile not yet filled in), and a login of a kind that nobody here knows, unless it was asked for by name.

No reason holds any part of a value.

Names and places: the vendor's ``volcenginesdk-core`` and ``ve`` command (new), ``volcengine`` (older).
"""

from __future__ import annotations

import re
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from stopcast.credentials.files import (
    PROFILE_VARIABLE,
    Holding,
    State,
    UnusableError,
    broken,
    pick_ini,
    pick_object,
    pick_profile,
    read_file,
    shown,
)
from stopcast.credentials.value import REGION_PATTERN, Credentials, CredentialsProvider
from stopcast.credentials.vendor import profile_provider
from stopcast.errors import ConfigurationError, CredentialsNotFoundError, CredentialsUnavailableError

#: Keys and tokens stand in headers: nothing but visible ASCII.
_VISIBLE: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Look:
    """What one place held.

    Attributes:
        place: its name, such as ``~/.volcengine/config.json, profile default``.
        state: the word for it.
        words: the same for people, without any part of a value.
        credentials: that stand in the place.
        provider: gives credentials anew, where the place is a file or a login of the vendor's. A usable place has one
            of the two, or both.
        region: that signatures name, where the place holds one.
        warnings: what should be mended although it is usable.
    """

    place: str
    state: State
    words: str
    credentials: Credentials | None = None
    provider: CredentialsProvider | None = None
    region: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def given(self) -> Credentials | CredentialsProvider:
        """What a Stopper takes of a usable place: the way to credentials, or else these themselves."""
        given = self.provider or self.credentials
        assert given is not None, "a place that is not usable gives nothing"  # noqa: S101 - a programmer's slip
        return given


def find_credentials(*, environ: Mapping[str, str], home: Path, profile: str | None = None) -> Look:
    """Return the first place that has credentials; its warnings tell of those before it as well.

    Args:
        environ: the environment's variables.
        home: the directory that ``~`` stands for.
        profile: of the ``ve`` command's file; where given, no other place is looked at.

    Raises:
        CredentialsNotFoundError: no place has any; the message names each with what was found there.
        ConfigurationError: a place was meant to be used and cannot be.
    """
    past: list[Look] = []
    for look in _looks(Request(environ, home, profile)):
        if look.state is State.USABLE:
            passed = [f"{it.place}: {it.words}; passed over" for it in past if it.state is State.PASSED_OVER]
            return replace(look, warnings=(*passed, *look.warnings))
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
    return tuple(_looks(Request(environ, home, profile)))


class Request(NamedTuple):
    """Where to look, and which profile is wanted."""

    environ: Mapping[str, str]
    home: Path
    profile: str | None


class Names(NamedTuple):
    """What the four values are called in one place; "" for one that the place does not have."""

    access_key: str
    secret_key: str
    session_token: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class EnvironmentPlace:
    """Variables of the environment."""

    names: Names

    def where(self, _request: Request) -> str:
        """Return its name."""
        return f"environment {self.names.access_key}"

    def wanted(self, _request: Request) -> str:
        """Return why it must be this place, "" where any would do."""
        return ""

    def hold(self, request: Request) -> Holding:
        """Return its values; raise UnusableError where there are none."""
        if request.profile is not None:
            raise UnusableError(State.ABSENT, f"not looked at, as profile {request.profile!r} is asked for")
        if request.environ.keys().isdisjoint(self.names[:3]):
            raise UnusableError(State.ABSENT, "not set")
        unheard = f"{PROFILE_VARIABLE} is set, but so is {self.names.access_key}, which comes first"
        return Holding(request.environ, warnings=(unheard,) if request.environ.get(PROFILE_VARIABLE) else ())

    def look(self, _request: Request, holding: Holding, where: str) -> Look:
        """Check the values, and return what the place was found to be."""
        credentials = _credentials(holding.values, self.names, source=where)
        return Look(where, State.USABLE, "usable", credentials, None, credentials.region, holding.warnings)


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file, by its path from the home directory or from the root."""

    path: str
    names: Names
    pick: Callable[[str, str | None], Holding]
    path_variable: str = ""

    def where(self, request: Request) -> str:
        """Return its name."""
        named = request.environ.get(self.path_variable)
        if named:
            return f"{shown(named)} ({self.path_variable})"
        return shown(self.path) if self.path.startswith("/") else f"~/{self.path}"

    def wanted(self, request: Request) -> str:
        """Return why it must be this place, "" where any would do."""
        if request.environ.get(self.path_variable):
            return f"{self.path_variable} names it"
        asked = _profile_asked_for(request)
        return "" if asked is None or not self.path_variable else f"profile {asked!r} is asked for"

    def hold(self, request: Request) -> Holding:
        """Return its values; raise UnusableError where there are none."""
        path = self._path(request)
        text, mode = read_file(path)
        holding = self.pick(text, _profile_asked_for(request))
        if not (stat.S_ISREG(mode) and stat.S_IMODE(mode) & 0o077):
            return holding
        command = shlex.join(["chmod", "600", str(path)])
        warning = f"{self.where(request)} is open to others, mode {stat.S_IMODE(mode):o}: {command}"
        return holding._replace(warnings=(warning,))

    def look(self, request: Request, holding: Holding, where: str) -> Look:
        """Check the values, and return what the place was found to be."""
        if holding.mode:
            provider = profile_provider(holding.profile, holding.mode, self._path(request), source=where)
            given = holding.values.get(self.names.region)
            region = _text(self.names.region, given, region=True) if given else None
            return Look(where, State.USABLE, "usable", None, provider, region, holding.warnings)
        credentials = _credentials(holding.values, self.names, source=where)

        async def again() -> Credentials:
            return self._again(request, where)

        return Look(where, State.USABLE, "usable", credentials, again, credentials.region, holding.warnings)

    def _again(self, request: Request, where: str) -> Credentials:
        """Return what the file holds by now. Another profile than before might be another account's."""
        try:
            holding = self.hold(request)
            if holding.mode or self.where(request) + holding.part != where:
                broken("another profile has taken its place")
            return _credentials(holding.values, self.names, source=where)
        except UnusableError as error:
            raise CredentialsUnavailableError(f"credentials in {where}: {error.words}") from None

    def _path(self, request: Request) -> Path:
        return Path(request.environ.get(self.path_variable) or request.home / self.path)


def _profile_asked_for(request: Request) -> str | None:
    return request.profile if request.profile is not None else request.environ.get(PROFILE_VARIABLE) or None


#: The ``ve`` command's file.
PROFILE_PLACE: Final = FilePlace(
    ".volcengine/config.json",
    Names("access-key", "secret-key", "session-token", "region"),
    pick_profile,
    path_variable="VOLCENGINE_CLI_CONFIG_FILE",
)
#: The places, in the order in which they are tried.
PLACES: Final[tuple[EnvironmentPlace | FilePlace, ...]] = (
    EnvironmentPlace(
        Names("VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", "VOLCENGINE_SESSION_TOKEN", "VOLCENGINE_REGION")
    ),
    EnvironmentPlace(Names("VOLC_ACCESSKEY", "VOLC_SECRETKEY")),
    PROFILE_PLACE,
    FilePlace(".volc/credentials", Names("access_key_id", "secret_access_key"), pick_ini),
    FilePlace(".volc/config", Names("ak", "sk"), pick_object),
)


def _looks(request: Request) -> Iterator[Look]:
    for place in PLACES:
        yield look_at(place, request)


def look_at(place: EnvironmentPlace | FilePlace, request: Request) -> Look:
    """Return what one place holds."""
    where = place.where(request)
    try:
        holding = place.hold(request)
        where += holding.part
        return place.look(request, holding, where)
    except UnusableError as error:
        # Whoever names a file or a profile wants that one, whatever is wrong with it.
        if wanted := place.wanted(request):
            return Look(where, State.BROKEN, f"{error.words} ({wanted})")
        return Look(where, error.state, error.words)


def _credentials(values: Mapping[str, object], names: Names, *, source: str) -> Credentials:
    """Check the four values and return them as one; the message of what is wrong names them, and shows none."""
    given = {name: values[name] for name in names if name and values.get(name) not in (None, "")}
    pair = names[:2]
    secrets = [name for name in names[:3] if name in given]
    if not secrets:
        raise UnusableError(State.PASSED_OVER, f"{' and '.join(pair)} are missing or empty")
    if missing := [name for name in pair if name not in given]:
        broken(f"{' and '.join(secrets)} without {' and '.join(missing)}")
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
        broken(f"{name} is no string")
    if value != value.strip():
        broken(f"{name} begins or ends with white space, perhaps the end of a line")
    if not (REGION_PATTERN if region else _VISIBLE).fullmatch(value):
        broken(f"{name} holds a character that cannot stand in {'a region' if region else 'a header'}")
    return value
