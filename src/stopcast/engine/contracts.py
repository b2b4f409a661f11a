"""What the engine of one account and the engine of several accounts have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from stopcast.errors import StopcastError
from stopcast.ports import Flights, Ownership
from stopcast.tasks.outcome import Outcome

if TYPE_CHECKING:
    from stopcast.tasks.intake import Accepted


class StreamOptions(NamedTuple):
    """What a stream of rows asks of those that make its calls.

    Attributes:
        priority: of several streams, the one with the highest goes first.
        flights: records which calls a crash leaves in doubt.
        ownership: knows whether a row is still this process's to send.
    """

    priority: int = 0
    flights: Flights | None = None
    ownership: Ownership | None = None


class RowSink(Protocol):
    """Accepts the rows of one stream, and makes its reader wait: a Feed, or the lanes of several accounts."""

    @property
    def error(self) -> BaseException | None:
        """The error that ended the stream early, or None."""

    @property
    def without_outcome(self) -> int:
        """Number of accepted rows without an outcome: they were withdrawn, or their call was cut off."""

    @property
    def given_back(self) -> int:
        """Number of rows returned to their source because another process owned them. They may be delivered again."""

    def submit(self, rows: Iterable[Accepted]) -> None:
        """Accept rows to send."""

    def refuse(self, outcome: Outcome) -> None:
        """Deliver the outcome of a row that is not sent."""

    def consumed(self) -> None:
        """Record that one outcome was consumed, so that another row may be accepted."""

    async def wait_for_room(self) -> None:
        """Wait until more rows may be submitted, or until the stream has ended early."""

    async def ended(self) -> None:
        """Wait until the stream has ended early."""

    async def settled(self) -> None:
        """Wait until every row has its outcome or was withdrawn."""

    def end(self, error: BaseException) -> None:
        """End the stream early: withdraw the rows that were not sent, and deliver the outcomes of those that were."""

    def close(self) -> None:
        """End the stream because its consumer has left: deliver no further outcome."""


class AnyDispatcher(Protocol):
    """Makes the calls of a run: the Dispatcher of one account, or the dispatchers of several accounts as one."""

    @property
    def error(self) -> StopcastError | None:
        """The error that ended the calls, or None."""

    @property
    def in_flight(self) -> int:
        """Number of calls that were sent and have no answer yet."""

    @property
    def waiting(self) -> int:
        """Number of jobs that wait for their next attempt."""

    @property
    def most_outstanding(self) -> int:
        """The most rows of one stream that may be accepted and not yet consumed."""

    def open_feed(self, deliver: Callable[[Outcome], None], options: StreamOptions) -> RowSink:
        """Open a stream of rows. ``deliver`` is called with their outcomes, on the event loop."""

    def stop(self, error: StopcastError) -> None:
        """Make no further call. Calls in flight finish, and their outcomes are delivered."""

    async def idle(self) -> None:
        """Wait until no call is in flight."""

    def cancel(self) -> None:
        """Cut off the calls in flight. Call ``stop`` first."""

    async def close(self) -> None:
        """Stop, cut off what is in flight, and leave nothing behind."""
