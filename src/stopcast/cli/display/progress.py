"""How a run stands, shown while it lasts: drawn on a terminal, else told in a line now and then."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from stopcast.cli.display import messages
from stopcast.cli.display.gauges import Looking
from stopcast.cli.options import Options
from stopcast.cli.output import log

if TYPE_CHECKING:
    from stopcast.cli.display.screen import Screen

_TELL_EVERY_SECONDS: Final = 10.0
_DRAW_EVERY_SECONDS: Final = 1.0


class Progress:
    """Shows how a run stands while the block lasts."""

    def __init__(self, looking: Looking, screen: Screen | None) -> None:
        self._looking = looking
        self._screen = screen
        self._showing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._showing = asyncio.create_task(self._draw(self._screen) if self._screen else self._tell())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._showing is not None:
            self._showing.cancel()
            await asyncio.wait([self._showing])

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY_SECONDS)
            figures = self._looking.figures()
            log(
                messages.progress(figures),
                event="progress",
                done=figures.done,
                bad=figures.bad,
                rate=round(figures.rate, 1),
                seconds_left=figures.seconds_left and round(figures.seconds_left),
            )

    async def _draw(self, screen: Screen) -> None:
        with screen:
            while True:
                screen.show(self._looking.figures())
                await asyncio.sleep(_DRAW_EVERY_SECONDS)


def screen_for(options: Options, *, doing: str) -> Screen | None:
    """Return what to draw on; None for none: it is no terminal or cannot move its cursor, or rich is not there."""
    if options.output.quiet or options.output.log_format != "text" or sys.stderr is None or not sys.stderr.isatty():
        return None
    if os.environ.get("TERM") == "dumb" or os.environ.get("CI"):
        return None
    with suppress(ImportError):
        from stopcast.cli.display.screen import Screen

        return Screen(f"{doing} {messages.lists(options.lists.tasks)}")
    return None
