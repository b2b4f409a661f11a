"""The account's key, as a value that does not show its secret."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key with its secret.

    Attributes:
        access_key: the public half; it names the key.
        secret_key: the private half; never shown by ``repr``.
        session_token: with temporary credentials, sent as ``X-Security-Token``.
        region: the signing region that came with them, None to take the endpoint's.
        source: where they were found, in words.
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    region: str | None = None
    source: str = "given in the program"
