"""The live display: about a dozen lines at the bottom of the terminal, drawn with rich."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Final, Self

from rich.console import Console, Group
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType

from stopcast.cli.display.frame import Subject, frame
from stopcast.cli.display.monitor import RunSnapshot
from stopcast.i18n import visible

#: The display is at most this wide: longer lines are harder to read.
_WIDEST: Final = 100
#: Columns left free, so that the ^C that a terminal prints does not wrap the line.
_MARGIN: Final = 3


class Screen:
    """Draws snapshots of a run on standard error while the block lasts, and erases them at its end.

    Log lines appear above the drawing. A terminal that is stopped or closed does not hold the run up.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = Subject(visible(subject.title), list(map(visible, subject.facts)))
        # With no_color=True rich would still send bold and other attributes.
        system = None if os.environ.get("NO_COLOR") else "auto"
        self._console = Console(stderr=True, highlight=False, color_system=system)  # type: ignore[arg-type]
        self._live = self._new_live()
        self._poll = select.poll()
        self._poll.register(sys.stderr.fileno(), select.POLLOUT)
        self._widths: list[int] = []

    def _new_live(self) -> Live:
        return Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Erase the drawing for as long as the block lasts; it is drawn anew where the cursor is then."""
        if not self._live.is_started:
            yield
            return
        self._live.stop()
        try:
            yield
        finally:
            self._live, self._widths = self._new_live(), []
            self._live.start()

    def show(self, snapshot: RunSnapshot) -> None:
        """Draw a snapshot, unless the terminal takes no output (Control-S)."""
        if not self._poll.poll(0):
            return
        width, height = self._console.size
        columns = min(width - _MARGIN, _WIDEST)
        lines = list(frame(snapshot, self._subject, columns, height - 1, unicode=self._unicode))
        self._erase_wrapped_lines(width)
        self._live.update(Group(*lines), refresh=True)
        self._widths = [line.cell_len for line in lines]

    @property
    def _unicode(self) -> bool:
        return self._console.encoding.startswith("utf")

    def _erase_wrapped_lines(self, width: int) -> None:
        """Erase the extra lines into which a terminal that became narrower has wrapped the last drawing."""
        extra = sum(ceil(drawn / width) - 1 for drawn in self._widths if drawn)
        if extra:
            self._console.print(Control(*[(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)] * extra))
