"""Credentials whose ``repr`` does not show the secret, and the type of a function that provides them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final


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
