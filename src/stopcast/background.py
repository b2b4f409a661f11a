"""Background tasks: one block owns each of them, none fails unseen, and none outlives its block.

A task that is cancelled once need not end. ``asyncio.timeout`` swallows a cancellation that is pending
(python/cpython#134471; redis-py enters one whenever it takes a connection), and so does any ``except CancelledError``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NoReturn, TypeVar

from stopcast.errors import BackgroundTaskError, ClosedError

_T = TypeVar("_T")
_LOG: Final = logging.getLogger("stopcast")
#: How long a task has to end before it is left alone.
END_WITHIN_SECONDS: Final = 2.0
#: A task may await in its own clean-up, so it gets this time until it is cancelled again, and twice the last each time.
_FIRST_PATIENCE_SECONDS: Final = 0.05


async def end_task(
    task: asyncio.Task[Any],
    *,
    within_seconds: float = END_WITHIN_SECONDS,
    patience_seconds: float = 0.0,
    repeat: bool = True,
) -> bool:
    """Cancel a task until it has ended, and return whether it has.

    It is cancelled first after ``patience_seconds``, in which it may end by itself. Without ``repeat`` it is cancelled
    only once: for a task that runs the caller's own code, whose clean-up may take its time. A task that has not ended
    within ``within_seconds`` is logged by its name and left alone. What the task raised is not raised here. A
    cancellation of the caller, however often it comes, is raised once the task has ended.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + within_seconds
    cancel_at = loop.time() + patience_seconds
    patience_seconds = _FIRST_PATIENCE_SECONDS
    cancelled: asyncio.CancelledError | None = None
    while not task.done() and (now := loop.time()) < give_up_at:
        if now >= cancel_at:
            task.cancel()
            cancel_at = now + patience_seconds if repeat else give_up_at
            patience_seconds *= 2
        try:
            await asyncio.wait((task,), timeout=min(cancel_at, give_up_at) - now)
        except asyncio.CancelledError as error:
            cancelled = error
    if not task.done():
        _LOG.error(
            "the background task %s has not ended within %g s",
            task.get_name(),
            within_seconds,
            extra={"event": "task_not_ended"},
        )
    elif not task.cancelled():
        task.exception()  # marks it as seen
    if cancelled is not None:
        raise cancelled
    return task.done()


async def finish_task(task: asyncio.Task[Any], *, within_seconds: float) -> None:
    """Let a task come to its end, and end it by ``end_task`` if it has not after this time.

    A cancellation of the caller shortens the time to ``END_WITHIN_SECONDS``, however often it comes, and is raised once
    the task has ended. What the task raised is raised as well.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + within_seconds
    cancelled: asyncio.CancelledError | None = None
    while not task.done() and (left := ends_at - loop.time()) > 0:
        try:
            await asyncio.wait((task,), timeout=left)
        except asyncio.CancelledError as error:
            cancelled = error
            ends_at = min(ends_at, loop.time() + END_WITHIN_SECONDS)
    await end_task(task)
    if cancelled is not None:
        raise cancelled
    if task.done() and not task.cancelled():
        task.result()


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """End tasks by ``end_task``. A cancellation of the caller is raised once every one of them was dealt with."""
    cancelled: asyncio.CancelledError | None = None
    for task in tasks:
        try:
            await end_task(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def cancellable(
    coroutine: Coroutine[Any, Any, _T], *, name: str, unless: Coroutine[Any, Any, NoReturn] | None = None
) -> _T:
    """Return the coroutine's result, or raise what ``unless`` raises before that.

    The other one is then ended by ``end_task``. A cancellation of the caller ends both, whatever swallows one.
    """
    tasks: list[asyncio.Task[_T]] = [asyncio.create_task(each, name=name) for each in (coroutine, unless) if each]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task.done()).result()
    finally:
        await end_tasks(tasks)


def check_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Refuse what is called where this loop does not run: on another loop, or in a thread without one.

    Raises:
        ClosedError: it is.
    """
    running: asyncio.AbstractEventLoop | None
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is not loop:
        raise ClosedError("this was opened on another event loop; call it there, or make one for each loop")


class Block:
    """The ``async with`` block of an object: one at a time, and left on the event loop where it was entered.

    Args:
        name: the object's, for the errors.
        one_loop: whether the object serves only the event loop where it was entered first.
        again: whether it can be entered again once it was left.

    Attributes:
        loop: the event loop of the block; None outside it.
    """

    def __init__(self, name: str, *, one_loop: bool = False, again: bool = True) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._name = name
        self._one_loop = one_loop
        self._again = again
        #: That of the last block.
        self._last_loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def entering(self) -> Iterator[None]:
        """Enter the object, unless this block fails.

        Raises:
            ClosedError: it is open, or was left and cannot be entered again, or not here.
        """
        loop = asyncio.get_running_loop()
        if self.loop is not None or (self._one_loop and self._last_loop not in {None, loop}):
            raise ClosedError(f"this {self._name} is open already, or on another event loop; make one for each")
        if self._last_loop is not None and not self._again:
            raise ClosedError(f"this {self._name} was left; make a new one")
        self.loop = loop
        try:
            yield
        except BaseException:
            self.loop = None
            raise

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Leave the object with the end of this block.

        Raises:
            ClosedError: it is not open, or was entered on another event loop.
        """
        self.check()
        try:
            yield
        finally:
            self.loop, self._last_loop = None, self.loop

    def check(self) -> None:
        """Refuse what is called outside the block, or not on its event loop.

        Raises:
            ClosedError: it is.
        """
        if self.loop is None:
            raise ClosedError(f"use the {self._name} inside its `async with` block")
        check_loop(self.loop)

    def check_loop(self) -> None:
        """Refuse what is called in the block, and not on its event loop.

        Raises:
            ClosedError: it is.
        """
        if self.loop is not None:
            check_loop(self.loop)


class Supervisor:
    """Starts the background tasks of one block, and ends them with it.

    Args:
        on_failure: is called with a BackgroundTaskError, whose ``__cause__`` says more, when a task ends before it was
            asked to: it raised, was cancelled by something else, or returned where it should have gone on.
    """

    def __init__(self, on_failure: Callable[[BackgroundTaskError], None]) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(
        self, coroutine: Coroutine[Any, Any, object], *, name: str, may_return: bool = False
    ) -> asyncio.Task[object]:
        """Start a task. ``may_return`` says that its return is no failure."""
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, may_return=may_return))
        return task

    async def end(self, *tasks: asyncio.Task[Any]) -> None:
        """End these tasks, or all. A cancellation of the caller is raised once every one of them was dealt with."""
        ending = tasks or tuple(self._tasks)
        self._tasks.difference_update(ending)
        await end_tasks(ending)

    def _ended(self, task: asyncio.Task[Any], *, may_return: bool) -> None:
        name, cause = task.get_name(), None if task.cancelled() else task.exception()
        if task not in self._tasks:
            return
        self._tasks.discard(task)
        if cause is not None:
            kind = type(cause).__name__
            error = BackgroundTaskError(f"the background task {name} failed: {kind}: {cause}")
        elif task.cancelled():
            error = BackgroundTaskError(f"the background task {name} was cancelled by something else")
        elif may_return:
            return
        else:
            error = BackgroundTaskError(f"the background task {name} returned although it should go on")
        error.__cause__ = cause
        self._on_failure(error)
