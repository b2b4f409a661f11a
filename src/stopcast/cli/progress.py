"""The progress line: on a terminal, and nowhere else."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from types import TracebackType
from typing import Final, Self

from stopcast.cli import telling
from stopcast.cli.lists import Lists
from stopcast.cli.options import unheard
from stopcast.run import Run
from stopcast.stopper import TaskCalls

_INTERVAL_SECONDS: Final = 0.5
#: The rate shown is that between this many looks.
_RATE_OVER: Final = 10
#: Of a terminal that does not say.
_COLUMNS: Final = 80


class Progress:
    """Draws one line over and over while the block lasts."""

    def __init__(self, run: Run, stopper: TaskCalls, lists: Lists, *, limit: int | None, shown: bool) -> None:
        self._run = run
        self._stopper = stopper
        self._lists = lists
        self._limit = limit
        self._shown = shown and sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._drawing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._shown:
            self._drawing = asyncio.create_task(self._draw())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._drawing is not None:
            self._drawing.cancel()
            await asyncio.wait([self._drawing])
            _write("")

    async def _draw(self) -> None:
        lines = await asyncio.to_thread(self._lists.count_lines)
        if lines is not None and self._limit is not None:
            lines = min(lines, self._limit)
        loop, run = asyncio.get_running_loop(), self._run
        looks = deque([(loop.time(), self._stopper.meter.calls)], maxlen=_RATE_OVER)
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            looks.append((loop.time(), self._stopper.meter.calls))
            (then, calls_then), (now, calls_now) = looks[0], looks[-1]
            rate = (calls_now - calls_then) / (now - then)
            done = run.finished + run.intake.settled + run.intake.told_earlier + run.intake.left_out
            _write(
                telling.progress(
                    run.summary(),
                    rate=rate,
                    in_flight=self._stopper.dispatcher.in_flight,
                    waiting=self._stopper.dispatcher.waiting,
                    rows_left=None if lines is None else max(0, lines - done),
                )
            )


def _write(line: str) -> None:
    with unheard(sys.stderr):
        try:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS
        except OSError:
            columns = _COLUMNS
        sys.stderr.write(f"\r\x1b[K{line[: columns - 1]}")
        sys.stderr.flush()
