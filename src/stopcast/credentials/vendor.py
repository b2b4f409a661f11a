"""The vendor's own credential providers, as credentials that refresh. They come with the extra ``volc``.

    Stopper(credentials=VolcProvider(lambda: StsOidcCredentialProvider()))

Source of the facts: ``volcenginesdkcore.auth.providers`` of ``volcenginesdk-core`` 5.0.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from stopcast.credentials.value import Credentials
from stopcast.errors import CredentialsUnavailableError

T = TypeVar("T")

#: The modes of a profile that the vendor's providers know, beside AK.
MODES: Final = frozenset({"ramrolearn", "oidc", "ecsrole", "sso", "console-login"})
#: Those whose provider holds a refresh token that is good for one use: a second provider would find it used up.
_WITH_MEMORY: Final = frozenset({"sso", "console-login"})
#: The providers hand nothing out that has less than this to live.
_LEAST_LIFE_SECONDS: Final = 60.0
_WORDS_LIMIT: Final = 300


class VendorProvider(Protocol):
    """What stopcast asks of the vendor's providers."""

    def get_credentials(self) -> Any:
        """Return a value with ``ak``, ``sk`` and ``session_token``. It may block for a minute."""


class VolcProvider:
    """Asks one of the vendor's providers, in a thread. Fills ``stopcast.CredentialsProvider``.

    Args:
        make: makes the vendor's provider. It is called each time that credentials are asked for, because a provider
            that is kept gives the same ones until they are about to expire, even when they are refused.
        source: where the credentials come from, in words.
    """

    def __init__(self, make: Callable[[], VendorProvider], *, source: str = "the vendor's provider") -> None:
        self._make = make
        self._source = source

    async def __call__(self) -> Credentials:
        """Return the provider's credentials, with their expiry as far as it tells.

        Raises:
            CredentialsUnavailableError: the provider cannot give any, and says why.
        """
        return await _in_thread(self._ask)

    def _ask(self) -> Credentials:
        asked_at = time.time()
        try:
            provider = self._make()
            value = provider.get_credentials()
        except Exception as error:  # noqa: BLE001 - the vendor's providers raise what they like
            # Where an answer could not be read, the whole of it follows.
            words = " ".join(str(error).partition("raw=")[0].split())[:_WORDS_LIMIT]
            raise CredentialsUnavailableError(f"{self._source}: {words or type(error).__name__}") from None
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

    return VolcProvider(cache(make) if mode in _WITH_MEMORY else make, source=source)


def installed() -> bool:
    """Whether the extra ``volc`` is there."""
    return find_spec("volcenginesdkcore") is not None


def _expiry(provider: object, asked_at: float) -> float:
    """Return when what the provider gave expires. There is no common name for that; where there is none, the least."""
    provider = getattr(provider, "_delegate", None) or provider
    for name in ("expired_time", "_expired_time", "_expiration"):
        if isinstance(told := getattr(provider, name, None), int | float):
            return float(told)
    return asked_at + _LEAST_LIFE_SECONDS


async def _in_thread(function: Callable[[], T]) -> T:
    """Run a function that blocks in a thread that nobody waits for in the end, as asyncio's own are waited for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except Exception as caught:  # noqa: BLE001 - it is raised where the result is awaited
            error = caught
        # The loop may have been closed meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="stopcast-credentials", daemon=True).start()
    return await future
