"""The account's key, as a value that does not show its secret, and what gives one."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key with its secret.

    Attributes:
        access_key: the public half; it names the key.
        secret_key: the private half; never shown by ``repr``.
        session_token: with temporary credentials, sent as ``X-Security-Token``.
        region: the signing region that came with them, None to take the endpoint's.
        source: where they were found, in words.
        expires_at: Unix time, in seconds, at which they expire; None where they do not, or nobody knows.
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    region: str | None = None
    source: str = "given in the program"
    expires_at: float | None = None

    def same_key(self, other: Credentials) -> bool:
        """Whether both sign alike, whatever else is told of them."""
        return (self.access_key, self.secret_key, self.session_token) == (
            other.access_key,
            other.secret_key,
            other.session_token,
        )


#: Gives the credentials of the moment, each time anew. It is called on the event loop and may take its time.
CredentialsProvider = Callable[[], Awaitable[Credentials]]


#: What a signature can name as a region.
REGION_PATTERN: Final = re.compile(r"[a-zA-Z0-9-]{1,64}")
