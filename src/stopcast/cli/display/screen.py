"""The live display, drawn with rich: a dozen lines that stay where they are."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from time import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from stopcast.cli.display import messages
from stopcast.cli.display.gauges import Figures, Trouble
from stopcast.cli.output import ignoring_closed_pipe
from stopcast.i18n import duration, visible
from stopcast.tasks.outcome import Status

#: Wider lines are no easier to read.
_WIDEST: Final = 100
#: Where a terminal writes ^C, without going into the next line.
_MARGIN: Final = 3
_LABEL: Final = 10
_TROUBLES: Final = 4
_SPARKS: Final = " ▁▂▃▄▅▆▇█"
_GOOD, _BAD, _CARE, _FAINT = "green", "red", "yellow", "bright_black"
_STYLES: Final = {
    Status.STOPPED: _GOOD,
    Status.ALREADY_STOPPED: _GOOD,
    Status.PRESUMED_STOPPED: _GOOD,
    Status.DUPLICATE: _FAINT,
    Status.FAILED: _BAD,
    Status.SET_ASIDE: _BAD,
    Status.GAVE_UP: _BAD,
    Status.INVALID: _CARE,
}


class Screen:
    """Draws figures on standard error while the block lasts, and takes the drawing away at its end.

    What is said meanwhile stands above it. A terminal that takes nothing, or is gone, does not stop anybody.
    """

    def __init__(self, title: str) -> None:
        self._title = visible(title)
        # Attributes other than colours would still be sent.
        system = None if os.environ.get("NO_COLOR") else "auto"
        self._console = Console(stderr=True, highlight=False, color_system=system)  # type: ignore[arg-type]
        self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._poll = select.poll()
        self._poll.register(sys.stderr.fileno(), select.POLLOUT)
        self._widths: list[int] = []

    def __enter__(self) -> Self:
        with ignoring_closed_pipe(sys.stderr):
            self._live.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        with ignoring_closed_pipe(sys.stderr):
            self._live.stop()

    def show(self, figures: Figures) -> None:
        """Draw the figures, unless the terminal is held."""
        if not self._poll.poll(0):
            return
        width, height = self._console.size
        lines = list(frame(figures, self._title, min(width - _MARGIN, _WIDEST), unicode=self._unicode))[: height - 1]
        with ignoring_closed_pipe(sys.stderr):
            self._make_up_for_wrapping(width)
            self._live.update(Group(*lines), refresh=True)
        self._widths = [line.cell_len for line in lines]

    @property
    def _unicode(self) -> bool:
        return self._console.encoding.startswith("utf")

    def _make_up_for_wrapping(self, width: int) -> None:
        """Take away the lines that a narrower terminal has made of the last drawing's long ones."""
        extra = sum(ceil(drawn / width) - 1 for drawn in self._widths if drawn)
        if extra:
            self._console.print(Control(*[(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)] * extra))


def frame(figures: Figures, title: str, width: int, *, unicode: bool = True) -> Iterator[Text]:
    """Yield the lines of the display, none wider than ``width``."""
    for line in _lines(figures, title, width, unicode=unicode):
        line.truncate(width, overflow="ellipsis" if unicode else "crop")
        yield line


def _lines(figures: Figures, title: str, width: int, *, unicode: bool) -> Iterator[Text]:
    yield _ends(_state(figures, title), Text(f"{duration(figures.seconds)} so far", _FAINT), width)
    share = _share(figures)
    if share is not None:
        yield _bar(share, width, unicode=unicode)
    left = figures.seconds_left
    yield _ends(
        Text(f" {figures.done:,} of {messages.total(figures)} rows" if figures.to_do else f" {figures.done:,} rows"),
        Text("" if left is None else f"{duration(left)} left"),
        width,
    )
    yield Text()
    yield from _row("Rate", _rate(figures, width, unicode=unicode), width)
    yield from _row("Calls", _calls(figures), width)
    yield from _row("Retries", _retries(figures), width)
    yield from _row("Rows", _statuses(figures), width)
    if figures.troubles:
        yield Text()
        # Which ones are shown goes by time, their order does not: lines that change places cannot be read.
        yield from _troubles(sorted(figures.troubles[:_TROUBLES]))


