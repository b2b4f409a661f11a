"""The base of Stopper and Verifier: calls of one action, for one task or a stream of them, within one cap."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from ssl import SSLContext
from types import TracebackType
from typing import ClassVar, Self

from stopcast.api.actions import Action
from stopcast.api.endpoint import Endpoint
from stopcast.api.network import ConnectorFactory, Network
from stopcast.api.transport import AiohttpTransport
from stopcast.credentials.value import Credentials, CredentialsProvider
from stopcast.engine.dispatch import Dispatcher
from stopcast.engine.halting import HaltAfter
from stopcast.engine.refresh import ask
from stopcast.engine.retry import RetryPolicy
from stopcast.errors import ClosedError, ConfigurationError, StopcastError
from stopcast.events import Event, RunFinished
from stopcast.limiters.rolling_window import RollingWindow
from stopcast.logs import Observers
from stopcast.ports import BareLimiter, Observer, Transport
from stopcast.sources.memory import AnyTasks
from stopcast.sources.objects import AnyTask
from stopcast.stopper import settings
from stopcast.stopper.engine import CallSettings, Engine
from stopcast.stopper.health import StopperState
from stopcast.stopper.leaving import Leaving
from stopcast.stopper.one_task import outcome_of
from stopcast.stopper.stream import OutcomeStream, Streams
from stopcast.tasks.outcome import Outcome


class TaskCalls:
    """Calls of one action for many tasks. All callers share one cap.

    Callers take turns, task by task. Tasks of a higher priority go first. At the cap of 150 a second they wait for at
    most half a second, behind the calls that already wait for their permit.

    Used as an async context manager, on one event loop. Leaving the block makes no further call and waits up to
    ``drain_seconds`` for the calls in flight. Cancelling the block cuts them off.

    Args:
        credentials: the account's key. None looks in the environment and in the vendor's files. An async function is
            called for it: when the block is entered, before the key expires, and when the API refuses it.
        max_per_second: the cap on calls; every attempt counts. None means the account's quota for the action, which is
            the maximum for the vendor's hosts.
        endpoint: an address such as "https://rtc.volcengineapi.com" (the default), or an ``Endpoint`` with its region.
        limiter: a cap of your own instead of ``max_per_second``, to raise it or to share it.
        transport: carries the requests instead of aiohttp, for a test or another HTTP client (see
            ``stopcast.ports.Transport``). The caller opens and closes it; only its ``send`` is called here.
        retry: when to try again, and how often.
        timeout_seconds: for one call, from its permit to the end of its answer.
        max_at_once: calls in flight.
        max_waiting: tasks of one stream that may wait for their next attempt, or for their outcome to be consumed.
        halt_after: how many tasks may end badly before no further one is sent; None for any number. It counts all
            streams since the block was entered.
        drain_seconds: how long leaving the block may take.
        deduplicate: whether callers that stop one task at the same time share its call. Two calls for one task are then
            never in flight at once. A stream's task whose call another stream or caller has in flight waits for that
            call and has its outcome, or is sent after it.
        proxy: an HTTP proxy such as "http://proxy:3128", asked by CONNECT. HTTP_PROXY and its like are not obeyed.
        ssl: the context that verifies the endpoint's certificate, instead of the system's authorities.
        connector: a function that returns the aiohttp connector to use, for a resolver or an address family of your
            own. It is called when the block is entered, and the connector is closed with the block. Its ``limit`` must
            be 0, or no less than ``max_at_once``.
        retry_key_after_seconds: how long after the key was refused for good one call tries it again; None for never,
            unless ``retry_key`` is called.
        observers: functions of an event (see ``stopcast.events``), called on the event loop. Without observers, and
            with the log above DEBUG, no event is made for a call or a task that goes well.

    Attributes:
        action: what the API is asked for each task.
        endpoint: where the calls go.
        limiter: the cap.
        timeout_seconds: for one call, from its permit to the end of its answer.
        meter: counts the calls, retries included, and has the worst second and the mean rate.

    Raises:
        ConfigurationError: a setting that cannot be used, or no credentials in any place.
        CredentialsUnavailableError: on entering the block: the function returned no credentials.
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
        retry_key_after_seconds: float | None = None,
        deduplicate: bool = True,
        proxy: str | None = None,
        ssl: SSLContext | None = None,
        connector: ConnectorFactory | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        settings.whole_number("max_at_once", max_at_once, least=1)
        settings.whole_number("max_waiting", max_waiting, least=0)
        settings.number("timeout_seconds", timeout_seconds, above=0)
        settings.number("drain_seconds", drain_seconds, least=0)
        if retry_key_after_seconds is not None:
            settings.number("retry_key_after_seconds", retry_key_after_seconds, above=0)
        settings.instance("retry", retry, RetryPolicy)
        settings.instance("halt_after", halt_after, HaltAfter)
        settings.instance("deduplicate", deduplicate, bool)
        self._credentials, key_region = settings.the_credentials(credentials)
        self.endpoint = settings.the_endpoint(endpoint, self.action, key_region)
        self.limiter = settings.the_limiter(limiter, max_per_second, self.action, loopback=self.endpoint.loopback)
        self._network = Network.of(
            proxy=proxy,
            ssl_context=ssl,
            connector=connector,
            secure=self.endpoint.url.startswith("https://"),
            loopback=self.endpoint.loopback,
        )
        if transport is not None and self._network != Network():
            raise ConfigurationError("transport does not go with proxy, ssl or connector; they are aiohttp's")
        self.meter = RollingWindow()
        self.timeout_seconds = timeout_seconds
        self._transport = transport
        self._settings = CallSettings(
            action=self.action,
            endpoint=self.endpoint,
            limiter=self.limiter,
            meter=self.meter,
            retry=retry or RetryPolicy(),
            timeout_seconds=timeout_seconds,
            max_at_once=max_at_once,
            max_waiting=max_waiting,
            halt_after=halt_after,
            retry_key_after_seconds=retry_key_after_seconds,
            deduplicate=deduplicate,
        )
        self._drain_seconds = drain_seconds
        self._observers = settings.the_observers(observers)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._streams = Streams()
        self._entering = False
        self._engine: Engine | None = None
        self._leaving: Leaving | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self._engine is not None or self._entering or self._loop not in {None, loop}:
            raise ClosedError(
                f"this {type(self).__name__} is open already, or on another event loop; make one for each"
            )
        self._loop = loop
        self._entering = True
        try:
            await self._enter(loop)
        finally:
            self._entering = False
        return self

    async def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        given = self._credentials
        credentials = given if isinstance(given, Credentials) else await ask(given)
        async with AsyncExitStack() as stack:
            transport = self._transport
            if transport is None:
                over_http = AiohttpTransport(
                    self.endpoint.url,
                    method=self.action.method,
                    network=self._network,
                    max_at_once=self._settings.max_at_once,
                )
                transport = await stack.enter_async_context(over_http)
            observers = Observers(self._observers)
            provider = None if isinstance(given, Credentials) else given
            engine = Engine(self._settings, transport, credentials, provider, observers)
            await stack.enter_async_context(engine)
            stack.callback(_report_end, observers.notify, engine.dispatcher, self.meter, loop.time())
            self._leaving = Leaving(
                engine.dispatcher,
                self._streams,
                drain_seconds=self._drain_seconds,
                close=stack.pop_all().aclose,
            )
        self._engine = engine

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        error = ClosedError(f"the {type(self).__name__} was left")
        if self._leaving is None:
            raise ClosedError(f"use the {type(self).__name__} inside its `async with` block")
        try:
            await self._leaving.leave(
                error, cancelled=exc_type is not None and issubclass(exc_type, asyncio.CancelledError)
            )
        finally:
            self._engine = self._leaving = None

    def __del__(self) -> None:
        if (leaving := self.__dict__.get("_leaving")) is not None:
            warnings.warn(
                f"unclosed {type(self).__name__}: its `async with` block was never left",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
            leaving.abandon()

    def drain(self) -> Awaitable[None]:
        """Make no further call, and let the calls in flight finish: for a handler of SIGTERM.

        They get ``drain_seconds``, and are cut off after that. Streams deliver the outcomes of all that was sent, and
        raise ClosedError if a task was not. ``await`` the result to wait for the end, or ignore it, as in
        ``loop.add_signal_handler(signal.SIGTERM, stopper.drain)``. Leaving the block then takes no longer than the rest
        of ``drain_seconds``.

        Raises:
            ClosedError: outside the ``async with`` block, or on another event loop.
        """
        if self._leaving is None:
            raise ClosedError(f"use the {type(self).__name__} inside its `async with` block")
        return self._leaving.drain(ClosedError(f"the {type(self).__name__} is draining"))

    @property
    def dispatcher(self) -> Dispatcher:
        """What runs the attempts.

        Raises:
            ClosedError: outside the ``async with`` block.
        """
        return self._entered.dispatcher

    @property
    def _entered(self) -> Engine:
        if self._engine is None:
            raise ClosedError(f"use the {type(self).__name__} inside its `async with` block")
        return self._engine

    @property
    def is_open(self) -> bool:
        """Whether this is inside the ``async with`` block. Whether calls are made is in ``state``."""
        return self._engine is not None

    @property
    def state(self) -> StopperState:
        """Whether calls are made, for a health check."""
        return StopperState.CLOSED if self._engine is None else self._engine.state

    @property
    def error(self) -> StopcastError | None:
        """What ended the calls for good; None while calls are made, where their end was asked for, and when closed.

        It stays while a refused key is on trial, until an answer accepts the key.
        """
        return None if self._engine is None else self._engine.error

    def retry_key(self) -> bool:
        """Try the key again that was refused for good: with one call, and once that is accepted, with all.

        Streams that have ended stay ended. Of a credentials provider the present key is tried, and where that is
        refused, the provider is asked.

        Returns:
            Whether there was such a key.

        Raises:
            ClosedError: outside the ``async with`` block.
        """
        return self._entered.retry_key()

    @property
    def paused(self) -> bool:
        """Whether no call is made until ``resume``."""
        return self.dispatcher.paused

    def pause(self) -> None:
        """Make no further call until ``resume``. Calls in flight finish, and no row is lost."""
        self.dispatcher.pause()

    def resume(self) -> None:
        """Make calls again, at the same rate as before."""
        self.dispatcher.resume()

    def limit_to(self, calls_per_second: float) -> None:
        """Make at most about this number of calls a second from now on. The cap still holds.

        Raises:
            ConfigurationError: more than the cap, less than 1 (and than a tenth of the cap), or a limiter of your own
                whose rate cannot be changed (see ``stopcast.Limiter.limit_to``).
        """
        self.limiter.limit_to(calls_per_second)
        if self._engine is not None:
            self._engine.report_rate()

    async def _call(self, task: AnyTask, priority: int) -> Outcome:
        return await outcome_of(task, self.dispatcher, priority=priority)

    def _call_all(self, tasks: AnyTasks, priority: int) -> OutcomeStream:
        return self._streams.stream(tasks, self.dispatcher, priority=priority)


def _report_end(
    observe: Callable[[Event], None], dispatcher: Dispatcher, meter: RollingWindow, entered_at: float
) -> None:
    seconds = asyncio.get_running_loop().time() - entered_at
    error = None if isinstance(dispatcher.error, ClosedError) else str(dispatcher.error)
    observe(RunFinished(meter.calls, meter.worst_second, meter.mean_per_second, seconds, error))
