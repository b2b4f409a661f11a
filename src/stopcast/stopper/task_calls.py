"""The base of Stopper and Verifier: calls of one action, for one task or a stream of them, within one cap."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from ssl import SSLContext
from typing import ClassVar, NamedTuple, Self

from stopcast.api.actions import Action
from stopcast.api.endpoint import Endpoint
from stopcast.api.network import ConnectorFactory, Network
from stopcast.api.transport import AiohttpTransport
from stopcast.background import Block
from stopcast.checks import check_instance, check_methods, check_number, check_priority, check_whole_number
from stopcast.credentials.value import Credentials, CredentialsProvider
from stopcast.engine.dispatch import Dispatcher
from stopcast.engine.halting import HaltAfter
from stopcast.engine.refresh import ask
from stopcast.engine.retry import RetryPolicy
from stopcast.errors import ClosedError, ConfigurationError, StopcastError
from stopcast.events import Event, RunFinished
from stopcast.limiters import Unlimited
from stopcast.limiters.rolling_window import RollingWindow
from stopcast.logs import Observers
from stopcast.ports import BareLimiter, Observer, Opened, Transport
from stopcast.sources.iterables import AnyTasks
from stopcast.sources.objects import AnyTask
from stopcast.stopper import settings
from stopcast.stopper.engine import CallSettings, Engine
from stopcast.stopper.leaving import Leaving
from stopcast.stopper.one_task import checked
from stopcast.stopper.state import StopperState
from stopcast.stopper.stream import OutcomeStream, Streams
from stopcast.tasks.outcome import Outcome


class _Parts(NamedTuple):
    """What there is from the moment the block is entered until it is left."""

    engine: Engine
    leaving: Leaving


class TaskCalls:
    """The base of Stopper and Verifier, without the methods that name what is done. For its arguments see Stopper."""

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
        check_whole_number("max_at_once", max_at_once, least=1)
        check_whole_number("max_waiting", max_waiting, least=0)
        check_number("timeout_seconds", timeout_seconds, above=0)
        check_number("drain_seconds", drain_seconds, least=0)
        if retry_key_after_seconds is not None:
            check_number("retry_key_after_seconds", retry_key_after_seconds, above=0)
        check_instance("retry", retry, RetryPolicy)
        check_instance("halt_after", halt_after, HaltAfter)
        check_instance("deduplicate", deduplicate, bool)
        self._credentials, key_region = settings.resolve_credentials(credentials)
        self.endpoint = settings.resolve_endpoint(endpoint, self.action, key_region)
        self.limiter = settings.resolve_limiter(limiter, max_per_second, self.action, loopback=self.endpoint.loopback)
        self._network = Network.of(
            proxy=proxy,
            ssl_context=ssl,
            connector=connector,
            secure=self.endpoint.url.startswith("https://"),
            loopback=self.endpoint.loopback,
        )
        if transport is not None:
            check_methods("transport", transport, "send")
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
        self._observers = settings.resolve_observers(observers)
        self._account = ""
        self._streams = Streams()
        self._block = Block(type(self).__name__, one_loop=True)
        self._parts: _Parts | None = None

    def name_account(self, name: str) -> None:
        """Let log lines call its account so. A Router names the account of each of its Stoppers."""
        self._account = name

    async def __aenter__(self) -> Self:
        with self._block.entering():
            self._parts = await self._enter(asyncio.get_running_loop())
        return self

    async def _enter(self, loop: asyncio.AbstractEventLoop) -> _Parts:
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
                    has_cap=not isinstance(self.limiter, Unlimited),
                )
                transport = await stack.enter_async_context(over_http)
            observers = Observers(self._observers, account=self._account)
            provider = None if isinstance(given, Credentials) else given
            engine = Engine(self._settings, transport, credentials, provider, observers)
            observers.watch(Opened(self.endpoint.url, credentials.expires_at, engine.dispatcher))
            await stack.enter_async_context(engine)
            stack.callback(_report_end, observers.notify, engine.dispatcher, self.meter, loop.time())
            leaving = Leaving(
                engine.dispatcher,
                self._streams,
                drain_seconds=self._drain_seconds,
                close=stack.pop_all().aclose,
            )
        return _Parts(engine, leaving)

    async def __aexit__(self, exc_type: type[BaseException] | None, *_error: object) -> None:
        error = ClosedError(f"the {type(self).__name__} was left")
        cancelled = exc_type is not None and issubclass(exc_type, asyncio.CancelledError)
        with self._block.leaving():
            try:
                await self._entered.leaving.leave(error, cancelled=cancelled)
            finally:
                self._parts = None

    def __del__(self) -> None:
        if (parts := self.__dict__.get("_parts")) is not None:
            warnings.warn(
                f"unclosed {type(self).__name__}: its `async with` block was never left",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
            parts.leaving.abandon()

    def drain(self) -> Awaitable[None]:
        """Make no further call, and let the calls in flight finish: for a handler of SIGTERM.

        They get ``drain_seconds``, and are cut off after that. Streams deliver the outcomes of all that was sent, and
        raise ClosedError if a task was not. ``await`` the result to wait for the end, or ignore it, as in
        ``loop.add_signal_handler(signal.SIGTERM, stopper.drain)``. Leaving the block then takes no longer than the rest
        of ``drain_seconds``.

        Raises:
            ClosedError: outside the ``async with`` block, or on another event loop.
        """
        return self._entered.leaving.drain(ClosedError(f"the {type(self).__name__} is draining"))

    @property
    def dispatcher(self) -> Dispatcher:
        """What runs the attempts.

        Raises:
            ClosedError: outside the ``async with`` block.
        """
        return self._entered.engine.dispatcher

    @property
    def _entered(self) -> _Parts:
        if self._parts is None:
            raise ClosedError(f"use the {type(self).__name__} inside its `async with` block")
        return self._parts

    @property
    def is_open(self) -> bool:
        """Whether this is inside the ``async with`` block. Whether calls are made is in ``state``."""
        return self._parts is not None

    @property
    def state(self) -> StopperState:
        """Whether calls are made, for a health check."""
        return StopperState.CLOSED if self._parts is None else self._parts.engine.state

    @property
    def error(self) -> StopcastError | None:
        """What ended the calls for good; None while calls are made, where their end was asked for, and when closed.

        It stays while a refused key is on trial, until an answer accepts the key.
        """
        return None if self._parts is None else self._parts.engine.error

    def retry_key(self) -> bool:
        """Try the key again that was refused for good: with one call, and once that is accepted, with all.

        Streams that have ended stay ended. Of a credentials provider the present key is tried, and where that is
        refused, the provider is asked.

        Returns:
            Whether there was such a key.

        Raises:
            ClosedError: outside the ``async with`` block, or on another event loop.
        """
        return self._entered.engine.retry_key()

    @property
    def paused(self) -> bool:
        """Whether no call is made until ``resume``."""
        return self.dispatcher.paused

    def pause(self) -> None:
        """Make no further call until ``resume``. Calls in flight finish, and no row is lost.

        Raises:
            ClosedError: outside the ``async with`` block, or on another event loop.
        """
        self.dispatcher.pause()

    def resume(self) -> None:
        """Make calls again, at the same rate as before.

        Raises:
            ClosedError: outside the ``async with`` block, or on another event loop.
        """
        self.dispatcher.resume()

    def limit_to(self, calls_per_second: float) -> None:
        """Make at most about this number of calls a second from now on. The cap still holds.

        Raises:
            ConfigurationError: more than the cap, less than 1 (and than a tenth of the cap), or a limiter of your own
                whose rate cannot be changed (see ``stopcast.Limiter.limit_to``).
            ClosedError: inside the ``async with`` block, on another event loop.
        """
        self._block.check_loop()
        self.limiter.limit_to(calls_per_second)
        if self._parts is not None:
            self._parts.engine.report_rate()

    async def _call(self, task: AnyTask, priority: int) -> Outcome:
        dispatcher, found = self.dispatcher, checked(task)
        if isinstance(found, Outcome):
            dispatcher.refuse(found)
            return found
        check_priority(priority)
        return await dispatcher.call(found, priority=priority).outcome()

    def _call_all(self, tasks: AnyTasks, priority: int) -> OutcomeStream:
        check_priority(priority)
        return self._streams.stream(tasks, self.dispatcher, priority=priority)


def _report_end(
    observe: Callable[[Event], None], dispatcher: Dispatcher, meter: RollingWindow, entered_at: float
) -> None:
    seconds = asyncio.get_running_loop().time() - entered_at
    error = None if isinstance(dispatcher.error, ClosedError) else str(dispatcher.error)
    observe(RunFinished(meter.calls, meter.worst_second, meter.mean_per_second, seconds, error))
