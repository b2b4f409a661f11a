"""Credentials whose ``repr`` does not show the secret, and the type of a function that provides them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from stopcast.errors import ConfigurationError

#: Characters at each end of an access key.
_SHOWN_OF_A_KEY: Final = 4


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key with its secret.

    Attributes:
        access_key: the public half, which identifies the key.
        secret_key: the private half; ``repr`` does not show it.
        session_token: the token of temporary credentials, sent as ``X-Security-Token``; ``repr`` does not show it.
        region: the signing region given with the key, or None for the endpoint's region.
        source: a description of the place where they were found.
        expires_at: the Unix time at which they expire, or None if they do not expire or the time is unknown.
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    region: str | None = None
    source: str = "given in the program"
    expires_at: float | None = None

    @property
    def shown_key(self) -> str:
        """The two ends of the access key, which identify it in logs; of a short key only the beginning."""
        key, shown = self.access_key, _SHOWN_OF_A_KEY
        return f"{key[: shown // 2]}…" if len(key) < 4 * shown else f"{key[:shown]}…{key[-shown:]}"

    def same_key(self, other: Credentials) -> bool:
        """Return whether both have the same key, secret and token. Source, region and expiry may differ."""
        return (self.access_key, self.secret_key, self.session_token) == (
            other.access_key,
            other.secret_key,
            other.session_token,
        )


#: An async function that returns the current credentials. It runs on the event loop and may take up to a minute.
CredentialsProvider = Callable[[], Awaitable[Credentials]]

#: The form of a region in a signature.
REGION_PATTERN: Final = re.compile(r"[a-zA-Z0-9-]{1,64}")
#: Keys and tokens stand in headers.
_VISIBLE: Final = re.compile(r"[!-~]+")
#: What a key was perhaps pasted with.
_WRAPPED: Final = frozenset("\"'`<>{}[]()")
#: How the vendor's access keys begin: those of an account or a user, and temporary ones.
_ACCESS_KEYS: Final = ("AKLT", "AKTP")


def check_value(name: str, value: object, *, region: bool = False) -> str:
    """Return a key, a secret, a token or a region that can be sent.

    Raises:
        ConfigurationError: it cannot be sent, or was copied with something around it. It is not shown.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} is not a string")
    if not value:
        raise ConfigurationError(f"{name} is empty")
    if value != value.strip():
        raise ConfigurationError(f"{name} begins or ends with white space, perhaps a line end")
    if value[0] in _WRAPPED or value[-1] in _WRAPPED:
        raise ConfigurationError(f"{name} is in quotes or brackets; write it without them")
    if region and not REGION_PATTERN.fullmatch(value):
        raise ConfigurationError(f"{name} holds a character that is not allowed in a region")
    if not _VISIBLE.fullmatch(value):
        raise ConfigurationError(f"{name} holds a character that is not allowed in a header")
    return value


def check_order(access_key: str, secret_key: str) -> None:
    """Refuse a key and a secret that were exchanged: the beginning of the access key is shown, and all of it is sent.

    Raises:
        ConfigurationError: the secret looks like an access key, and the access key does not.
    """
    if secret_key.startswith(_ACCESS_KEYS) and not access_key.startswith(_ACCESS_KEYS):
        raise ConfigurationError("the secret looks like an access key: the two are perhaps exchanged")


def check_credentials(credentials: Credentials) -> None:
    """Refuse credentials that cannot be sent.

    Raises:
        ConfigurationError: what is wrong with them. No value is shown.
    """
    check_value("access_key", credentials.access_key)
    check_value("secret_key", credentials.secret_key)
    check_order(credentials.access_key, credentials.secret_key)
    if credentials.session_token not in {None, ""}:
        check_value("session_token", credentials.session_token)
    if credentials.region not in {None, ""}:
        check_value("region", credentials.region, region=True)
    if not isinstance(credentials.expires_at, int | float | None):
        raise ConfigurationError("expires_at is neither seconds of Unix time nor None")
