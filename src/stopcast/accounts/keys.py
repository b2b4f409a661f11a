"""Reads the key of an account from the place that the accounts file names. No value is shown in a message."""

from __future__ import annotations

from pathlib import Path

from stopcast.accounts.file import AccountEntry
from stopcast.credentials.files import SourceState, pick_ini, pick_object, read_text
from stopcast.credentials.places import (
    PROFILE_PLACE,
    CredentialSource,
    EnvironmentPlace,
    FilePlace,
    Names,
    Search,
    read_source,
)
from stopcast.errors import ConfigurationError


def find_key(account: AccountEntry, search: Search) -> CredentialSource:
    """Return the place of the account's key, which can be used.

    Raises:
        ConfigurationError: it cannot be used.
    """
    source = read_key(account, search)
    if source.state is not SourceState.USABLE:
        raise ConfigurationError(f"account {account.name}: credentials in {source.place}: {source.description}")
    return source


def read_key(account: AccountEntry, search: Search) -> CredentialSource:
    """Return what the place of the account's key holds."""
    # Another variable that names a profile or a key belongs to another account.
    environ = {name: value for name, value in search.environ.items() if name != "VOLCENGINE_PROFILE"}
    place: EnvironmentPlace | FilePlace
    if account.environment is not None:
        parts = ("ACCESS_KEY", "SECRET_KEY", "SESSION_TOKEN", "REGION")
        place = EnvironmentPlace(Names(*(f"{account.environment}_{part}" for part in parts)))
    elif account.credentials_file is not None:
        place = _file(account.credentials_file.absolute())
    else:
        place = PROFILE_PLACE
        if account.config_file is not None:
            environ[place.path_variable] = str(account.config_file)
    return read_source(place, Search(environ, search.home, account.profile))


def _file(path: Path) -> FilePlace:
    try:
        is_object = read_text(path)[0].lstrip().startswith("{")
    except (OSError, ValueError):
        is_object = False  # read_source reports the error
    if is_object:
        return FilePlace(str(path), Names("ak", "sk"), pick_object)
    return FilePlace(str(path), Names("access_key_id", "secret_access_key", "session_token"), pick_ini)
