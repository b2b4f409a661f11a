"""Many accounts side by side: each row goes to the dispatcher of its account, and none holds the others up.

A row whose account cannot take it yet waits in memory, so that the rows behind it can be read: they may be the other
accounts'. How many may wait is bounded for all accounts together. Beyond that an account that is behind does hold the
others up, because rows are read once and in their order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import Final

from stopcast.engine.dispatch import Dispatcher
from stopcast.engine.feed import Feed, Job
from stopcast.errors import AccountsGivenUpError, ClosedError, StopcastError
from stopcast.events import AccountGivenUp, AppUnclaimed, Event
from stopcast.outcome import Outcome, Status
from stopcast.ports import Flights

#: Jobs that are handed to a dispatcher at once, and that each account should have ready.
_HANDFUL: Final = 64
_UNCLAIMED: Final = "no account claims this AppId"
#: A wrong list may hold any number of AppIds.
_UNCLAIMED_TOLD: Final = 20


class RoutingDispatcher:
    """Dispatchers as one, each with the rows of its account.

    Args:
        account_of: returns the account of an AppId, None if it is nobody's.
        dispatchers: by account.
        max_backlog: rows that may wait because their accounts are behind, all accounts together. What was read with the
            last of them comes on top.
        observe: is told what happens.
        observed: whether it wants to be told of each row that is not sent.

    Attributes:
        error: what ended the calls of all accounts, None while they go on.
        given_up: accounts whose calls have ended before their time, and why.
    """

    def __init__(
        self,
        account_of: Callable[[str], str | None],
        dispatchers: Mapping[str, Dispatcher],
        *,
        given_up: MutableMapping[str, StopcastError],
        max_backlog: int,
        observe: Callable[[Event], None],
        observed: bool,
    ) -> None:
        self._account_of = account_of
        self._dispatchers = dispatchers
        self.given_up = given_up
        self._max_backlog = max_backlog
        self._observe = observe
        self._observed = observed
        self._feeds: set[RoutedFeed] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._unclaimed: set[str] = set()
        self.error: StopcastError | None = None

    @property
    def accounts(self) -> Collection[str]:
        """Those that have a dispatcher."""
        return self._dispatchers.keys()

    @property
    def most_outstanding(self) -> int:
        """Tasks of one feed that may be with the dispatchers; those that wait for them do not count."""
        return sum(dispatcher.most_outstanding + _HANDFUL for dispatcher in self._dispatchers.values())

    @property
    def in_flight(self) -> int:
        """Calls that were sent and have no answer yet."""
        return sum(dispatcher.in_flight for dispatcher in self._dispatchers.values())

    @property
    def waiting(self) -> int:
        """Jobs that wait for their next attempt."""
        return sum(dispatcher.waiting for dispatcher in self._dispatchers.values())

    def open_feed(
        self, deliver: Callable[[Outcome], None], *, priority: int = 0, flights: Flights | None = None
    ) -> RoutedFeed:
        """Open a stream of jobs whose outcomes go to ``deliver``, on the event loop."""
        feed = RoutedFeed(
            deliver,
            dispatchers=self._dispatchers,
            max_backlog=self._max_backlog,
            observe=self._observe,
            observed=self._observed,
            priority=priority,
            flights=flights,
            given_up=self.given_up,
            give_up=self._give_up,
        )
        self._feeds.add(feed)
        for task in feed.serving:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        if self.error is not None:
            feed.fail(self.error)
        elif not feed.live:
            feed.fail(AccountsGivenUpError(self.given_up))
        return feed

    def close_feed(self, feed: Feed) -> None:
        """Drop what the feed has not sent."""
        feed.close()
        self._feeds = {it for it in self._feeds if it is not feed}

    def submit(self, feed: Feed, jobs: Iterable[Job]) -> None:
        """Take jobs in; their outcomes reach the feed. Those of an account that was given up have none."""
        assert isinstance(feed, RoutedFeed), "a feed of this dispatcher's"  # noqa: S101 - a programmer's slip
        for job in jobs:
            account = self._account_of(job.task.app_id)
            if account is None:
                self._tell_once(job.task.app_id)
                feed.tell(replace(job.outcome(Status.SET_ASIDE), message=_UNCLAIMED))
            else:
                feed.route(account, job)

    def _tell_once(self, app_id: str) -> None:
        if app_id not in self._unclaimed and len(self._unclaimed) < _UNCLAIMED_TOLD:
            self._unclaimed.add(app_id)
            self._observe(AppUnclaimed(app_id))

    def _give_up(self, account: str, error: StopcastError) -> None:
        # What ends them all is nobody's own fault.
        if account in self.given_up:
            return
        self.given_up[account] = error
        self._observe(AccountGivenUp(account, str(error)))

    def stop(self, error: StopcastError) -> None:
        """Send no further call. Calls in flight finish; whoever waits on a feed gets ``error``."""
        if self.error is None:
            self.error = error
        for dispatcher in self._dispatchers.values():
            dispatcher.stop(self.error)
        for feed in self._feeds:
            feed.fail(self.error)

    async def idle(self) -> None:
        """Return when no call is in flight."""
        for dispatcher in self._dispatchers.values():
            await dispatcher.idle()

    def cancel(self) -> None:
        """Cut the calls in flight off. Begin no further one: call ``stop`` first."""
        for dispatcher in self._dispatchers.values():
            dispatcher.cancel()

    async def close(self) -> None:
        """Stop, cancel what is in flight, and leave nothing behind."""
        self.stop(ClosedError("the calls were cancelled"))
        for dispatcher in self._dispatchers.values():
            await dispatcher.close()
        if self._serving:
            await asyncio.wait(self._serving)


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
                handful = [leg.backlog.popleft() for _ in range(min(_HANDFUL, len(leg.backlog)))]
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
            and any(len(leg.backlog) < _HANDFUL for leg in self._legs.values() if leg.account in self.live)
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


AnyDispatcher = Dispatcher | RoutingDispatcher
