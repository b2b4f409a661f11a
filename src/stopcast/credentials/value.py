"""The account's key as a value that never shows its secret, and the type of a function that returns one."""

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
        session_token: of temporary credentials; sent as ``X-Security-Token``, not shown by ``repr``.
        region: the signing region that came with them, None for the endpoint's.
        source: where they were found, in words.
        expires_at: Unix time at which they expire, None where they do not expire or the time is not known.
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    region: str | None = None
    source: str = "given in the program"
    expires_at: float | None = None

    def same_key(self, other: Credentials) -> bool:
        """Whether both sign alike. Source, region and expiry may differ."""
        return (self.access_key, self.secret_key, self.session_token) == (
            other.access_key,
            other.secret_key,
            other.session_token,
        )


#: Returns the current credentials. It is called on the event loop and may take a minute.
CredentialsProvider = Callable[[], Awaitable[Credentials]]

#: The form of a region in a signature.
REGION_PATTERN: Final = re.compile(r"[a-zA-Z0-9-]{1,64}")
