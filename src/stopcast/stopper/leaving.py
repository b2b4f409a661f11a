"""How the calls of a Stopper or a Router come to their end: in order within some seconds, or at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from stopcast.background import END_WITHIN_SECONDS, check_loop, finish_task
from stopcast.engine.contracts import AnyDispatcher
from stopcast.errors import ClosedError
from stopcast.stopper.stream import Streams

#: Blocks that were never left and are being closed. The event loop itself keeps no task alive.
_closing: Final[set[asyncio.Task[None]]] = set()


class Leaving:
    """Ends the calls of one block, once.

    Args:
        dispatcher: makes the calls.
        streams: the open ones.
        drain_seconds: how long calls in flight may take to finish.
        close: closes what the calls need.

    Attributes:
        loop: the event loop of the block.
    """

    def __init__(
        self,
        dispatcher: AnyDispatcher,
        streams: Streams,
        *,
        drain_seconds: float,
        close: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self._dispatcher = dispatcher
        self._streams = streams
        self._drain_seconds = drain_seconds
        self._close_rest = close
        self.loop: Final = asyncio.get_running_loop()
        self._draining: asyncio.Task[None] | None = None

    def drain(self, error: ClosedError) -> Awaitable[None]:
        """Make no further call from now on. The returned awaitable waits for the calls in flight.

        Raises:
            ClosedError: not on the event loop of the block.
        """
        check_loop(self.loop)
        self._dispatcher.stop(error)
        if self._draining is None:
            self._draining = self.loop.create_task(self._drain(), name="stopcast drain")
            # A handler of `signal.signal` runs on the loop's thread and does not wake the loop.
            self.loop.call_soon_threadsafe(lambda: None)
        return asyncio.shield(self._draining)

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self._drain_seconds):
                await self._dispatcher.idle()
        except TimeoutError:
            self._dispatcher.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(END_WITHIN_SECONDS):
                    await self._dispatcher.idle()

    async def leave(self, error: ClosedError, *, cancelled: bool) -> None:
        """End the calls in order, or at once where the block was cancelled, and close what they need."""
        # What is synchronous comes first: this task may be cancelled again at any await.
        drained = self.drain(error)
        try:
            if cancelled:
                self._streams.cut_off(error)
            else:
                await drained
        except asyncio.CancelledError:
            self._streams.cut_off(error)
            raise
        finally:
            await finish_task(self.loop.create_task(self._close()), within_seconds=2 * END_WITHIN_SECONDS)

    async def _close(self) -> None:
        try:
            await self._dispatcher.close()
            await self._streams.finish()
            if self._draining is not None:
                await finish_task(self._draining, within_seconds=END_WITHIN_SECONDS)
        finally:
            await self._close_rest()

    def abandon(self) -> None:
        """Close a block that was never left and that nothing refers to any more. This may happen in any thread."""

        def close() -> None:
            self._dispatcher.stop(ClosedError("it was never closed"))
            task = self.loop.create_task(self._close(), name="stopcast closing")
            _closing.add(task)
            task.add_done_callback(_closing.discard)

        if not self.loop.is_closed():
            with suppress(RuntimeError):  # it is closed meanwhile
                self.loop.call_soon_threadsafe(close)
            return
        # On a closed loop nothing is left to wait for.
        closing = self._close_rest()
        with suppress(StopIteration, RuntimeError):
            closing.send(None)
        closing.close()
