"""What is the same for every action of the API: its calls, for one task or a stream of them, within one cap."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import ClassVar, Final, Self

from stopcast.api.actions import Action
from stopcast.api.endpoint import DEFAULT_ENDPOINT, Endpoint
from stopcast.api.signing import Signer
from stopcast.api.transport import AiohttpTransport
from stopcast.background import END_WITHIN_SECONDS, finish_task
from stopcast.credentials.chain import find_credentials, home_directory
from stopcast.credentials.value import Credentials, CredentialsProvider
from stopcast.engine.account import Account
from stopcast.engine.attempts import Attempts
from stopcast.engine.call import Caller
from stopcast.engine.dispatch import Dispatcher
from stopcast.engine.halting import Failures, HaltAfter
from stopcast.engine.key import Key
from stopcast.engine.refresh import Refresher, ask
from stopcast.engine.retry import RetryPolicy
from stopcast.engine.working_time import WorkingTime
from stopcast.errors import BackgroundTaskError, ClosedError, ConfigurationError
from stopcast.events import Event, QuotaFound, QuotaLost, RunFinished
from stopcast.limiters import TokenBucket, Unlimited
from stopcast.limiters.rolling_window import RollingWindow
from stopcast.logs import LOG, Observers
from stopcast.ports import BareLimiter, Observer, Transport, as_limiter
from stopcast.sources.memory import AnyTask
from stopcast.stopper.stream import AnyTasks, outcome_of, outcomes_of
from stopcast.tasks.outcome import Outcome

#: Calls that connect or wait for their permit, at most, and for how long. At the cap they bridge slow handshakes.
_MAX_UNSENT: Final = 64
_UNSENT_SECONDS: Final = 0.5

#: Seconds between two new connections: handshakes in a heap make calls late, which matters where there is a cap.
_STAGGER_SECONDS: Final = 0.008


class TaskCalls:
    """Calls of one action for many tasks, all of them within one cap, however many callers there are.

    Callers take turns, task by task. Of different priorities, the higher one's tasks go first, and at the cap of 150 a
    second wait for half a second at most, namely for those that wait for their permit already.

    Used as an async context manager, on one event loop. Leaving the block lets what was begun come to its end, for at
    most ``drain_seconds``; leaving it by an exception, a cancellation among them, cancels it.

    Args:
        credentials: the account's key; None looks in the environment and in the vendor's files. Or an async function
            that gives it anew: asked when the block is entered, before what it gave expires, and when it is refused.
        max_per_second: the cap on calls, every attempt counted. None for the account's quota for the action, which is
            the most for the vendor's hosts.
        endpoint: an address such as "https://rtc.volcengineapi.com" (the default), or an ``Endpoint`` with its region.
        limiter: a cap of your own instead of ``max_per_second``, to raise it or to share it.
        transport: carries the requests instead of aiohttp, for a test or another HTTP client (see
            ``stopcast.ports.Transport``). The caller opens and closes it; only its ``send`` is called here.
        retry: when to try again, and how often.
        timeout_seconds: for one call, from its permit to the end of its answer.
        max_at_once: calls in flight.
        max_waiting: tasks of one stream that may wait for their next attempt, or for their outcome to be taken.
        halt_after: how many tasks may end badly before no further one is sent; None for any number. Counted since the
            block was entered, over all its streams.
        drain_seconds: how long leaving the block may take.
        observers: functions of an event (see ``stopcast.events``), called on the event loop. Without any, and with the
            log above DEBUG, no event is made for a call or a task that goes well.

    Attributes:
        action: what the API is asked for each task.
        endpoint: where the calls go.
        limiter: the cap.
        timeout_seconds: the longest that a call takes from its permit on.
        meter: counts the calls, the retries among them, and knows the worst second and the mean rate.

    Raises:
        ConfigurationError: a setting that cannot be used, or credentials that are nowhere to be found.
        CredentialsUnavailableError: on entering the block, a function that gives no credentials.
    """

    action: ClassVar[Action]

    def __init__(
        self,
        credentials: Credentials | CredentialsProvider | None = None,
        *,
        max_per_second: float | None = None,
        endpoint: str | Endpoint | None = None,
        limiter: BareLimiter | None = None,
        transport: Transport | None = None,
        retry: RetryPolicy | None = None,
        timeout_seconds: float = 15.0,
        max_at_once: int = 512,
        max_waiting: int = 2000,
        halt_after: HaltAfter | None = None,
        drain_seconds: float = 15.0,
        observers: Sequence[Observer] = (),
    ) -> None:
        if max_at_once < 1 or max_waiting < 0 or not timeout_seconds > 0:
            raise ConfigurationError("max_at_once and timeout_seconds must be above 0, max_waiting not below")
        if credentials is None:
            found = find_credentials(environ=os.environ, home=home_directory())
            credentials = found.for_stopper
            for warning in found.warnings:
                LOG.warning(warning, extra={"event": "credentials_warning"})
            key_region = found.region
        else:
            key_region = credentials.region if isinstance(credentials, Credentials) else None
        if not isinstance(endpoint, Endpoint):
            endpoint = Endpoint.parse(endpoint or DEFAULT_ENDPOINT, key_region=key_region)
        quota = self.action.quota_per_second
        if max_per_second is None:
            max_per_second = quota
        if limiter is None and max_per_second > quota and not endpoint.loopback:
            raise ConfigurationError(
                f"max_per_second {max_per_second:g} is above the account's quota of {quota}; "
                f"where the vendor has raised it, pass limiter=TokenBucket({max_per_second:g})"
            )
        self.endpoint = endpoint = endpoint.of(self.action.name)
        self.limiter = as_limiter(limiter or TokenBucket(max_per_second))
        self.meter = RollingWindow()
        self._transport = transport
        self._credentials = credentials
        self._retry = retry or RetryPolicy()
        self.timeout_seconds = timeout_seconds
        self._max_at_once = max_at_once
        self._max_waiting = max_waiting
        self._halt_after = halt_after
        self._drain_seconds = drain_seconds
        self._observers = tuple(observers)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stack = AsyncExitStack()
        self._dispatcher: Dispatcher | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self._dispatcher is not None or self._loop not in {None, loop}:
            raise ClosedError(
                f"this {type(self).__name__} is open already, or on another event loop; make one for each"
            )
        self._loop = loop
        given = self._credentials
        credentials = given if isinstance(given, Credentials) else await ask(given)
        self._stack = AsyncExitStack()
        transport = self._transport
        if transport is None:
            over_http = AiohttpTransport(self.endpoint.url, method=self.action.method)
            transport = await self._stack.enter_async_context(over_http)
        observers = Observers(self._observers)
        account = Account(Key(self._signer(credentials), renewable=given is not credentials), action=self.action.name)
        caller = Caller(
            transport, self.action, self.endpoint.query, account=account, limiter=self.limiter, meter=self.meter
        )
        refresher = None if given is credentials else self._refresher(credentials, account, observers)
        working_time = WorkingTime()
        attempts = Attempts(
            caller,
            account,
            self.limiter,
            self._retry,
            action=self.action,
            working_time=working_time,
            on_key_refused=None if refresher is None else refresher.refused,
            on_clock_corrected=None if refresher is None else refresher.clock_corrected,
        )
        dispatcher = self._dispatcher = Dispatcher(
            attempts,
            working_time=working_time,
            timeout_seconds=self.timeout_seconds,
            max_at_once=self._max_at_once,
            max_unsent=self._max_unsent,
            max_waiting=self._max_waiting,
            stagger_seconds=0.0 if isinstance(self.limiter, Unlimited) else _STAGGER_SECONDS,
            failures=None if self._halt_after is None else Failures(self._halt_after),
            observe=observers.notify,
            observed=observers.want_all,
        )
        caller.when_admitted(dispatcher.on_admitted)
        if refresher is not None:
            await self._stack.enter_async_context(refresher)
        self._report_rate = partial(attempts.report_rate, observers.notify)
        self._report_rate()
        self._stack.callback(self.limiter.subscribe(partial(self._on_limiter_event, observers, working_time)))
        self._stack.callback(self._report_end, observers.notify, dispatcher, loop.time())
        return self

    def _on_background_failure(self, error: BackgroundTaskError) -> None:
        if self._dispatcher is not None:
            self._dispatcher.stop(error)

    def _max_unsent(self) -> int:
        """Return how many calls may connect or wait for their permit: half a second's worth, and one at least.

        A server may close idle connections after a short time, so few calls wait at a slow rate.
        """
        rate = self.limiter.rate
        most = min(_MAX_UNSENT, self._max_at_once)
        return most if rate is None else max(1, min(most, int(rate * _UNSENT_SECONDS)))

    def _refresher(self, credentials: Credentials, account: Account, observers: Observers) -> Refresher:
        assert not isinstance(self._credentials, Credentials | None), "they are a function"  # noqa: S101 - an invariant
        return Refresher(
            self._credentials,
            credentials,
            account,
            action=self.action.name,
            make_signer=self._signer,
            observe=observers.notify,
            on_failure=self._on_background_failure,
        )

    @staticmethod
    def _on_limiter_event(observers: Observers, working_time: WorkingTime, event: Event) -> None:
        match event:
            case QuotaLost(per_second=0):
                working_time.pause("quota")
            case QuotaFound():
                working_time.resume("quota")
        observers.notify(event)

    def _signer(self, credentials: Credentials) -> Signer:
        endpoint = self.endpoint
        return Signer(
            credentials,
            host=endpoint.host,
            region=endpoint.region,
            query=endpoint.query,
            method=self.action.method,
        )

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        dispatcher = self.dispatcher
        cancelled = exc_type is not None and issubclass(exc_type, asyncio.CancelledError)
        # What is synchronous comes first: this task may be cancelled again at any await.
        dispatcher.stop(ClosedError(f"the {type(self).__name__} was left"))
        try:
            if not cancelled:
                async with asyncio.timeout(self._drain_seconds):
                    await dispatcher.idle()
        except TimeoutError:
            pass
        finally:
            await finish_task(asyncio.create_task(self._close(dispatcher)), within_seconds=2 * END_WITHIN_SECONDS)

    async def _close(self, dispatcher: Dispatcher) -> None:
        try:
            await dispatcher.close()
        finally:
            self._dispatcher = None
            await self._stack.aclose()

    def _report_end(self, observe: Callable[[Event], None], dispatcher: Dispatcher, entered_at: float) -> None:
        seconds = asyncio.get_running_loop().time() - entered_at
        error = None if isinstance(dispatcher.error, ClosedError) else str(dispatcher.error)
        meter = self.meter
        observe(RunFinished(meter.calls, meter.worst_second, meter.mean_per_second, seconds, error))

    @property
    def dispatcher(self) -> Dispatcher:
        """What runs the attempts.

        Raises:
            ClosedError: outside the ``async with`` block.
        """
        if self._dispatcher is None:
            raise ClosedError(f"use the {type(self).__name__} inside its `async with` block")
        return self._dispatcher

    @property
    def is_open(self) -> bool:
        """Whether calls can be made: inside the ``async with`` block."""
        return self._dispatcher is not None

    @property
    def paused(self) -> bool:
        """Whether no call is made until ``resume``."""
        return self.dispatcher.paused

    def pause(self) -> None:
        """Make no further call until ``resume``, whoever asks. Calls in flight finish; nothing is lost."""
        self.dispatcher.pause()

    def resume(self) -> None:
        """Make calls again, at the rate of before."""
        self.dispatcher.resume()

    def limit_to(self, calls_per_second: float) -> None:
        """Make at most about so many calls a second from now on; the cap stays the most.

        Raises:
            ConfigurationError: more than the cap, less than 1 (and than a tenth of the cap), or a limiter of your own
                whose rate cannot be changed (see ``stopcast.Limiter.limit_to``).
        """
        self.limiter.limit_to(calls_per_second)
        if self._dispatcher is not None:
            self._report_rate()

    async def _call(self, task: AnyTask, priority: int) -> Outcome:
        return await outcome_of(task, self.dispatcher, priority=priority)

    def _call_all(self, tasks: AnyTasks, priority: int) -> AsyncGenerator[Outcome, None]:
        return outcomes_of(tasks, self.dispatcher, priority=priority)
