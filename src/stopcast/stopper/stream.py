"""Tasks in, outcomes out: one stream of tasks through a dispatcher, and all streams that are open."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from inspect import isasyncgen
from typing import Final, NoReturn, Self

from stopcast.background import END_WITHIN_SECONDS, check_loop, end_task, finish_task
from stopcast.engine.contracts import AnyDispatcher, RowSink, StreamOptions
from stopcast.engine.pump import pump
from stopcast.errors import StopcastError
from stopcast.ports import Flights, Ownership
from stopcast.sources.iterables import AnyTasks, batches_of, check_tasks
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome

#: The tasks' source may take this long to end.
_SOURCE_SECONDS: Final = 2 * END_WITHIN_SECONDS


class OutcomeStream(AsyncIterator[Outcome]):
    """The outcomes of many tasks as they come. ``Stopper.stop_all`` returns one.

    Nothing is read or sent before the first outcome is asked for. Tasks are read no faster than outcomes are consumed.
    ``aclose``, the end of ``async with``, and a cancellation while an outcome is awaited end the stream: tasks that
    were not sent stay unsent. A stream that is only dropped is closed when Python collects it, and leaving the Stopper
    ends all its streams.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        """Return the next outcome.

        Raises:
            StopAsyncIteration: all outcomes were returned, or the stream was closed.
            StopcastError: the calls have ended early. The outcomes of all tasks that were sent came before it.
            ClosedError: the stream began on another event loop.
        """
        return await self._flow.next()

    async def aclose(self) -> None:
        """End the stream. Calls in flight finish, and only observers see their outcomes."""
        await self._flow.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._flow.close()

    def __del__(self) -> None:
        self._flow.abandon()


class Flow:
    """What one stream is made of. The consumer's handle can be collected while this is still at work.

    Args:
        tasks: are read, once the first outcome is asked for.
        dispatcher: makes the calls.
        priority: of several streams, the one with the highest goes first.
        streams: the open ones.
    """

    def __init__(self, tasks: AnyTasks, dispatcher: AnyDispatcher, *, priority: int, streams: Streams) -> None:
        self._tasks = tasks
        self._dispatcher = dispatcher
        self._priority = priority
        self._streams = streams
        self._outcomes: deque[Outcome] = deque()
        self._arrived = asyncio.Event()
        self._sink: RowSink | None = None
        self._pumping: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._closed = False
        self._over = False

    def _start(self) -> None:
        # A queue keeps in mind which of its tasks a call may have reached, and knows which of them are still its own.
        source = self._tasks if isinstance(self._tasks, AsyncIterable) else None
        options = StreamOptions(
            self._priority,
            flights=source if isinstance(source, Flights) else None,
            ownership=source if isinstance(source, Ownership) else None,
        )
        self._sink = sink = self._dispatcher.open_feed(self._deliver, options)
        self._pumping = asyncio.create_task(self._read_all(sink), name="stopcast stream")
        self._pumping.add_done_callback(self._ended)
        self._streams.open.add(self)

    async def _read_all(self, sink: RowSink) -> None:
        # The batches are closed where they are read, however often this stream is cancelled.
        batches = batches_of(self._tasks)
        try:
            await pump(batches, Intake(), sink)
        finally:
            # A source that swallows its cancellation still runs, and was logged. To close it would raise.
            if isasyncgen(batches) and not batches.ag_running:
                await batches.aclose()

    def _ended(self, pumping: asyncio.Task[None]) -> None:
        self._streams.open.discard(self)
        self._over = True
        self._tasks = ()  # a generator may hold a file open
        error = None if pumping.cancelled() else pumping.exception()
        if not self._closed:
            self._error = error
        self._arrived.set()

    def _deliver(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._arrived.set()

    async def next(self) -> Outcome:
        """Return the next outcome; see ``OutcomeStream``."""
        if self._sink is None and not self._closed:
            self._start()
        while not self._outcomes:
            if self._closed or self._over:
                self._raise_end()
            self._arrived.clear()
            try:
                await self._arrived.wait()
            except asyncio.CancelledError:
                await self.close()
                raise
            except RuntimeError:
                # asyncio's error on another event loop, in words of stopcast.
                self._check_loop()
                raise
        if self._sink is not None:
            self._sink.consumed()
        return self._outcomes.popleft()

    def _check_loop(self) -> None:
        if self._pumping is not None and not self._pumping.done():
            check_loop(self._pumping.get_loop())

    def _raise_end(self) -> NoReturn:
        error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopAsyncIteration

    def _leave(self) -> None:
        # What is synchronous comes first: the consumer may be cancelled again at any await.
        self._closed = True
        self._outcomes.clear()
        self._arrived.set()
        if self._sink is not None:
            self._sink.close()

    async def close(self) -> None:
        """End the stream because its consumer leaves."""
        self._check_loop()
        self._error = None
        self._leave()
        if self._pumping is not None:
            await end_task(self._pumping, within_seconds=_SOURCE_SECONDS, repeat=False)

    def abandon(self) -> None:
        """End the stream because Python has collected its handle. This may happen in any thread."""
        if self._pumping is not None and not self._pumping.done():
            with suppress(RuntimeError):  # the loop is closed
                self._pumping.get_loop().call_soon_threadsafe(self._drop)

    def _drop(self) -> None:
        self._leave()
        if self._pumping is not None:
            self._pumping.cancel()

    def cut_off(self, error: StopcastError) -> None:
        """End the stream with this error, and deliver nothing more."""
        self._error = error
        self._leave()

    async def finish(self) -> None:
        """Wait for the end of a stream whose calls have ended."""
        if self._pumping is not None:
            await finish_task(self._pumping, within_seconds=_SOURCE_SECONDS)


class Streams:
    """The open streams of a Stopper or a Router."""

    def __init__(self) -> None:
        self.open: set[Flow] = set()

    def stream(self, tasks: AnyTasks, dispatcher: AnyDispatcher, *, priority: int) -> OutcomeStream:
        """Return the outcomes of these tasks.

        Raises:
            TypeError: they are no iterable of tasks.
        """
        check_tasks(tasks)
        return OutcomeStream(Flow(tasks, dispatcher, priority=priority, streams=self))

    def cut_off(self, error: StopcastError) -> None:
        """End all with this error, and deliver nothing more."""
        for flow in tuple(self.open):
            flow.cut_off(error)

    async def finish(self) -> None:
        """Wait until all have ended, after the calls have ended."""
        await asyncio.gather(*(flow.finish() for flow in self.open), return_exceptions=True)


async def in_order(stream: OutcomeStream) -> list[Outcome]:
    """Return all outcomes of a stream, in the order of its tasks."""
    async with stream:
        return sorted([outcome async for outcome in stream], key=lambda outcome: outcome.line or 0)
