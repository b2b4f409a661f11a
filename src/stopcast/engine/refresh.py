"""Credentials that expire: this fetches new ones before that, and when the API refuses the old ones.

The provider's word on when they expire decides when to ask, and nothing else: this machine's clock may be wrong. That
a key is dead is for the API to say, and calls go on until it does.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from stopcast.api.answers import Reply
from stopcast.api.signing import Signer
from stopcast.background import Supervisor
from stopcast.credentials.value import Credentials, CredentialsProvider, check_credentials
from stopcast.engine.account import Account
from stopcast.engine.decisions import refusal_error
from stopcast.engine.key import KeyState
from stopcast.engine.retry import RetryPolicy
from stopcast.errors import ConfigurationError, CredentialsUnavailableError, StopcastError
from stopcast.events import CredentialsRefreshed, CredentialsRefreshFailed, Event

#: New credentials are asked for when a quarter of the old ones' life is left, and not earlier than this.
_EARLIEST_SECONDS: Final = 300.0
_LATEST_SHARE: Final = 0.25
#: For a provider's one answer. The vendor's take half a minute for one of their tries.
_ANSWER_SECONDS: Final = 60.0
#: How long calls wait for new credentials once the old ones are refused; a shorter outage is ridden out.
_PATIENCE_SECONDS: Final = 60.0
#: The same credentials again are reported as a failure only when the old ones have no longer than this to live.
_SOON_SECONDS: Final = 30.0
_BACKOFF: Final = RetryPolicy(max_attempts=1_000_000_000, first_wait_seconds=1.0, longest_wait_seconds=10.0)


async def ask(provider: CredentialsProvider) -> Credentials:
    """Return what the provider gives.

    Raises:
        CredentialsUnavailableError: it raises, gives something else, or gives nothing for a minute. Its own words are
            not repeated, as they might hold a secret; they are in the error's ``__cause__``.
        StopcastError: as the provider raised it.
    """
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            credentials = await provider()
    except StopcastError:
        raise
    except TimeoutError as error:
        raise CredentialsUnavailableError("the credentials' provider does not answer") from error
    except asyncio.CancelledError as error:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise
        # Something that the provider waited for was cancelled. That is its failure, and does not end the caller.
        raise CredentialsUnavailableError("the credentials' provider was cancelled from within") from error
    except Exception as error:
        raise CredentialsUnavailableError(f"the credentials' provider raises {type(error).__name__}") from error
    if not isinstance(credentials, Credentials):
        # Its repr might show the secret.
        raise CredentialsUnavailableError(
            f"the credentials' provider gives {type(credentials).__name__}, not stopcast.Credentials"
        )
    try:
        check_credentials(credentials)
    except ConfigurationError as error:
        raise CredentialsUnavailableError(
            f"the credentials' provider gives some that cannot be sent: {error}"
        ) from error
    return credentials


class Refresher:
    """Fetches an account's next credentials, one try at a time. Used as an async context manager.

    Args:
        provider: gives new credentials.
        credentials: those that the account's key was made of.
        account: whose key it is.
        make_signer: makes a signer of new credentials.
        observe: is called with each event.
        on_failure: is called with what ends the calls: no other key is to be had, or the task that fetches failed.
    """

    def __init__(
        self,
        provider: CredentialsProvider,
        credentials: Credentials,
        account: Account,
        *,
        make_signer: Callable[[Credentials], Signer],
        observe: Callable[[Event], None],
        on_failure: Callable[[StopcastError], None],
    ) -> None:
        self._provider = provider
        self._account = account
        self._make_signer = make_signer
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure
        self._supervisor = Supervisor(on_failure)
        self._changed = asyncio.Event()
        self._refusal: Reply | None = None
        self._refused_at = 0.0
        self._credentials = credentials
        self._expires_at = self._due_at = math.inf
        self._compute_life()

    async def __aenter__(self) -> Self:
        self._supervisor.start(self._keep_fetching(), name="refresh of the credentials")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._supervisor.end()

    def refused(self, reply: Reply) -> None:
        """Fetch another key now, because the API refuses the present one."""
        self._refusal = reply
        self._refused_at = self._loop.time()
        self._changed.set()

    def retried(self) -> None:
        """Fetch keys again, because the dead key is tried again."""
        self._changed.set()

    def clock_corrected(self) -> None:
        """Compute anew when the credentials expire."""
        self._compute_life()
        self._changed.set()

    def _compute_life(self) -> None:
        """Turn the wall clock's time into the loop's, which is never set."""
        expires_at, now = self._credentials.expires_at, self._loop.time()
        if expires_at is None:
            self._expires_at = self._due_at = math.inf
            return
        life = self._life(expires_at)
        self._expires_at = now + life
        # Credentials that seem to have expired already may be good ones under a wrong clock.
        wait = max(life * (1 - _LATEST_SHARE), life - _EARLIEST_SECONDS) if life > 0 else _SOON_SECONDS
        self._due_at = now + max(wait, 1.0)

    def _life(self, expires_at: float) -> float:
        return expires_at - (time.time() + self._account.clock_offset)

    async def _keep_fetching(self) -> None:
        while True:
            if self._account.key.state is KeyState.DEAD:
                await self._pause(math.inf)
            elif self._refusal is None and (wait := self._due_at - self._loop.time()) > 0:
                await self._pause(wait)
            else:
                await self._refresh()

    async def _pause(self, seconds: float) -> None:
        """Wait, or until something has changed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                await self._changed.wait()
        self._changed.clear()

    async def _refresh(self) -> None:
        began, tries = self._loop.time(), 0
        while True:
            try:
                fresh = await ask(self._provider)
                self._take(fresh)
            except StopcastError as error:
                failure = error
            else:
                return
            tries += 1
            now = self._loop.time()
            if self._refusal is not None and self._is_hopeless(failure, now):
                self._give_up(self._refusal, failure)
                return
            wait = _BACKOFF.next_wait(attempts=tries, seconds=now - began, retry_after=None) or 0.0
            if not isinstance(failure, _NotNewError) or self._expires_at - now < _SOON_SECONDS:
                self._observe(CredentialsRefreshFailed(str(failure), wait))
            await self._pause(wait)

    def _give_up(self, refusal: Reply, failure: StopcastError) -> None:
        error = refusal_error(refusal, self._account.action, failure)
        error.__cause__ = failure
        self._refusal = None
        self._account.key.died(error)
        self._on_failure(error)

    def _is_hopeless(self, failure: StopcastError, now: float) -> bool:
        # A key that never worked is most likely just wrong, while one that did may be in the middle of its rotation.
        if isinstance(failure, _NotNewError) and not self._account.key.was_proven:
            return True
        return now - self._refused_at >= _PATIENCE_SECONDS

    def _take(self, fresh: Credentials) -> None:
        """Use new credentials from now on; raise where they would not help."""
        old = self._credentials
        if self._refusal is None:
            if fresh.expires_at is not None and self._life(fresh.expires_at) <= 0:
                raise _NotNewError("the credentials' provider gives credentials that have expired")
            if fresh.same_key(old) and (fresh.expires_at or math.inf) <= (old.expires_at or math.inf):
                raise _NotNewError("the credentials' provider gives the same credentials as before")
        elif fresh.same_key(old):
            raise _NotNewError("the credentials' provider gives the same credentials as before")
        if not fresh.same_key(old):
            self._account.key.renewed(self._make_signer(fresh))
        self._credentials = fresh
        self._compute_life()
        self._refusal = None
        self._observe(CredentialsRefreshed(fresh.source, fresh.expires_at))


class _NotNewError(StopcastError):
    """The provider's credentials are no better than the present ones."""
