"""The dispatchers of several accounts as one, and what counts their calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from stopcast.accounts.lanes import HANDFUL, Lanes
from stopcast.accounts.routes import UNCLAIMED
from stopcast.background import Supervisor
from stopcast.engine.contracts import StreamOptions
from stopcast.engine.dispatch import Dispatcher
from stopcast.errors import ORDERED_ENDS, ClosedError, StopcastError
from stopcast.events import AccountGivenUp, AppUnclaimed, TaskRefused
from stopcast.limiters.rolling_window import RollingWindow
from stopcast.logs import Observers
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task

if TYPE_CHECKING:
    from stopcast.tasks.intake import Accepted

#: AppIds that an event is made of. A wrong list may hold any number of them.
_MOST_UNCLAIMED: Final = 20


@dataclass(frozen=True, slots=True)
class Meters:
    """What counts the calls of several accounts.

    Attributes:
        by_account: each account's.
    """

    by_account: Mapping[str, RollingWindow]

    @property
    def calls(self) -> int:
        """Calls of all accounts."""
        return sum(meter.calls for meter in self.by_account.values())

    @property
    def worst_second(self) -> int:
        """The most calls that one account made in any second: each has its own cap."""
        return max(meter.worst_second for meter in self.by_account.values())

    @property
    def mean_per_second(self) -> float:
        """Calls a second of all accounts, from the first call to the last; never more than their worst seconds."""
        used = [meter for meter in self.by_account.values() if meter.calls]
        seconds = max((meter.last for meter in used), default=0.0) - min((meter.first for meter in used), default=0.0)
        mean = (self.calls - 1) / seconds if seconds > 0 else 0.0
        return min(mean, float(sum(meter.worst_second for meter in used)))


class RoutingDispatcher:
    """Dispatchers as one, each with the rows of its account. Fills ``stopcast.engine.contracts.AnyDispatcher``.

    Args:
        account_of: returns the account of an AppId, None if no account claims it.
        max_backlog: rows of one stream that may wait because their accounts are behind. The rows that were read with
            the last of them come on top.
        observers: get each event.

    Attributes:
        error: what ended the calls of all accounts, None while they go on.
    """

    def __init__(
        self,
        account_of: Callable[[str], str | None],
        *,
        max_backlog: int,
        observers: Observers,
    ) -> None:
        self._account_of = account_of
        self._dispatchers: dict[str, Dispatcher] = {}
        self._not_entered: dict[str, StopcastError] = {}
        self._max_backlog = max_backlog
        self._observers = observers
        self._streams: set[Lanes] = set()
        self._unclaimed: set[str] = set()
        self._supervisor = Supervisor(self.stop)
        self.error: StopcastError | None = None

    def add(self, account: str, dispatcher: Dispatcher) -> None:
        """Make an account's calls with this dispatcher."""
        self._dispatchers[account] = dispatcher
        dispatcher.when_ended(partial(self._on_account_ended, account))

    def leave_out(self, account: str, error: StopcastError) -> None:
        """Make no calls of an account, because its Stopper cannot be entered."""
        self._not_entered[account] = error
        self._observers.notify(AccountGivenUp(account, str(error)))

    def _on_account_ended(self, account: str, error: StopcastError) -> None:
        if self._is_its_own(error):
            self._observers.notify(AccountGivenUp(account, str(error)))

    def _is_its_own(self, error: StopcastError) -> bool:
        """Return whether an account's calls ended while those of the others may go on."""
        return error is not self.error and not isinstance(error, ORDERED_ENDS)

    @property
    def given_up(self) -> dict[str, StopcastError]:
        """Accounts whose calls have ended while those of the others may go on, and why."""
        ended = {name: dispatcher.error for name, dispatcher in self._dispatchers.items()}
        own = {name: error for name, error in ended.items() if error is not None and self._is_its_own(error)}
        return self._not_entered | own

    @property
    def accounts(self) -> Collection[str]:
        """Those that have a dispatcher."""
        return self._dispatchers.keys()

    @property
    def most_outstanding(self) -> int:
        """Rows of one stream that may be with the accounts. Those that wait in their lanes do not count."""
        return sum(dispatcher.most_outstanding + HANDFUL for dispatcher in self._dispatchers.values())

    @property
    def in_flight(self) -> int:
        """Calls that were sent and have no answer yet."""
        return sum(dispatcher.in_flight for dispatcher in self._dispatchers.values())

    @property
    def waiting(self) -> int:
        """Jobs that wait for their next attempt."""
        return sum(dispatcher.waiting for dispatcher in self._dispatchers.values())

    def open_feed(self, deliver: Callable[[Outcome], None], options: StreamOptions) -> Lanes:
        """Open a stream of rows whose outcomes go to ``deliver``, on the event loop."""
        lanes = Lanes(
            deliver,
            dispatchers=self._dispatchers,
            account_of=lambda row: self._account_of(row.task.app_id),
            unclaimed=self._refuse_row,
            not_entered=self._not_entered,
            on_closed=self._streams.discard,
            max_backlog=self._max_backlog,
            supervisor=self._supervisor,
            options=options,
        )
        self._streams.add(lanes)
        if self.error is not None:
            lanes.end(self.error)
        return lanes

    def refuse(self, outcome: Outcome) -> None:
        """Emit the event of a row that is not sent."""
        if self._observers.want_all:
            self._observers.notify(TaskRefused(outcome))

    def refuse_unclaimed(
        self, task: Task, *, source: str | None = None, line: int | None = 1, in_doubt: bool = False
    ) -> Outcome:
        """Return the outcome of a task that no account claims, and emit the event of its AppId."""
        app_id = task.app_id
        if app_id not in self._unclaimed and len(self._unclaimed) < _MOST_UNCLAIMED:
            self._unclaimed.add(app_id)
            self._observers.notify(AppUnclaimed(app_id))
        outcome = Outcome(
            task,
            Status.SET_ASIDE,
            message=UNCLAIMED,
            source=source,
            line=line,
            finished_at=time.time(),
            in_doubt=in_doubt,
        )
        self.refuse(outcome)
        return outcome

    def _refuse_row(self, row: Accepted) -> Outcome:
        return self.refuse_unclaimed(row.task, source=row.source, line=row.line, in_doubt=row.in_doubt)

    def stop(self, error: StopcastError) -> None:
        """Make no further call for any account. Calls in flight finish, and their outcomes are delivered."""
        if self.error is None:
            self.error = error
        for lanes in tuple(self._streams):
            lanes.end(self.error)
        for dispatcher in self._dispatchers.values():
            dispatcher.stop(self.error)

    async def idle(self) -> None:
        """Return when no call is in flight."""
        for dispatcher in self._dispatchers.values():
            await dispatcher.idle()

    def cancel(self) -> None:
        """Cut off the calls in flight. Call ``stop`` first."""
        for dispatcher in self._dispatchers.values():
            dispatcher.cancel()

    async def close(self) -> None:
        """Stop, cut off what is in flight, and leave nothing behind."""
        self.stop(ClosedError("the calls were cancelled"))
        for lanes in tuple(self._streams):
            lanes.close()
        try:
            for dispatcher in self._dispatchers.values():
                await dispatcher.close()
        finally:
            await self._supervisor.end()