def _state(figures: Figures, title: str) -> Text:
    if figures.state:
        return Text(f" {figures.state[0].upper()}{figures.state[1:]}", _CARE)
    return Text(f" {title}", "bold")


def _share(figures: Figures) -> float | None:
    if figures.to_do is None or not figures.done + figures.to_do.number:
        return None
    return figures.done / (figures.done + figures.to_do.number)


def _bar(share: float, width: int, *, unicode: bool) -> Text:
    # Not 100 % before the last row.
    percent = f" {int(share * 100)} %"
    room = max(0, width - 1 - 6)
    full = int(share * room)
    done, rest = ("━", "─") if unicode else ("#", "-")
    return Text.assemble(" ", (done * full, _GOOD), (rest * (room - full), _FAINT), percent.rjust(6), no_wrap=True)


def _rate(figures: Figures, width: int, *, unicode: bool) -> Iterator[Text]:
    yield Text.assemble((f"{figures.rate:.1f}", "bold"), f" a second of {figures.cap:g}")
    if figures.limited_to != figures.cap:
        yield Text(f"held at {figures.limited_to:g}", _CARE)
    if unicode and width >= 60:  # noqa: PLR2004 - below that it would stand in a line of its own
        yield Text(_sparks(list(figures.rates)[-24:], figures.cap), _GOOD)


def _sparks(rates: Iterable[float], cap: float) -> str:
    highest = len(_SPARKS) - 1
    return "".join(_SPARKS[min(highest, ceil(rate / cap * highest))] for rate in rates)


def _calls(figures: Figures) -> Iterator[Text]:
    yield Text(f"{figures.in_flight} in flight")
    yield Text(f"{figures.waiting} waiting")
    if figures.latency_p50 is not None and figures.latency_p95 is not None:
        yield Text(f"latency {_seconds(figures.latency_p50)}, p95 {_seconds(figures.latency_p95)}")


def _retries(figures: Figures) -> Iterator[Text]:
    yield Text(f"{figures.retries:,}")
    yield Text(f"{figures.throttled:,} throttled", _CARE if figures.throttled else "")


def _statuses(figures: Figures) -> Iterator[Text]:
    for status, word in messages.WORDS.items():
        if number := figures.statuses.get(status, 0):
            yield Text.assemble((f"{number:,}", _STYLES[status]), f" {word}")


def _troubles(troubles: Sequence[Trouble]) -> Iterator[Text]:
    codes = [visible(trouble.code) for trouble in troubles]
    numbers = [f"{trouble.number:,}" for trouble in troubles]
    agos = [f"{duration(max(0.0, time() - trouble.last_at))} ago" for trouble in troubles]
    places = max(map(len, codes)), max(map(len, numbers)), max(map(len, agos))
    for trouble, code, number, ago in zip(troubles, codes, numbers, agos, strict=True):
        line = Text.assemble(" ", (code.ljust(places[0]), _BAD), f"   {number.rjust(places[1])}")
        line.append(f"   {ago.rjust(places[2])}   {visible(trouble.message)}", _FAINT)
        yield line


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _ends(left: Text, right: Text, width: int) -> Text:
    """Return a line with something at both of its ends; where there is no room for both, with the left one."""
    room = width - left.cell_len - right.cell_len
    if room >= 1:
        return Text.assemble(left, " " * room, right)
    return left


def _row(label: str, parts: Iterable[Text], width: int) -> Iterator[Text]:
    """Yield the parts behind their label, on as many lines as they take."""
    line = Text.assemble(" ", (label.ljust(_LABEL - 1), _FAINT))
    empty = True
    for part in parts:
        if not empty and line.cell_len + 3 + part.cell_len > width:
            yield line
            line, empty = Text(" " * _LABEL), True
        if not empty:
            line.append("   ")
        line.append_text(part)
        empty = False
    yield line
