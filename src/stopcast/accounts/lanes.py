"""One stream of rows over several accounts: a bounded lane for each, so that none of them holds the others up.

A row whose account cannot take it yet waits in its lane, so that the rows behind it can be read: they may be the other
accounts'. The rows that may wait are bounded for all accounts together. Beyond that an account that is behind does hold
the others up, because rows are read once and in their order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from stopcast.background import Supervisor
from stopcast.engine.contracts import RowSink, StreamOptions
from stopcast.engine.dispatch import Dispatcher
from stopcast.errors import AccountsGivenUpError, StopcastError
from stopcast.tasks.outcome import Outcome

if TYPE_CHECKING:
    from stopcast.tasks.intake import Accepted

#: Rows that are handed to an account at once, and that each one should have ready.
HANDFUL: Final = 64


class _Lane:
    """A stream's part at one account."""

    def __init__(self, account: str, sink: RowSink) -> None:
        self.account = account
        self.sink = sink
        self.rows: deque[Accepted] = deque()
        #: Set while there is something to do for the lane.
        self.changed = asyncio.Event()


class Lanes:
    """Fills ``stopcast.engine.contracts.RowSink`` for several accounts.

    Args:
        deliver: gets each outcome.
        dispatchers: by account, for those that are open.
        account_of: returns the account of a row, None for one that no account claims.
        unclaimed: returns the outcome of a row that no account claims.
        not_entered: accounts that have no dispatcher, and why.
        on_closed: is called when the consumer has left.
        max_backlog: rows that may wait in the lanes.
        supervisor: owns the tasks that serve the lanes.
        options: of the stream.
    """

    def __init__(
        self,
        deliver: Callable[[Outcome], None],
        *,
        dispatchers: Mapping[str, Dispatcher],
        account_of: Callable[[Accepted], str | None],
        unclaimed: Callable[[Accepted], Outcome],
        not_entered: Mapping[str, StopcastError],
        on_closed: Callable[[Lanes], object],
        max_backlog: int,
        supervisor: Supervisor,
        options: StreamOptions,
    ) -> None:
        self._deliver = deliver
        self._account_of = account_of
        self._unclaimed = unclaimed
        self._not_entered = not_entered
        self._on_closed = on_closed
        self._max_backlog = max_backlog
        self._most_unconsumed = max((each.most_outstanding for each in dispatchers.values()), default=1)
        self._changed = asyncio.Event()
        self._closed = False
        self._without_outcome = 0
        self._error: BaseException | None = None
        #: Why rows have no outcome, by account.
        self._errors: dict[str, StopcastError] = {}
        #: Where the place of each outcome is that was delivered and not consumed, in their order.
        self._places: deque[RowSink | None] = deque()
        self._lanes: dict[str, _Lane] = {}
        for account, dispatcher in dispatchers.items():
            sink = dispatcher.open_feed(partial(self._deliver_from, account), options)
            lane = self._lanes[account] = _Lane(account, sink)
            supervisor.start(self._serve(lane), name=f"lane of account {account}", may_return=True)
            supervisor.start(self._watch(lane), name=f"watch over account {account}", may_return=True)
        self._live = set(self._lanes)
        if not self._live:
            self.end(AccountsGivenUpError(self._given_up()))

    def _given_up(self) -> dict[str, StopcastError]:
        """Return why the calls of accounts have ended, as far as this stream is concerned."""
        ended = {account: lane.sink.error for account, lane in self._lanes.items()}
        own = {account: error for account, error in ended.items() if isinstance(error, StopcastError)}
        return {**self._not_entered, **own}

    @property
    def error(self) -> BaseException | None:
        """What ended the stream early, or why some rows have no outcome."""
        if self._error is None and self._errors:
            return AccountsGivenUpError(self._errors)
        return self._error

    @property
    def without_outcome(self) -> int:
        """Rows that were accepted and have no outcome: they were taken back, or their call was cut off."""
        return self._without_outcome + sum(lane.sink.without_outcome for lane in self._lanes.values())

    @property
    def given_back(self) -> int:
        """Rows that were returned to their source."""
        return sum(lane.sink.given_back for lane in self._lanes.values())

    @property
    def _ending(self) -> bool:
        return self._closed or self._error is not None

    @property
    def _waiting(self) -> int:
        return sum(len(lane.rows) for lane in self._lanes.values())

    def submit(self, rows: Iterable[Accepted]) -> None:
        """Accept rows. Those of an account that was given up are taken back."""
        for row in rows:
            account = self._account_of(row)
            if account is None:
                self.refuse(self._unclaimed(row))
            elif account not in self._live:
                self._errors[account] = self._given_up()[account]
                self._without_outcome += 1
            elif self._ending:
                self._without_outcome += 1
            else:
                lane = self._lanes[account]
                lane.rows.append(row)
                lane.changed.set()

    def refuse(self, outcome: Outcome) -> None:
        """Deliver the outcome of a row that is not sent."""
        if not self._closed:
            self._places.append(None)
            self._deliver(outcome)

    def _deliver_from(self, account: str, outcome: Outcome) -> None:
        self._places.append(self._lanes[account].sink)
        self._deliver(outcome)
        self._changed.set()

    def consumed(self) -> None:
        """Free the place of the outcome that was delivered first of those not consumed."""
        sink = self._places.popleft()
        if sink is not None:
            sink.consumed()
        if len(self._places) == self._most_unconsumed - 1:
            self._changed.set()

    def end(self, error: BaseException) -> None:
        """End the stream early."""
        if self._error is None:
            self._error = error
            self._end(lambda sink: sink.end(error))

    def close(self) -> None:
        """End the stream because its consumer has left."""
        if not self._closed:
            self._closed = True
            self._on_closed(self)
            self._end(lambda sink: sink.close())

    def _end(self, end: Callable[[RowSink], None]) -> None:
        for lane in self._lanes.values():
            self._empty(lane)
            end(lane.sink)
        self._changed.set()

    def _empty(self, lane: _Lane) -> None:
        self._without_outcome += len(lane.rows)
        lane.rows.clear()
        lane.changed.set()

    async def _serve(self, lane: _Lane) -> None:
        """Hand an account's rows on, as fast as it takes them."""
        while not self._ending and lane.account in self._live:
            if not lane.rows:
                lane.changed.clear()
                await lane.changed.wait()
                continue
            await lane.sink.wait_for_room()
            handful = [lane.rows.popleft() for _ in range(min(HANDFUL, len(lane.rows)))]
            lane.sink.submit(handful)
            self._changed.set()

    async def _watch(self, lane: _Lane) -> None:
        """Give the lane up when its account's calls have ended."""
        await lane.sink.ended()
        error = lane.sink.error
        # What ends the whole stream is not the account's own error.
        if self._ending or not isinstance(error, StopcastError):
            return
        self._live.discard(lane.account)
        # A stream that has no row of the account does not hear of its end.
        if lane.rows or lane.sink.without_outcome:
            self._errors[lane.account] = error
        self._empty(lane)
        await lane.sink.settled()
        self._changed.set()
        if not self._live:
            self.end(AccountsGivenUpError(self._given_up()))

    async def wait_for_room(self) -> None:
        """Return when more rows may be accepted, or when the stream is ending."""
        # Rows are read until every account has some, and that must not keep the calls from being made.
        await asyncio.sleep(0)
        await self._until(lambda: self._ending or self._has_room())

    def _has_room(self) -> bool:
        return (
            self._waiting < self._max_backlog
            and len(self._places) < self._most_unconsumed
            and any(len(self._lanes[account].rows) < HANDFUL for account in self._live)
        )

    async def ended(self) -> None:
        """Return when the stream is ending."""
        await self._until(lambda: self._ending)

    async def settled(self) -> None:
        """Return when every row has its outcome, or was taken back."""
        await self._until(lambda: not self._waiting)
        for lane in self._lanes.values():
            await lane.sink.settled()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()
