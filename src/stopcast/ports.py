"""The small contracts between the engine and what stands outside it. Each is filled by one adapter or more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, runtime_checkable

from stopcast.events import Event
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Task


class Observer(Protocol):
    """A function of one event: see ``stopcast.events``."""

    def __call__(self, event: Event, /) -> object:
        """Take note of the event, and return at once: this runs on the event loop.

        What it raises is logged once, and disturbs nothing.
        """


class Limiter(Protocol):
    """Says when the next call may go, for all that share it."""

    async def acquire(self) -> None:
        """Return when one call may go out now. Cancelling costs at most that one permit."""

    def hold(self, seconds: float = 0.0) -> None:
        """Take note of one throttled answer: no call for ``seconds``, and fewer calls a second after that."""


@runtime_checkable
class TellsRate(Protocol):
    """What a limiter may have besides, to let observers know how fast it goes.

    Attributes:
        full_rate: calls a second while nothing is throttled.
    """

    full_rate: float

    @property
    def rate(self) -> float:
        """Calls a second that go out now while calls wait."""


@runtime_checkable
class AdjustableLimiter(Limiter, Protocol):
    """A limiter whose rate can be changed while calls wait.

    Attributes:
        max_per_second: the cap.
        limited_to: calls a second that may go now, at most the cap.
    """

    max_per_second: float
    limited_to: float

    def limit_to(self, calls_per_second: float) -> None:
        """Let about so many calls a second go from now on.

        Raises:
            ConfigurationError: more than the cap, or too few to be told from none.
        """


@runtime_checkable
class TellsEvents(Protocol):
    """What a limiter may have besides, where things happen to it that observers should know of."""

    def tell(self, observe: Callable[[Event], None]) -> Callable[[], None]:
        """Tell such events from now on, and at once what holds already. Return what ends it."""


@runtime_checkable
class Flights(Protocol):
    """Keeps in mind, beyond a crash, for which tasks a call may have gone out unseen."""

    def begin(self, task: Task, identity: bytes) -> None:
        """Note that a call for the task, known by this identity, is about to go out."""

    def end(self, tasks: Iterable[Task]) -> None:
        """Note that nothing is in doubt about the tasks any more."""


@runtime_checkable
class Ownership(Protocol):
    """Knows until when a row belongs to this process: for a source that gives rows to others after a silence.

    The engine looks for it on the source, as it does for ``Flights``, and asks at two moments:

    1. In the same turn of the event loop in which a call uses its permit, after every ``await`` that precedes the
       request. A row that is not ours then leaves the engine: it makes no call, hands out no outcome, writes no line,
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
    """A source whose rows are delivered anew until they are acknowledged, as a message queue's are."""

    def ack(self, outcomes: Iterable[Outcome]) -> None:
        """Take note that these outcomes are durable. Their ``line`` tells of which row each is."""


class TransportError(Exception):
    """No answer, or none that can be read whole. The text tells what happened below HTTP.

    Attributes:
        unsent: there was no connection to write the request to, so that it surely did nothing.
        untrusted: the other side's certificate was refused, which no retry mends.
    """

    def __init__(self, message: str, *, unsent: bool = False, untrusted: bool = False) -> None:
        super().__init__(message)
        self.unsent = unsent
        self.untrusted = untrusted


class Transport(Protocol):
    """Carries one request to the endpoint."""

    async def send(
        self, body: bytes, headers: Mapping[str, str], admit: Callable[[], Awaitable[None]], query: str = ""
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send ``body`` and return the answer's status, headers and bytes.

        ``query`` takes the place of the endpoint's own, unless it is "".
        ``admit`` is awaited with the connection in hand, as the last thing before the request is written. Where it was
        not awaited to its end, nothing was sent.

        Raises:
            TransportError: no answer, or none that can be read whole.
        """
