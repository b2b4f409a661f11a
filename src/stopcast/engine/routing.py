"""Many accounts side by side: each row goes to the dispatcher of its account, and none holds the others up.

A row whose account cannot take it yet waits in memory, so that the rows behind it can be read: they may be the other
accounts'. How many may wait is bounded for all accounts together. Beyond that an account that is behind does hold the
others up, because rows are read once and in their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import Final

from stopcast.engine.dispatch import Dispatcher
from stopcast.engine.feed import Feed, Job
from stopcast.engine.routed_feed import HANDFUL, RoutedFeed
from stopcast.errors import AccountsGivenUpError, ClosedError, StopcastError
from stopcast.events import AccountGivenUp, AppUnclaimed, Event
from stopcast.ports import Flights
from stopcast.tasks.outcome import Outcome, Status

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
        return sum(dispatcher.most_outstanding + HANDFUL for dispatcher in self._dispatchers.values())

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


AnyDispatcher = Dispatcher | RoutingDispatcher
