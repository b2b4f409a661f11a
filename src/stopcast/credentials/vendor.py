"""The vendor's own credential providers as a ``stopcast.CredentialsProvider``. They need the extra ``volc``.

    Stopper(credentials=VolcProvider(lambda: StsOidcCredentialProvider()))

Source of the facts: ``volcenginesdkcore.auth.providers`` of ``volcenginesdk-core`` 5.0.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

from stopcast.credentials.value import Credentials
from stopcast.errors import CredentialsUnavailableError
from stopcast.threads import in_thread

#: The modes of a profile for which the vendor has a provider. AK needs none.
MODES: Final = frozenset({"ramrolearn", "oidc", "ecsrole", "sso", "console-login"})
#: The modes whose provider holds a refresh token for one use only, so that one provider has to be kept.
_KEPT: Final = frozenset({"sso", "console-login"})
#: The providers return no credentials that expire sooner than this.
_LEAST_LIFE_SECONDS: Final = 60.0
_MESSAGE_LIMIT: Final = 300


class VendorProvider(Protocol):
    """What stopcast uses of the vendor's providers."""

    def get_credentials(self) -> Any:
        """Return a value with ``ak``, ``sk`` and ``session_token``. May block for a minute."""


class VolcProvider:
    """Calls one of the vendor's providers in a thread. It is a ``stopcast.CredentialsProvider``.

    Args:
        make: makes the vendor's provider. It is called for each request for credentials, because a provider that is
            kept returns the same ones until shortly before they expire, even after the API has refused them.
        source: where the credentials come from, in words.
    """

    def __init__(self, make: Callable[[], VendorProvider], *, source: str = "the vendor's provider") -> None:
        self._make = make
        self._source = source

    async def __call__(self) -> Credentials:
        """Return the provider's credentials, with their expiry where the provider has one.

        Raises:
            CredentialsUnavailableError: the provider raised; the message is its own.
        """
        # asyncio waits for its own threads at the end, a minute here.
        return await in_thread(self._ask, name="credentials")

    def _ask(self) -> Credentials:
        asked_at = time.time()
        try:
            provider = self._make()
            value = provider.get_credentials()
        except Exception as error:  # noqa: BLE001 - the vendor's providers raise many types
            # After "raw=" follows the whole of an answer that could not be read.
            message = " ".join(str(error).partition("raw=")[0].split())[:_MESSAGE_LIMIT]
            raise CredentialsUnavailableError(f"{self._source}: {message or type(error).__name__}") from None
        return Credentials(
            access_key=value.ak,
            secret_key=value.sk,
            session_token=value.session_token or None,
            source=self._source,
            expires_at=_expiry(provider, asked_at),
        )


def profile_provider(name: str, mode: str, path: Path, *, source: str) -> VolcProvider:
    """Return the provider for a profile of the ``ve`` command's file whose mode is one of ``MODES``."""

    def make() -> VendorProvider:
        from volcenginesdkcore.auth.providers import CLIConfigCredentialProvider  # noqa: PLC0415 - takes 0.1 s

        provider: VendorProvider = CLIConfigCredentialProvider(profile_name=name, config_path=str(path))
        return provider

    return VolcProvider(cache(make) if mode in _KEPT else make, source=source)


def installed() -> bool:
    """Whether the extra ``volc`` is there."""
    return find_spec("volcenginesdkcore") is not None


def _expiry(provider: object, asked_at: float) -> float:
    """Return when the credentials expire. Providers keep it under different names; without any, assume the least."""
    provider = getattr(provider, "_delegate", None) or provider
    for name in ("expired_time", "_expired_time", "_expiration"):
        if isinstance(expiry := getattr(provider, name, None), int | float):
            return float(expiry)
    return asked_at + _LEAST_LIFE_SECONDS
