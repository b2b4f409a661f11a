"""The parts of the engine put together for one account, from the moment a Stopper is entered until it is left."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, Self

from stopcast.api.actions import Action
from stopcast.api.endpoint import Endpoint
from stopcast.api.signing import Signer
from stopcast.background import check_loop
from stopcast.credentials.value import Credentials, CredentialsProvider
from stopcast.engine.account import Account
from stopcast.engine.attempts import Attempts
from stopcast.engine.call import Caller
from stopcast.engine.dispatch import Dispatcher
from stopcast.engine.halting import Failures, HaltAfter
from stopcast.engine.key import Key, KeyState
from stopcast.engine.refresh import Refresher
from stopcast.engine.retry import RetryPolicy
from stopcast.engine.workers import CallBounds
from stopcast.engine.working_time import WorkingTime
from stopcast.errors import ORDERED_ENDS, CredentialsRefusedError, StopcastError
from stopcast.events import CallsEnded, Event, QuotaFound, QuotaLost
from stopcast.limiters import Unlimited
from stopcast.limiters.rolling_window import RollingWindow
from stopcast.logs import Observers
from stopcast.ports import Limiter, Transport
from stopcast.stopper.state import StopperState

#: Calls that connect or wait for their permit, at most, and for how long. At the cap they bridge slow handshakes.
_MAX_UNSENT: Final = 64
_UNSENT_SECONDS: Final = 0.5
#: Seconds between two new connections: many handshakes at once make calls late, which matters where there is a cap.
_STAGGER_SECONDS: Final = 0.008
_QUOTA_AWAY: Final = "the shared quota is away"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """What calls of one account have in common."""

    action: Action
    endpoint: Endpoint
    limiter: Limiter
    meter: RollingWindow
    retry: RetryPolicy
    timeout_seconds: float
    max_at_once: int
    max_waiting: int
    halt_after: HaltAfter | None
    deduplicate: bool
    retry_key_after_seconds: float | None


class Engine:
    """Makes one account's calls. Used as an async context manager.

    Args:
        settings: what the calls have in common.
        transport: carries the requests.
        credentials: the first ones.
        provider: gives the next ones, None where there are none.
        observers: are notified of each event.

    Attributes:
        dispatcher: makes the attempts.
    """

    def __init__(
        self,
        settings: CallSettings,
        transport: Transport,
        credentials: Credentials,
        provider: CredentialsProvider | None,
        observers: Observers,
    ) -> None:
        self._settings = settings
        self._observers = observers
        action = settings.action
        self._working_time = WorkingTime()
        self._most_unsent = min(_MAX_UNSENT, settings.max_at_once)
        self._key = Key(self._signer(credentials), renewable=provider is not None)
        account = Account(self._key, action=action.name)
        self._trial: asyncio.TimerHandle | None = None
        self._refresher = None if provider is None else self._make_refresher(provider, credentials, account)
        caller = Caller(
            transport,
            action,
            settings.endpoint.query,
            account=account,
            limiter=settings.limiter,
            meter=settings.meter,
        )
        self._attempts = Attempts(caller, settings.retry, working_time=self._working_time, refresher=self._refresher)
        self.dispatcher: Final = Dispatcher(
            self._attempts,
            working_time=self._working_time,
            bounds=CallBounds(
                timeout_seconds=settings.timeout_seconds,
                max_at_once=settings.max_at_once,
                stagger_seconds=0.0 if isinstance(settings.limiter, Unlimited) else _STAGGER_SECONDS,
            ),
            may_begin=self._may_begin,
            max_waiting=settings.max_waiting,
            failures=None if settings.halt_after is None else Failures(settings.halt_after),
            observers=observers,
            deduplicate=settings.deduplicate,
        )
        caller.when_admitted(self.dispatcher.on_admitted)
        self.dispatcher.when_ended(self._on_ended)
        self._stack = AsyncExitStack()
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Self:
        if self._refresher is not None:
            await self._stack.enter_async_context(self._refresher)
        self.report_rate()
        self._stack.callback(self._settings.limiter.subscribe(self._on_limiter_event))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._cancel_trial()
        await self._stack.aclose()

    @property
    def error(self) -> StopcastError | None:
        """What ended the calls for good, None while they are made or where their end was asked for."""
        error = self.dispatcher.error
        if error is None:
            return self._key.error
        return None if isinstance(error, ORDERED_ENDS) else error

    @property
    def state(self) -> StopperState:
        """Whether calls are made."""
        if self.dispatcher.error is not None:
            return StopperState.DRAINING if self.error is None else StopperState.ENDED
        if self.dispatcher.paused:
            return StopperState.PAUSED
        return StopperState.ON_TRIAL if self._key.state is KeyState.ON_TRIAL else StopperState.RUNNING

    def retry_key(self) -> bool:
        """Try a key again that was refused for good, and return whether there was one.

        Raises:
            ClosedError: on another event loop than the block's.
        """
        check_loop(self._loop)
        if not self.dispatcher.may_reopen:
            return False
        self._cancel_trial()
        self._key.retried()
        if self._refresher is not None:
            self._refresher.retried()
        self.dispatcher.reopen()
        return True

    def report_rate(self) -> None:
        """Emit the limiter's rate, if it has changed by a step."""
        self._attempts.report_rate(self._observers.notify)

    def _cancel_trial(self) -> None:
        if self._trial is not None:
            self._trial.cancel()

    def _make_refresher(self, provider: CredentialsProvider, credentials: Credentials, account: Account) -> Refresher:
        return Refresher(
            provider,
            credentials,
            account,
            make_signer=self._signer,
            observe=self._observers.notify,
            on_failure=lambda error: self.dispatcher.stop(error),  # noqa: PLW0108 - made later
        )

    def _signer(self, credentials: Credentials) -> Signer:
        endpoint = self._settings.endpoint
        return Signer(
            credentials,
            host=endpoint.host,
            region=endpoint.region,
            query=endpoint.query,
            method=self._settings.action.method,
        )

    def _may_begin(self, unsent: int) -> bool:
        """Return whether another call may begin beside this number that are not sent yet."""
        if unsent and unsent >= self._max_unsent():
            return False
        return not (self._key.state is KeyState.ON_TRIAL and (unsent or self.dispatcher.in_flight))

    def _max_unsent(self) -> int:
        """Return how many calls may connect or wait for their permit: half a second's worth, and one at least.

        A server may close idle connections after a short time, so few calls wait at a slow rate.
        """
        rate, most = self._settings.limiter.rate, self._most_unsent
        # Asked several times for each call.
        return most if rate is None or rate * _UNSENT_SECONDS >= most else max(1, int(rate * _UNSENT_SECONDS))

    def _on_ended(self, error: StopcastError) -> None:
        if isinstance(error, ORDERED_ENDS):
            return
        seconds = self._settings.retry_key_after_seconds
        if seconds is not None and isinstance(error, CredentialsRefusedError):
            self._trial = asyncio.get_running_loop().call_later(seconds, self.retry_key)
        self._observers.notify(CallsEnded(str(error)))

    def _on_limiter_event(self, event: Event) -> None:
        match event:
            case QuotaLost(per_second=0):
                self._working_time.pause(_QUOTA_AWAY)
            case QuotaFound():
                self._working_time.resume(_QUOTA_AWAY)
        self._observers.notify(event)
