"""The places where people already keep their key, and what is wrong with each.

No message holds any part of a value.

Names and places: the vendor's ``volcenginesdk-core`` and ``ve`` command (new), ``volcengine`` (older).
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from stopcast.credentials.files import (
    PROFILE_VARIABLE,
    SourceState,
    SourceValues,
    UnusableError,
    pick_ini,
    pick_object,
    pick_profile,
    raise_broken,
    read_file,
)
from stopcast.credentials.value import Credentials, CredentialsProvider, check_order, check_value
from stopcast.credentials.vendor import profile_provider
from stopcast.errors import ConfigurationError, CredentialsUnavailableError
from stopcast.i18n import visible
from stopcast.marking import N_
from stopcast.threads import in_thread


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """What one place holds.

    Attributes:
        place: its name, such as ``~/.volcengine/config.json, profile default``.
        state: whether it can be used.
        description: the state in words, without any part of a value.
        credentials: the values that the place holds.
        provider: returns the credentials anew, where the place is a file or a login of the vendor's. A usable place has
            credentials, a provider, or both.
        region: for signatures, where the place holds one.
        warnings: what should be fixed although the place can be used.
    """

    place: str
    state: SourceState = SourceState.USABLE
    description: str = N_("usable")
    credentials: Credentials | None = None
    provider: CredentialsProvider | None = None
    region: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def for_stopper(self) -> Credentials | CredentialsProvider:
        """What to give a Stopper: the provider, or the credentials where there is none. Only for a usable place."""
        either = self.provider or self.credentials
        assert either is not None, "only a usable place has credentials"  # noqa: S101 - a programmer's slip
        return either


class Search(NamedTuple):
    """Where to search for a key.

    Attributes:
        environ: the environment's variables.
        home: the directory that ``~`` stands for, None where there is none.
        profile: the profile that an accounts file names, None for none.
    """

    environ: Mapping[str, str]
    home: Path | None
    profile: str | None = None

    @classmethod
    def here(cls) -> Search:
        """Return the search in this process's environment and its user's home directory."""
        try:
            return cls(os.environ, Path.home())
        except RuntimeError:
            # Neither HOME nor the user database has one, as in a container.
            return cls(os.environ, None)


class Names(NamedTuple):
    """The names of the four values in one place; "" for a value that the place does not have."""

    access_key: str
    secret_key: str
    session_token: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class EnvironmentPlace:
    """Variables of the environment."""

    names: Names

    def name(self, _search: Search) -> str:
        """Return the place's name."""
        return N_("environment {variable}").format(variable=self.names.access_key)

    def required_because(self, _search: Search) -> str:
        """Return why no other place may be used instead, "" where any other may be."""
        return ""

    def read(self, search: Search) -> SourceValues:
        """Return the values; raise UnusableError where there are none."""
        if search.environ.keys().isdisjoint(self.names[:3]):
            raise UnusableError(SourceState.ABSENT, "not set")
        ignored = f"{PROFILE_VARIABLE} is ignored, because {self.names.access_key} is set too and comes first"
        return SourceValues(search.environ, warnings=(ignored,) if search.environ.get(PROFILE_VARIABLE) else ())

    def check(self, _search: Search, values: SourceValues, place: str) -> CredentialSource:
        """Check the values and return the usable source; raise UnusableError where they cannot be used."""
        credentials = _credentials(values.by_name, self.names, source=place)
        return CredentialSource(place, credentials=credentials, region=credentials.region, warnings=values.warnings)


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file. Its path is relative to the home directory, or absolute."""

    path: str
    names: Names
    pick: Callable[[str, str | None], SourceValues]
    path_variable: str = ""

    def name(self, search: Search) -> str:
        """Return the place's name."""
        path = search.environ.get(self.path_variable)
        if path:
            return f"{visible(path)} ({self.path_variable})"
        return visible(self.path) if self.path.startswith("/") else f"~/{self.path}"

    def required_because(self, search: Search) -> str:
        """Return why no other place may be used instead, "" where any other may be."""
        if search.environ.get(self.path_variable):
            return f"{self.path_variable} names it"
        asked = _profile_asked_for(search)
        return "" if asked is None or not self.path_variable else f"profile {asked!r} is asked for"

    def read(self, search: Search) -> SourceValues:
        """Return the values; raise UnusableError where there are none."""
        path = self._path(search)
        text, mode = read_file(path)
        values = self.pick(text, _profile_asked_for(search))
        if not (stat.S_ISREG(mode) and stat.S_IMODE(mode) & 0o077):
            return values
        command = shlex.join(["chmod", "600", str(path)])
        warning = f"{self.name(search)} can be read by other users, mode {stat.S_IMODE(mode):o}: {command}"
        return values._replace(warnings=(warning,))

    def check(self, search: Search, values: SourceValues, place: str) -> CredentialSource:
        """Check the values and return the usable source; raise UnusableError where they cannot be used."""
        if values.mode:
            provider = profile_provider(values.profile, values.mode, self._path(search), source=place)
            value = values.by_name.get(self.names.region)
            region = _text(self.names.region, value, region=True) if value else None
            return CredentialSource(place, provider=provider, region=region, warnings=values.warnings)
        credentials = _credentials(values.by_name, self.names, source=place)

        async def read_again() -> Credentials:
            # In a thread, because the file may be on a disk that hangs, and calls go on meanwhile.
            return await in_thread(partial(self._read_again, search, place), name="credentials")

        return CredentialSource(
            place,
            credentials=credentials,
            provider=read_again,
            region=credentials.region,
            warnings=values.warnings,
        )

    def _read_again(self, search: Search, place: str) -> Credentials:
        """Return what the file holds now. A profile other than before may belong to another account."""
        try:
            values = self.read(search)
            if values.mode or self.name(search) + values.part != place:
                raise_broken("another profile has taken its place")
            return _credentials(values.by_name, self.names, source=place)
        except UnusableError as error:
            raise CredentialsUnavailableError(f"credentials in {place}: {error.reason}") from None

    def _path(self, search: Search) -> Path:
        if path := search.environ.get(self.path_variable):
            return Path(path)
        if search.home is None and not self.path.startswith("/"):
            raise UnusableError(SourceState.ABSENT, "there is no home directory, and HOME is not set")
        return (search.home or Path("/")) / self.path


