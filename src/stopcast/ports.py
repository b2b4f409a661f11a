"""The protocols between the engine and its surroundings. Each of them has one or more implementations elsewhere."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from stopcast.errors import ConfigurationError
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Task

if TYPE_CHECKING:
    # A plan uses a limiter's rate. The events, all of them dataclasses, would take longer to import than the rest.
    from stopcast.events import Event


class Observer(Protocol):
    """A function of one event: see ``stopcast.events``."""

    def __call__(self, event: Event, /) -> object:
        """Handle the event, and return at once, because this runs on the event loop.

        An exception is logged the first time, and has no other effect.
        """


class CallCounts(Protocol):
    """What a Stopper is doing now."""

    @property
    def in_flight(self) -> int:
        """Calls that were sent and have no answer yet."""

    @property
    def waiting(self) -> int:
        """Tasks that wait for their next attempt."""


class Opened(NamedTuple):
    """What a Stopper passes to each observer that has a method ``watch``, when its block is entered.

    Attributes:
        endpoint: the address of the calls.
        expires_at: Unix time at which the credentials expire, None where that is not known.
        counts: what the Stopper is doing, at any later time.
    """

    endpoint: str
    expires_at: float | None
    counts: CallCounts


class BareLimiter(Protocol):
    """The least that a limiter of your own needs. A class with these two methods is enough; it need not inherit."""

    async def acquire(self) -> None:
        """Return when one call may go out now."""

    def hold(self, seconds: float = 0.0) -> None:
        """Record one throttled answer."""


class Limiter(ABC):
    """Decides when the next call may go out, for all callers that share it.

    A subclass has to define ``acquire`` and ``hold``. The defaults of everything else mean: not known, or not possible.
    ``stopcast.limiters.own_limiter`` gives the same defaults to a class that does not inherit from this one.

    Attributes:
        max_per_second: the cap in calls a second, infinite where there is none.
        limited_to: calls a second that ``limit_to`` allows now; the cap unless it was called.
        full_rate: calls a second that go out while nothing is throttled, None where it is not known.
        adjustable: whether ``limit_to`` works.
    """

    max_per_second: float = math.inf
    limited_to: float = math.inf
    full_rate: float | None = None
    adjustable: bool = False

    @property
    def permit_seconds(self) -> float:
        """Seconds for which the permit that ``acquire`` has just returned may be used.

        A call that is not sent by then asks for another one. Infinite where a late call is known to the limiter.
        """
        return math.inf

    @abstractmethod
    async def acquire(self) -> None:
        """Return when one call may go out now.

        A permit is taken in the same step in which this returns, so a caller that is cancelled while it waits has taken
        none. A permit that is not used is lost: it never comes back as an extra call.
        """

    @abstractmethod
    def hold(self, seconds: float = 0.0) -> None:
        """Record one throttled answer: no call for ``seconds``, and fewer calls a second after that."""

    @property
    def rate(self) -> float | None:
        """Calls a second that go out now while calls wait, None where it is not known."""
        return None

    def limit_to(self, calls_per_second: float) -> None:  # noqa: ARG002 - for subclasses
        """Let at most about this number of calls a second go from now on.

        Raises:
            ConfigurationError: the rate is above the cap or too close to 0, or this limiter's rate is fixed.
        """
        raise ConfigurationError("the rate of this limiter cannot be changed while it runs")

    def subscribe(self, observe: Callable[[Event], None]) -> Callable[[], None]:  # noqa: ARG002 - likewise
        """Pass the limiter's events to ``observe`` from now on, and at once what holds already.

        Returns:
            A function that ends the subscription.
        """
        return lambda: None


@runtime_checkable
class Flights(Protocol):
    """Records, so that it survives a crash, for which tasks a call may have gone out without a known result."""

    def begin(self, task: Task, identity: bytes) -> None:
        """Record that a call for the task, which has this identity, is about to go out."""

    def end(self, tasks: Iterable[Task]) -> None:
        """Record that the tasks are not in doubt any more."""


@runtime_checkable
class Ownership(Protocol):
    """Knows until when a row belongs to this process: for a source that gives rows to others after a silence.

    The engine looks for it on the source, as it does for ``Flights``, and asks at two moments:

    1. In the same turn of the event loop in which a call uses its permit, after every ``await`` that precedes the
       request. A row that is not ours then leaves the engine: it makes no call, delivers no outcome, writes no line,
       frees the row's place among the outstanding ones, and calls ``give_back``. The source may deliver the row again
       later, with the same line number.
    2. When the API answers "no such running task". If the task is in doubt then, it is ``presumed_stopped``.
    """

    def still_ours(self, task: Task) -> bool:
        """Return whether a call for the task may be made now. Changes nothing, and costs a dictionary's lookup."""

    def in_doubt(self, task: Task) -> bool:
        """Return whether a call of another process may have stopped the task by now. As cheap as ``still_ours``."""

    def give_back(self, tasks: Iterable[Task]) -> None:
        """Take these tasks back: their rows left the engine without a call at this attempt, and have no outcome.

        The engine has called ``Flights.end`` before, unless an earlier attempt put the task in doubt.
        """


class Deliveries(Flights, Ownership, Protocol):
    """A source that delivers its rows again until they are acknowledged, as a message queue does."""

    def ack(self, outcomes: Iterable[Outcome]) -> None:
        """Acknowledge rows whose outcomes are durable. The ``line`` of an outcome identifies its row."""


class Request(NamedTuple):
    """What one call sends, without its headers.

    Attributes:
        body: the bytes, empty for a GET.
        query: the canonical query string, as it is signed and sent.
    """

    body: bytes
    query: str


class TransportError(Exception):
    """No complete answer arrived. The text says what happened below HTTP.

    Attributes:
        unsent: whether there was no connection to write the request to, so that it certainly did nothing.
        untrusted: whether the server's certificate was refused, which a retry cannot fix.
    """

    def __init__(self, message: str, *, unsent: bool = False, untrusted: bool = False) -> None:
        super().__init__(message)
        self.unsent = unsent
        self.untrusted = untrusted


class Gate(Protocol):
    """The way of one call from a connection in hand to the wire. A transport passes it for every request."""

    async def permit(self) -> None:
        """Wait, with a connection in hand, until the call may go out."""

    def admit(self) -> Mapping[str, str]:
        """Count the call as sent, and return the signed headers to send.

        To be called in the same turn of the event loop in which ``permit`` returned, as the last thing before the
        request is written. Where it was not called, nothing was sent. Where the connection turns out to be dead, the
        permit is forfeited: take another connection, and await ``permit`` again.
        """


class OpenGate:
    """A gate that is open: for a single request outside any cap.

    Args:
        headers: to send.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    async def permit(self) -> None:
        """Return at once."""

    def admit(self) -> Mapping[str, str]:
        """Return the headers."""
        return self._headers


class Answer(NamedTuple):
    """One answer as it came.

    Attributes:
        status: HTTP's.
        headers: looked up without regard to case.
        body: whole.
        drop: closes the connection that brought it. To be called at once, or not at all.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    drop: Callable[[], object] = lambda: None


class Transport(Protocol):
    """Carries one request to the endpoint."""

    async def send(self, request: Request, gate: Gate) -> Answer:
        """Send the request with the headers that ``gate.admit`` returns, and return the answer.

        Raises:
            TransportError: no answer, or none that can be read whole.
        """


class Pausable(Protocol):
    """Calls that can be paused, such as those of a Stopper."""

    @property
    def paused(self) -> bool:
        """Whether they are paused."""

    def pause(self) -> None:
        """Send no further call until ``resume``."""

    def resume(self) -> None:
        """Send calls again."""
