"""One stream of jobs through the dispatchers of many accounts: what waits for which of them, and whose turn it is."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from stopcast.engine.dispatch import Dispatcher
from stopcast.engine.feed import Feed, Job
from stopcast.errors import AccountsGivenUpError, ClosedError, StopcastError
from stopcast.events import Event
from stopcast.ports import Flights
from stopcast.tasks.outcome import Outcome

#: Jobs that are handed to a dispatcher at once, and that each account should have ready.
HANDFUL: Final = 64


class RoutedFeed(Feed):
    """One stream of jobs through the dispatchers of many accounts.

    Attributes:
        live: the accounts that calls are made for.
        serving: what hands the jobs on, a task for each account.
    """

    def __init__(
        self,
        deliver: Callable[[Outcome], None],
        *,
        dispatchers: Mapping[str, Dispatcher],
        max_backlog: int,
        observe: Callable[[Event], None],
        observed: bool,
        priority: int,
        flights: Flights | None,
        given_up: Mapping[str, StopcastError],
        give_up: Callable[[str, StopcastError], None],
    ) -> None:
        self._most_unconsumed = max((it.most_outstanding for it in dispatchers.values()), default=1)
        super().__init__(
            deliver, most_outstanding=self._most_unconsumed, observe=observe, observed=observed, priority=priority
        )
        self._max_backlog = max_backlog
        self._backlog = 0
        self._given_up = given_up
        self._give_up = give_up
        #: Whose credit each outcome is that was handed over and not consumed, in their order.
        self._credits: deque[Feed] = deque()
        #: Why jobs have no outcome, by account.
        self._errors: dict[str, StopcastError] = {}
        self._legs = {name: _Leg(name, it, self._land, priority, flights) for name, it in dispatchers.items()}
        self.live = set(self._legs)
        self.serving = [asyncio.create_task(self._serve(leg)) for leg in self._legs.values()]

    def _land(self, leg: _Leg, outcome: Outcome) -> None:
        leg.unsettled -= 1
        if not leg.unsettled:
            self._changed.set()
        self._credits.append(leg.feed)
        self._deliver(outcome)

    def route(self, account: str, job: Job) -> None:
        """Take a job in for an account. Where that was given up, it has no outcome."""
        if account not in self.live:
            self._errors[account] = self._given_up[account]
            return
        leg = self._legs[account]
        leg.unsettled += 1
        job.feed = leg.feed
        leg.backlog.append(job)
        leg.stirred.set()
        self._backlog += 1

    def tell(self, outcome: Outcome) -> None:
        """Hand over the outcome of a row that never became a job."""
        self._credits.append(self)
        super().tell(outcome)

    def consumed(self) -> None:
        """Give the credit of one outcome back."""
        whose = self._credits.popleft()
        if whose is self:
            super().consumed()
        else:
            whose.consumed()
        if len(self._credits) == self._most_unconsumed - 1:
            self._changed.set()

    async def _serve(self, leg: _Leg) -> None:
        """Hand an account's jobs to its dispatcher, as fast as that takes them, until it is given up."""
        try:
            while True:
                if not leg.backlog:
                    leg.stirred.clear()
                    await leg.stirred.wait()
                await leg.feed.room()
                handful = [leg.backlog.popleft() for _ in range(min(HANDFUL, len(leg.backlog)))]
                self._backlog -= len(handful)
                self._changed.set()
                leg.dispatcher.submit(leg.feed, handful)
        except StopcastError as error:
            # What ends all accounts is no account's own error.
            if isinstance(error, ClosedError):
                self.fail(error)
            elif error is not self.error:
                self._give_up(leg.account, error)
                self._drop(leg)
            await leg.dispatcher.idle()
            if leg.unsettled:
                self._errors[leg.account] = error
            leg.ended = True
            self._changed.set()

    def _drop(self, leg: _Leg) -> None:
        self.live.discard(leg.account)
        self._backlog -= len(leg.backlog)
        leg.backlog.clear()
        self._changed.set()
        if not self.live:
            self.fail(AccountsGivenUpError(self._given_up))

    def close(self) -> None:
        """Drop what has not been sent; outcomes of calls in flight are still handed over."""
        super().close()
        for task in self.serving:
            task.cancel()
        for leg in self._legs.values():
            leg.backlog.clear()
            leg.dispatcher.close_feed(leg.feed)

    async def room(self) -> None:
        """Return when more rows may be taken; raise the error that ended the feed."""
        # Rows are read until every account has some, and that must not keep the calls from being made.
        await asyncio.sleep(0)
        await self._until(self._wants_rows)

    def _wants_rows(self) -> bool:
        return (
            self._backlog < self._max_backlog
            and len(self._credits) < self._most_unconsumed
            and any(len(leg.backlog) < HANDFUL for leg in self._legs.values() if leg.account in self.live)
        )

    async def settled(self) -> None:
        """Return when every job has its outcome.

        Raises:
            AccountsGivenUpError: jobs of these accounts have none. All the others have theirs.
            StopcastError: what ended the feed.
        """
        await self._until(lambda: all(leg.ended or not leg.unsettled for leg in self._legs.values()))
        if self._errors:
            raise AccountsGivenUpError(self._errors)


class _Leg:
    """A stream's part at one account."""

    def __init__(
        self,
        account: str,
        dispatcher: Dispatcher,
        land: Callable[[_Leg, Outcome], None],
        priority: int,
        flights: Flights | None,
    ) -> None:
        self.account = account
        self.dispatcher = dispatcher
        self.backlog: deque[Job] = deque()
        self.unsettled = 0
        self.ended = False
        self.stirred = asyncio.Event()
        self.feed = dispatcher.open_feed(lambda outcome: land(self, outcome), priority=priority, flights=flights)
        self.feed.when_failed(self.stirred.set)
