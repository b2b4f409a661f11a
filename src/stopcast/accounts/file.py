"""The accounts file: which AppIds belong to which account, and where that account's credentials are to be found.

    [accounts.team-a]
    apps = ["64a1b2c3d4e5f60123456789", "live-*"]
    profile = "team-a"

No secret stands in it: a file that maps names is passed around, kept in version control and pasted into tickets.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stopcast.accounts.routes import Routes, merge_routes
from stopcast.checks import is_finite, is_number
from stopcast.credentials.files import read_text
from stopcast.errors import ConfigurationError

_SOURCES: Final = ("profile", "environment", "credentials_file")
_TEXTS: Final = (*_SOURCES, "config_file", "endpoint", "region")
_KEYS: Final = frozenset({"apps", "max_per_second", *_TEXTS})
#: What people call a secret, without regard to case, hyphens and underscores.
_SECRETS: Final = re.compile(r"(access|secret)key(id)?|secretaccesskey|[as]k|(session|security)?token|password|secret")
_PREFIX: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLACE: Final = re.compile(r"\(at [^()]*\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEntry:
    """One account of the file. Of ``profile``, ``environment`` and ``credentials_file`` exactly one is given.

    Attributes:
        name: what it is called here.
        apps: its AppIds, and patterns of them.
        profile: of the ``ve`` command's file.
        config_file: that file, where it is not the usual one.
        environment: what the names of the variables begin with: TEAM_A stands for TEAM_A_ACCESS_KEY,
            TEAM_A_SECRET_KEY, TEAM_A_SESSION_TOKEN and TEAM_A_REGION.
        credentials_file: in the form of ``~/.volc/credentials`` or ``~/.volc/config``.
        endpoint: where its calls go, if not where the others' do.
        region: the region that its signatures name.
        max_per_second: its cap, if not that of the others.
    """

    name: str
    apps: tuple[str, ...]
    profile: str | None = None
    config_file: Path | None = None
    environment: str | None = None
    credentials_file: Path | None = None
    endpoint: str | None = None
    region: str | None = None
    max_per_second: float | None = None


def parse_accounts(text: str, *, directory: Path) -> tuple[list[AccountEntry], dict[str, str]]:
    """Return the accounts of a file, and the account's name by AppId or pattern.

    Args:
        text: the file's.
        directory: the folder from which relative paths start.

    Raises:
        ConfigurationError: it cannot be used as it is. No value is shown: a secret may have got among them.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        raise ConfigurationError(f"not TOML {place[0] if place else ''}".rstrip()) from None
    _refuse_secrets(content, "")
    tables = content.pop("accounts", None)
    if content:
        raise ConfigurationError(f"{next(iter(content))} is not known here; an account begins with [accounts.NAME]")
    if not isinstance(tables, dict) or not tables:
        raise ConfigurationError("it names no account; an account begins with [accounts.NAME]")
    accounts = [_account(name, table, directory) for name, table in tables.items()]
    routes = merge_routes({account.name: account.apps for account in accounts})
    Routes(routes)
    return accounts, routes


def _refuse_secrets(table: dict[str, Any], where: str) -> None:
    for key, value in table.items():
        if isinstance(value, dict):
            _refuse_secrets(value, f"{where}{key}.")
        elif _SECRETS.fullmatch(re.sub(r"[-_\s]", "", key.lower())):
            raise ConfigurationError(
                f"{where}{key}: a key does not belong in this file, which only says where to find it. Put it into a "
                f"profile of ~/.volcengine/config.json and write profile = NAME, or into a file of its own that "
                f"no other user may read and write credentials_file = PATH, or into variables of the environment and "
                f"write environment = PREFIX. If this file has been anywhere else, that key is no secret any more: "
                f"change it"
            )


def _account(name: str, table: Any, directory: Path) -> AccountEntry:
    if not _NAME.fullmatch(name) or not isinstance(table, dict):
        raise ConfigurationError("an account begins with [accounts.NAME], the name in letters, digits, - and _")
    if unknown := sorted(table.keys() - _KEYS):
        raise ConfigurationError(f"account {name}: {unknown[0]} is not known; there are {', '.join(sorted(_KEYS))}")
    given = {key: table[key] for key in _TEXTS if key in table}
    for key, value in given.items():
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"account {name}: {key} is to be a text")
    if len(sources := [key for key in _SOURCES if key in given]) != 1:
        expected, found = ", ".join(_SOURCES), ", ".join(sources)
        if not found:
            raise ConfigurationError(f"account {name}: expected one of {expected}; there is none")
        raise ConfigurationError(f"account {name}: expected only one of {expected}; there are {found}")
    if "config_file" in given and "profile" not in given:
        raise ConfigurationError(f"account {name}: config_file goes with profile")
    if not _PREFIX.fullmatch(given.get("environment", "A")):
        raise ConfigurationError(f"account {name}: environment is what the variables' names begin with, such as TEAM_A")
    return AccountEntry(
        name=name,
        apps=_apps(table, name),
        profile=given.get("profile"),
        config_file=_path(given.get("config_file"), directory),
        environment=given.get("environment"),
        credentials_file=_path(given.get("credentials_file"), directory),
        endpoint=given.get("endpoint"),
        region=given.get("region"),
        max_per_second=_rate(table, name),
    )


def _apps(table: dict[str, Any], name: str) -> tuple[str, ...]:
    apps = table.get("apps")
    if not isinstance(apps, list) or not apps or not all(isinstance(app, str) for app in apps):
        raise ConfigurationError(
            f"account {name}: apps is to be a list of AppIds and patterns, such as ['app-1', 'live-*']"
        )
    return tuple(apps)


def _rate(table: dict[str, Any], name: str) -> float | None:
    rate = table.get("max_per_second")
    if rate is None:
        return None
    if not is_number(rate) or not is_finite(rate) or rate <= 0:
        raise ConfigurationError(f"account {name}: max_per_second is to be a number above 0")
    return float(rate)


def _path(value: str | None, directory: Path) -> Path | None:
    try:
        return None if value is None else directory / Path(value).expanduser()
    except RuntimeError:
        raise ConfigurationError(f"{value}: this user has no home directory that ~ could stand for") from None


def read_accounts(path: str) -> tuple[list[AccountEntry], dict[str, str]]:
    """Return the accounts of the file, and the account's name by AppId or pattern.

    Raises:
        ConfigurationError: it cannot be read, or not be used as it is.
    """
    if path == "-":
        raise ConfigurationError("--accounts -: standard input is for lists. Name a file; one that is called - is ./-")
    try:
        return parse_accounts(read_text(Path(path))[0], directory=Path(path).parent)
    except OSError as error:
        raise ConfigurationError(f"--accounts {path}: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"--accounts {path}: not UTF-8") from None
    except RecursionError:
        raise ConfigurationError(f"--accounts {path}: nested too deeply") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"--accounts {path}: {error}") from None
