"""Shows the progress of a run while it lasts: drawn on a terminal, or else logged in a line every ten seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from stopcast.background import Supervisor
from stopcast.cli.display import messages
from stopcast.cli.display.monitor import RunMonitor
from stopcast.cli.options import OutputOptions
from stopcast.cli.output import log
from stopcast.cli.standard_streams import may_be_drawn_on
from stopcast.errors import BackgroundTaskError

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

    async def __aexit__(self, *_error: object) -> None:
        await self._tasks.end()

    async def _log(self) -> None:
        while True:
            await asyncio.sleep(_LOG_EVERY_SECONDS)
            snapshot = self._monitor.snapshot()
            log(
                messages.progress(snapshot),
                event="progress",
                done=snapshot.done,
                total=snapshot.to_do and snapshot.done + snapshot.to_do.number,
                total_exact=snapshot.to_do and snapshot.to_do.exact,
                bad=snapshot.bad,
                statuses=snapshot.statuses,
                rate=round(snapshot.rate, 1),
                in_flight=snapshot.in_flight,
                waiting=snapshot.waiting,
                retries=snapshot.retries,
                throttled=snapshot.throttled,
                slowed_to=snapshot.slowed_to and round(snapshot.slowed_to, 1),
                quota_away=snapshot.quota_away,
                paused=snapshot.paused,
                seconds_left=snapshot.seconds_left and round(snapshot.seconds_left),
                commonest_error=snapshot.commonest_error and snapshot.commonest_error._asdict(),
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


def screen_for(output: OutputOptions, *, doing: str, facts: Sequence[str]) -> Screen | None:
    """Return a screen to draw on, or None where standard error is no terminal that can be drawn on, or rich is missing.

    Args:
        output: ``--quiet`` and ``--log-format json`` ask for no drawing.
        doing: the title.
        facts: where and as whom.
    """
    if output.quiet or output.log_format != "text" or not may_be_drawn_on():
        return None
    from stopcast.cli.display.frame import Subject
    from stopcast.cli.display.screen import Screen

    return Screen(Subject(doing, facts))
