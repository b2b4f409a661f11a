"""Credentials that expire: new ones are asked for before that, or when the API refuses the old ones.

The provider's word on when they expire decides when to ask, and nothing else: this machine's clock may be wrong. That
a key is dead is for the API to say, and calls go on until it does.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from stopcast.api.answers import Reply
from stopcast.api.signing import Signer
from stopcast.credentials.value import Credentials, CredentialsProvider
from stopcast.engine.call import Caller, Key
from stopcast.engine.guard import Guard
from stopcast.engine.retry import RetryPolicy
from stopcast.errors import CredentialsUnavailableError, StopcastError
from stopcast.events import CredentialsRefreshed, CredentialsRefreshFailed, CredentialsRefused, Event

#: New credentials are asked for when a quarter of the old ones' life is left, and not earlier than this.
_EARLIEST_SECONDS: Final = 300.0
_LATEST_SHARE: Final = 0.25
#: For a provider's one answer. The vendor's take half a minute for a try of theirs.
_ANSWER_SECONDS: Final = 60.0
#: How long calls wait for new credentials once the old ones are refused; a shorter outage is ridden out.
_PATIENCE_SECONDS: Final = 60.0
#: The same credentials anew are told as a failure only when the old ones have no longer than this to live.
_SOON_SECONDS: Final = 30.0
#: Keys and tokens stand in headers.
_VISIBLE: Final = re.compile(r"[!-~]+")
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
    except Exception as error:
        raise CredentialsUnavailableError(f"the credentials' provider raises {type(error).__name__}") from error
    if not isinstance(credentials, Credentials):
        # Its repr might show the secret.
        raise CredentialsUnavailableError(
            f"the credentials' provider gives {type(credentials).__name__}, not stopcast.Credentials"
        )
    if not isinstance(credentials.expires_at, int | float | None):
        raise CredentialsUnavailableError("the credentials' expires_at is neither seconds of Unix time nor None")
    for name in ("access_key", "secret_key", "session_token"):
        value = getattr(credentials, name)
        if not (isinstance(value, str) and _VISIBLE.fullmatch(value)) and not (name == "session_token" and not value):
            raise CredentialsUnavailableError(f"the provider's credentials have no {name} that can be sent")
    return credentials


class Refresher:
    """Replaces a caller's key: before its credentials expire, and once the API has refused it. One try at a time.

    Used as an async context manager.

    Args:
        provider: gives new credentials.
        credentials: those that the caller's key was made of.
        caller: whose key it is.
        make_signer: makes a signer of new credentials.
        guard: remembers what of it the API has accepted.
        tell: is told what happens.
    """

    def __init__(
        self,
        provider: CredentialsProvider,
        credentials: Credentials,
        caller: Caller,
        *,
        make_signer: Callable[[Credentials], Signer],
        guard: Guard,
        tell: Callable[[Event], None],
    ) -> None:
        self._provider = provider
        self._caller = caller
        self._make_signer = make_signer
        self._guard = guard
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._stirred = asyncio.Event()
        self._renewed = asyncio.Event()
        self._refusal: Reply | None = None
        self._refused_at = 0.0
        self._error: StopcastError | None = None
        self._task: asyncio.Task[None] | None = None
        self._credentials = credentials
        self._learn_life()
        caller.renewed = self.renewed

    async def __aenter__(self) -> Self:
        self._task = self._loop.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def refused(self, reply: Reply) -> None:
        """Take note that the API refuses the key: no call goes out until there is another one."""
        self._caller.key.refused = True
        self._refusal = reply
        self._refused_at = self._loop.time()
        self._renewed.clear()
        self._stirred.set()
        self._tell(CredentialsRefused(reply.code))

    async def renewed(self) -> None:
        """Return when a key that was refused has been replaced; raise the StopcastError if it cannot be."""
        await self._renewed.wait()
        if self._error is not None:
            raise self._error

    def clock_corrected(self) -> None:
        """Reckon anew when the credentials expire."""
        self._learn_life()
        self._stirred.set()

    def _learn_life(self) -> None:
        """Turn the wall clock's time into the loop's, which nobody sets."""
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
        return expires_at - (time.time() + self._caller.clock_offset)

    async def _keep(self) -> None:
        while self._error is None:
            while self._refusal is None and (wait := self._due_at - self._loop.time()) > 0:
                await self._pause(wait)
            await self._refresh()

    async def _pause(self, seconds: float) -> None:
        """Wait, or until something has changed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                await self._stirred.wait()
        self._stirred.clear()

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
            if self._refusal is not None and self._hopeless(failure, now):
                self._give_up(self._refusal, failure)
                return
            wait = _BACKOFF.next_wait(attempts=tries, seconds=now - began, retry_after=None) or 0.0
            if not isinstance(failure, _NotNewError) or self._expires_at - now < _SOON_SECONDS:
                self._tell(CredentialsRefreshFailed(str(failure), wait))
            await self._pause(wait)

    def _hopeless(self, failure: StopcastError, now: float) -> bool:
        # A key that never worked is most likely just wrong, while one that did may be in the middle of its rotation.
        if isinstance(failure, _NotNewError) and not self._guard.key_proven:
            return True
        return now - self._refused_at >= _PATIENCE_SECONDS

    def _take(self, fresh: Credentials) -> None:
        """Use new credentials from now on; raise where they are none that would help."""
        old = self._credentials
        if self._refusal is None:
            if fresh.expires_at is not None and self._life(fresh.expires_at) <= 0:
                raise _NotNewError("the credentials' provider gives credentials that have expired")
            if fresh.same_key(old) and (fresh.expires_at or math.inf) <= (old.expires_at or math.inf):
                raise _NotNewError("the credentials' provider gives the same credentials as before")
        elif fresh.same_key(old):
            raise _NotNewError("the credentials' provider gives the same credentials as before")
        if not fresh.same_key(old):
            self._caller.key = Key(self._make_signer(fresh))
        self._credentials = fresh
        self._learn_life()
        if self._refusal is not None:
            self._refusal = None
            self._guard.key_replaced()
            self._renewed.set()
        self._tell(CredentialsRefreshed(fresh.source, fresh.expires_at))

    def _give_up(self, refusal: Reply, failure: StopcastError) -> None:
        self._error = self._guard.refused(refusal, f"No other credentials were to be had: {failure}. ")
        self._error.__cause__ = failure
        self._renewed.set()


class _NotNewError(StopcastError):
    """The provider's credentials are no better than those there are."""