def _profile_asked_for(search: Search) -> str | None:
    return search.profile if search.profile is not None else search.environ.get(PROFILE_VARIABLE) or None


#: The ``ve`` command's file.
PROFILE_PLACE: Final = FilePlace(
    ".volcengine/config.json",
    Names("access-key", "secret-key", "session-token", "region"),
    pick_profile,
    path_variable="VOLCENGINE_CLI_CONFIG_FILE",
)
#: The places, in the order of the search.
PLACES: Final[tuple[EnvironmentPlace | FilePlace, ...]] = (
    EnvironmentPlace(
        Names("VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", "VOLCENGINE_SESSION_TOKEN", "VOLCENGINE_REGION")
    ),
    EnvironmentPlace(Names("VOLC_ACCESSKEY", "VOLC_SECRETKEY")),
    PROFILE_PLACE,
    FilePlace(".volc/credentials", Names("access_key_id", "secret_access_key"), pick_ini),
    FilePlace(".volc/config", Names("ak", "sk"), pick_object),
)


def read_source(place: EnvironmentPlace | FilePlace, search: Search) -> CredentialSource:
    """Return what one place holds."""
    name = place.name(search)
    try:
        values = place.read(search)
        name += values.part
        return place.check(search, values, name)
    except UnusableError as error:
        # A user who names a file or a profile wants that one, whatever is wrong with it.
        if reason := place.required_because(search):
            return CredentialSource(name, SourceState.BROKEN, f"{error.reason} ({reason})")
        return CredentialSource(name, error.state, error.reason)


def _credentials(values: Mapping[str, object], names: Names, *, source: str) -> Credentials:
    """Check the four values and return them as credentials. An error's message names them and shows none."""
    given = {name: values[name] for name in names if name and values.get(name) not in (None, "")}
    pair = names[:2]
    secrets = [name for name in names[:3] if name in given]
    if not secrets:
        raise UnusableError(SourceState.SKIPPED, f"{' and '.join(pair)} are missing or empty")
    if missing := [name for name in pair if name not in given]:
        raise_broken(f"{' and '.join(secrets)} without {' and '.join(missing)}")
    checked = {name: _text(name, value, region=name == names.region) for name, value in given.items()}
    try:
        check_order(checked[names.access_key], checked[names.secret_key])
    except ConfigurationError as error:
        raise_broken(str(error))
    return Credentials(
        access_key=checked[names.access_key],
        secret_key=checked[names.secret_key],
        session_token=checked.get(names.session_token),
        region=checked.get(names.region),
        source=source,
    )


def _text(name: str, value: object, *, region: bool) -> str:
    try:
        return check_value(name, value, region=region)
    except ConfigurationError as error:
        raise_broken(str(error))
