"""Shows the progress of a run while it lasts: drawn on a terminal, or else logged in a line every ten seconds."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from stopcast.background import Supervisor
from stopcast.cli.display import messages
from stopcast.cli.display.monitor import RunMonitor
from stopcast.cli.options import Options
from stopcast.cli.output import log
from stopcast.errors import BackgroundTaskError
from stopcast.i18n import _

if TYPE_CHECKING:
    from stopcast.cli.display.screen import Screen

_LOG_EVERY_SECONDS: Final = 10.0
_DRAW_EVERY_SECONDS: Final = 1.0


class Progress:
    """Shows the progress of a run while the block lasts. The run continues if the display fails."""

    def __init__(self, monitor: RunMonitor, screen: Screen | None) -> None:
        self._monitor = monitor
        self._screen = screen
        self._tasks = Supervisor(_log_failure)
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._tasks.start(self._draw(self._screen) if self._screen else self._log(), name="progress display")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._tasks.end()

    async def _log(self) -> None:
        while True:
            await asyncio.sleep(_LOG_EVERY_SECONDS)
            snapshot = self._monitor.snapshot()
            log(
                _("{time:%H:%M:%S} {progress}", time=datetime.now(), progress=messages.progress(snapshot)),  # noqa: DTZ005
                event="progress",
                done=snapshot.done,
                bad=snapshot.bad,
                rate=round(snapshot.rate, 1),
                seconds_left=snapshot.seconds_left and round(snapshot.seconds_left),
            )

    def show_change(self) -> None:
        """Draw at once, because a person has changed something."""
        self._changed.set()

    async def _draw(self, screen: Screen) -> None:
        with screen:
            while True:
                screen.show(self._monitor.snapshot())
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _DRAW_EVERY_SECONDS)
                self._changed.clear()


def _log_failure(error: BackgroundTaskError) -> None:
    log(
        f"stopcast: {error}. The run continues without it.",
        event="display_failed",
        level=logging.WARNING,
        error=str(error),
    )


def screen_for(options: Options, *, doing: str) -> Screen | None:
    """Return a screen to draw on, or None where standard error is no terminal that can be drawn on, or rich is missing.

    Args:
        options: of the command; ``--quiet`` and ``--log-format json`` ask for no drawing.
        doing: the title, with a place for the lists.
    """
    if options.output.quiet or options.output.log_format != "text" or sys.stderr is None or not sys.stderr.isatty():
        return None
    if os.environ.get("TERM") == "dumb" or os.environ.get("CI"):
        return None
    with suppress(ImportError):
        from stopcast.cli.display.screen import Screen

        return Screen(doing.format(lists=messages.list_names(options.lists.tasks)))
    return None
