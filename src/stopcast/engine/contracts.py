"""What one account's engine and that of several accounts have in common, for those that use either."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from stopcast.errors import StopcastError
from stopcast.ports import Flights, Ownership
from stopcast.tasks.outcome import Outcome

if TYPE_CHECKING:
    from stopcast.tasks.intake import Accepted


class RowSink(Protocol):
    """Takes the rows of one stream, and holds its reader back: a Feed, or the lanes of several accounts."""

    @property
    def error(self) -> BaseException | None:
        """What ended the stream before its time, None while it goes on."""

    @property
    def without_outcome(self) -> int:
        """Rows that were taken in and have no outcome: they were taken back, or their call was cut off."""

    @property
    def given_back(self) -> int:
        """Rows that were returned to their source, because another process owned them. It may deliver them again."""

    def submit(self, rows: Iterable[Accepted]) -> None:
        """Take in rows that are to be sent."""

    def refuse(self, outcome: Outcome) -> None:
        """Hand out the outcome of a row that is not sent."""

    def consumed(self) -> None:
        """Free the place of one outcome that was handed out."""

    async def room(self) -> None:
        """Return when more rows may be taken in, or when the stream has ended before its time."""

    async def ended(self) -> None:
        """Return when the stream has ended before its time."""

    async def settled(self) -> None:
        """Return when every row has its outcome, or was taken back."""

    def end(self, error: BaseException) -> None:
        """End the stream before its time: what was not sent is taken back, and what was sent is handed out."""

    def close(self) -> None:
        """End the stream because its consumer has left: no further outcome is handed out."""


class AnyDispatcher(Protocol):
    """What makes the calls of a run: one account's Dispatcher, or the dispatchers of several accounts as one."""

    @property
    def error(self) -> StopcastError | None:
        """What ended the calls, None while they go on."""

    @property
    def in_flight(self) -> int:
        """Calls that were sent and have no answer yet."""

    @property
    def waiting(self) -> int:
        """Jobs that wait for their next attempt."""

    @property
    def most_outstanding(self) -> int:
        """Rows of one stream that may be taken in and not consumed."""

    def open_feed(
        self,
        deliver: Callable[[Outcome], None],
        *,
        priority: int = 0,
        flights: Flights | None = None,
        ownership: Ownership | None = None,
    ) -> RowSink:
        """Open a stream of rows whose outcomes go to ``deliver``, on the event loop."""

    def stop(self, error: StopcastError) -> None:
        """Make no further call. Calls in flight finish, and their outcomes are handed out."""

    async def idle(self) -> None:
        """Return when no call is in flight."""

    def cancel(self) -> None:
        """Cut off the calls in flight. Call ``stop`` first."""

    async def close(self) -> None:
        """Stop, cut off what is in flight, and leave nothing behind."""
