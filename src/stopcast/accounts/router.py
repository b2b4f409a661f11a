"""Several accounts in one program: a Stopper for each, and each task to the one that its AppId belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, Self

from stopcast.accounts.dispatch import Meters, RoutingDispatcher
from stopcast.accounts.routes import Routes
from stopcast.api.actions import Action
from stopcast.background import END_WITHIN_SECONDS, Block, finish_task
from stopcast.checks import check_instance, check_number, check_priority, check_whole_number
from stopcast.errors import (
    ORDERED_ENDS,
    AccountsGivenUpError,
    ClosedError,
    ConfigurationError,
    HaltedError,
    StopcastError,
)
from stopcast.logs import Observers
from stopcast.ports import Limiter, Observer
from stopcast.sources.iterables import AnyTasks
from stopcast.sources.objects import AnyTask
from stopcast.stopper.one_task import checked
from stopcast.stopper.settings import resolve_observers
from stopcast.stopper.state import StopperState
from stopcast.stopper.stream import OutcomeStream, Streams, in_order
from stopcast.stopper.task_calls import TaskCalls
from stopcast.tasks.outcome import Outcome

#: About 50 MB of rows. At the cap it is eleven minutes of one account's calls.
MAX_BACKLOG: Final = 100_000


class Router:
    """Stops webcast tasks of several accounts side by side, each within its own cap and with its own credentials.

        Router({"a": Stopper(key_a), "b": Stopper(key_b)}, {"app-1": "a", "live-*": "b"})

    Used as an async context manager, which enters and leaves its Stoppers. When the calls of an account end, for
    instance because its key is refused, the others go on. Its tasks that were not sent have no outcome, and a stream
    that had some of them raises AccountsGivenUpError after all other outcomes. A task whose AppId no account claims is
    not sent: its outcome is ``set_aside``.

    Args:
        stoppers: a Stopper for each account, by the account's name. Use it for nothing else.
        routes: the account's name by AppId, or by a pattern of AppIds; see ``stopcast.accounts.routes``.
        max_backlog: tasks of one stream that may wait because their account is slow, all accounts together. It bounds
            the memory. Tasks are read in their order, so beyond it all accounts wait for the slow one.
        observers: are notified of an account that is given up, and of tasks that are not sent. Each Stopper has its
            own observers for its calls.

    Raises:
        ConfigurationError: a route to an account that does not exist, or one that is no AppId and no pattern.
    """

    def __init__(
        self,
        stoppers: Mapping[str, TaskCalls],
        routes: Mapping[str, str],
        *,
        max_backlog: int = MAX_BACKLOG,
        observers: Sequence[Observer] = (),
    ) -> None:
        check_whole_number("max_backlog", max_backlog, least=1)
        for name, stopper in stoppers.items():
            check_instance(f"the Stopper of {name}", stopper, TaskCalls)
        if len({stopper.action.name for stopper in stoppers.values()}) > 1:
            raise ConfigurationError("a Router needs Stoppers only, or Verifiers only")
        if unknown := set(routes.values()) - stoppers.keys():
            raise ConfigurationError(f"there is no account {', '.join(sorted(unknown))}")
        if not stoppers or len(set(map(id, stoppers.values()))) < len(stoppers):
            raise ConfigurationError("a Router needs at least one account, and a Stopper of its own for each")
        self.stoppers: Final = dict(stoppers)
        self.routes: Final = Routes(routes)
        self._max_backlog = max_backlog
        self._observers = Observers(resolve_observers(observers))
        self._streams = Streams()
        self._dispatcher: RoutingDispatcher | None = None
        self._block = Block(type(self).__name__)

    async def __aenter__(self) -> Self:
        with self._block.entering():
            await self._enter()
        return self

    async def _enter(self) -> None:
        dispatcher = RoutingDispatcher(
            self.routes.account_of,
            max_backlog=self._max_backlog,
            observers=self._observers,
        )

        async def enter(name: str, stopper: TaskCalls) -> None:
            stopper.name_account(name)
            try:
                await stopper.__aenter__()
            except HaltedError as error:
                dispatcher.leave_out(name, error)
            else:
                dispatcher.add(name, stopper.dispatcher)

        self._dispatcher = dispatcher
        try:
            # One whose provider hangs must not make the others wait in a row.
            async with asyncio.TaskGroup() as entering:
                for name, stopper in self.stoppers.items():
                    entering.create_task(enter(name, stopper))
        except BaseException as error:  # noqa: BLE001 - those that were entered are left, whatever it is
            await self._leave(type(error))
            raise (error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error) from None

    async def __aexit__(self, exc_type: type[BaseException] | None, *_error: object) -> None:
        with self._block.leaving():
            await self._leave(exc_type)

    async def _leave(self, exc_type: type[BaseException] | None) -> None:
        dispatcher, self._dispatcher = self.dispatcher, None
        error = ClosedError("the Router was left")
        # What is synchronous comes first: this task may be cancelled again at any await.
        dispatcher.stop(error)
        if exc_type is not None and issubclass(exc_type, asyncio.CancelledError):
            self._streams.cut_off(error)
        entered = [self.stoppers[name] for name in dispatcher.accounts]
        leaving = asyncio.gather(*(stopper.__aexit__(exc_type) for stopper in entered))
        try:
            await leaving
        except asyncio.CancelledError:
            self._streams.cut_off(error)
            raise
        finally:
            await finish_task(asyncio.create_task(self._close(dispatcher)), within_seconds=2 * END_WITHIN_SECONDS)

    async def _close(self, dispatcher: RoutingDispatcher) -> None:
        await dispatcher.close()
        await self._streams.finish()

    def drain(self) -> Awaitable[object]:
        """Make no further call for any account, and let the calls in flight finish, as ``Stopper.drain`` does.

        Raises:
            ClosedError: outside the ``async with`` block, or on another event loop.
        """
        open_stoppers = self._open()
        drained = [stopper.drain() for stopper in open_stoppers]
        self.dispatcher.stop(ClosedError("the Router is draining"))
        return asyncio.gather(*drained)

    @property
    def dispatcher(self) -> RoutingDispatcher:
        """What runs the attempts.

        Raises:
            ClosedError: outside the ``async with`` block.
        """
        if self._dispatcher is None:
            raise ClosedError("use the Router inside its `async with` block")
        return self._dispatcher

    @property
    def action(self) -> Action:
        """What the API is asked for each task."""
        return next(iter(self.stoppers.values())).action

    @property
    def meter(self) -> Meters:
        """What counts the calls."""
        return Meters({name: stopper.meter for name, stopper in self.stoppers.items()})

    @property
    def timeout_seconds(self) -> float:
        """The longest that a call takes from its permit on."""
        return max(stopper.timeout_seconds for stopper in self.stoppers.values())

    @property
    def limiter(self) -> Limiter:
        """The cap of the account that has the greatest."""
        return max((stopper.limiter for stopper in self.stoppers.values()), key=lambda limiter: limiter.max_per_second)

    @property
    def max_per_second(self) -> float:
        """The caps of all accounts, together."""
        return sum(stopper.limiter.max_per_second for stopper in self.stoppers.values())

    @property
    def limited_to(self) -> float:
        """Calls a second that all accounts together may make now."""
        return sum(stopper.limiter.limited_to for stopper in self.stoppers.values())

    @property
    def paused(self) -> bool:
        """Whether no call is made until ``resume``."""
        return all(stopper.paused for stopper in self._open())

    def pause(self) -> None:
        """Make no further call for any account until ``resume``. Calls in flight finish; nothing is lost."""
        for stopper in self._open():
            stopper.pause()

    def resume(self) -> None:
        """Make calls again, at the same rate as before."""
        for stopper in self._open():
            stopper.resume()

    def limit_to(self, calls_per_second: float) -> None:
        """Make at most about this number of calls a second for each account from now on. Its cap still holds.

        Raises:
            ConfigurationError: the rate is above the greatest cap or too close to 0, or it is a limiter of your own
                whose rate cannot be changed.
        """
        check_number("calls_per_second", calls_per_second)
        if calls_per_second > (most := self.limiter.max_per_second):
            raise ConfigurationError(f"{calls_per_second:g} calls a second are more than the cap of {most:g}")
        for stopper in self._open():
            stopper.limit_to(min(calls_per_second, stopper.limiter.max_per_second))

    def _open(self) -> list[TaskCalls]:
        return [self.stoppers[name] for name in self.dispatcher.accounts]

    @property
    def state(self) -> StopperState:
        """The best state of all accounts, for a health check. ``stoppers[name].state`` has each account's own."""
        best_first = list(StopperState)
        return min((stopper.state for stopper in self.stoppers.values()), key=best_first.index)

    @property
    def error(self) -> StopcastError | None:
        """What ended the calls of all accounts, or of some (AccountsGivenUpError); None as a Stopper's."""
        if self._dispatcher is None:
            return None
        error = self._dispatcher.error
        if error is not None and not isinstance(error, ORDERED_ENDS):
            return error
        given_up = self._dispatcher.given_up
        return AccountsGivenUpError(given_up) if given_up else None

    def retry_key(self) -> bool:
        """Try the keys again that were refused for good, as ``Stopper.retry_key`` does; return whether there was one.

        Raises:
            ClosedError: outside the ``async with`` block.
        """
        retried = [stopper.retry_key() for stopper in self._open()]
        return any(retried)

    @property
    def given_up(self) -> Mapping[str, StopcastError]:
        """Accounts that no call is made for any more, and why."""
        return self.dispatcher.given_up

    async def stop(self, task: AnyTask, *, priority: int = 0) -> Outcome:
        """Stop one task, and return its outcome.

        Raises:
            StopcastError: broken machinery, such as refused credentials of its account.
        """
        found = checked(task)
        dispatcher = self.dispatcher
        if isinstance(found, Outcome):
            dispatcher.refuse(found)
            return found
        account = self.routes.account_of(found.app_id)
        if account is None:
            return dispatcher.refuse_unclaimed(found)
        check_priority(priority)
        if account in dispatcher.accounts:
            return await self.stoppers[account].dispatcher.call(found, priority=priority).outcome()
        raise AccountsGivenUpError({account: dispatcher.given_up[account]})

    def stop_all(self, tasks: AnyTasks, *, priority: int = 0) -> OutcomeStream:
        """Stop many tasks, and return the outcomes as they come, as ``Stopper.stop_all`` does.

        Raises:
            AccountsGivenUpError: the tasks of these accounts have no outcome. Those of the others came before it.
        """
        check_priority(priority)
        return self._streams.stream(tasks, self.dispatcher, priority=priority)

    async def stop_many(self, tasks: AnyTasks, *, priority: int = 0) -> list[Outcome]:
        """Stop many tasks, and return their outcomes in the order of the tasks, as ``Stopper.stop_many`` does.

        Raises:
            AccountsGivenUpError: tasks of these accounts were not sent.
        """
        return await in_order(self.stop_all(tasks, priority=priority))
