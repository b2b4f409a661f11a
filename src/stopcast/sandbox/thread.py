"""Serves an emulator on a thread of its own, for callers without an event loop and for those with any."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from stopcast.sandbox.emulator import Emulator


@contextmanager
def serving(emulator: Emulator) -> Iterator[Emulator]:
    """Serve the emulator while the block lasts."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    over: Future[None] = Future()

    async def serve() -> None:
        ended = asyncio.Event()
        async with emulator:
            begun.set_result((asyncio.get_running_loop(), ended))
            await ended.wait()

    def run() -> None:
        try:
            # It ends what is still at work too, such as a connection that is being accepted.
            asyncio.run(serve())
            over.set_result(None)
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            (over if begun.done() else begun).set_exception(error)

    thread = threading.Thread(target=run, name="stopcast sandbox", daemon=True)
    thread.start()
    loop, ended = begun.result()
    try:
        yield emulator
    finally:
        loop.call_soon_threadsafe(ended.set)
        over.result()
