"""The live display: about a dozen lines at the bottom of the terminal, drawn with rich."""

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
from stopcast.cli.display.monitor import ErrorCount, RunSnapshot
from stopcast.i18n import STATUS_WORDS, duration, visible
from stopcast.tasks.outcome import Status

#: The display is at most this wide: longer lines are harder to read.
_WIDEST: Final = 100
#: Columns left free, so that the ^C that a terminal prints does not wrap the line.
_MARGIN: Final = 3
_LABEL: Final = 10
_ERRORS_SHOWN: Final = 4
_SPARKS: Final = " ▁▂▃▄▅▆▇█"
_GOOD, _BAD, _WARNING, _FAINT = "green", "red", "yellow", "bright_black"
_STYLES: Final = {
    Status.STOPPED: _GOOD,
    Status.ALREADY_STOPPED: _GOOD,
    Status.PRESUMED_STOPPED: _GOOD,
    Status.DUPLICATE: _FAINT,
    Status.FAILED: _BAD,
    Status.SET_ASIDE: _BAD,
    Status.GAVE_UP: _BAD,
    Status.INVALID: _WARNING,
    Status.ENDED: _GOOD,
    Status.STILL_RUNNING: _BAD,
    Status.NOT_STARTED: _WARNING,
    Status.UNKNOWN: _WARNING,
}


class Screen:
    """Draws snapshots of a run on standard error while the block lasts, and erases them at its end.

    Log lines appear above the drawing. A terminal that is stopped or closed does not hold the run up.
    """

    def __init__(self, title: str) -> None:
        self._title = visible(title)
        # With no_color=True rich would still send bold and other attributes.
        system = None if os.environ.get("NO_COLOR") else "auto"
        self._console = Console(stderr=True, highlight=False, color_system=system)  # type: ignore[arg-type]
        self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._poll = select.poll()
        self._poll.register(sys.stderr.fileno(), select.POLLOUT)
        self._widths: list[int] = []

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, snapshot: RunSnapshot) -> None:
        """Draw a snapshot, unless the terminal takes no output (Control-S)."""
        if not self._poll.poll(0):
            return
        width, height = self._console.size
        lines = list(frame(snapshot, self._title, min(width - _MARGIN, _WIDEST), unicode=self._unicode))[: height - 1]
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


def frame(snapshot: RunSnapshot, title: str, width: int, *, unicode: bool = True) -> Iterator[Text]:
    """Yield the lines of the display, none of them wider than ``width`` columns."""
    for line in _lines(snapshot, title, width, unicode=unicode):
        line.truncate(width, overflow="ellipsis" if unicode else "crop")
        yield line


def _lines(snapshot: RunSnapshot, title: str, width: int, *, unicode: bool) -> Iterator[Text]:
    yield _ends(_state(snapshot, title), Text(f"{duration(snapshot.seconds)} so far", _FAINT), width)
    share = _share(snapshot)
    if share is not None:
        yield _bar(share, width, unicode=unicode)
    left = snapshot.seconds_left
    yield _ends(
        Text(
            f" {snapshot.done:,} of {messages.total(snapshot)} rows" if snapshot.to_do else f" {snapshot.done:,} rows"
        ),
        Text("" if left is None else f"{duration(left)} left"),
        width,
    )
    yield Text()
    yield from _row("Rate", _rate(snapshot, width, unicode=unicode), width)
    yield from _row("Calls", _calls(snapshot), width)
    yield from _row("Retries", _retries(snapshot), width)
    yield from _row("Rows", _statuses(snapshot), width)
    if snapshot.errors:
        yield Text()
        # The latest errors, sorted by code: lines that change places at each drawing cannot be read.
        yield from _errors(sorted(snapshot.errors[:_ERRORS_SHOWN]))


def _state(snapshot: RunSnapshot, title: str) -> Text:
    if snapshot.state:
        return Text(f" {snapshot.state[0].upper()}{snapshot.state[1:]}", _WARNING)
    return Text(f" {title}", "bold")


def _share(snapshot: RunSnapshot) -> float | None:
    if snapshot.to_do is None or not snapshot.done + snapshot.to_do.number:
        return None
    return snapshot.done / (snapshot.done + snapshot.to_do.number)


def _bar(share: float, width: int, *, unicode: bool) -> Text:
    # Rounded down: 100 % must mean that the last row is done.
    percent = f" {int(share * 100)} %"
    room = max(0, width - 1 - 6)
    full = int(share * room)
    done, rest = ("━", "─") if unicode else ("#", "-")
    return Text.assemble(" ", (done * full, _GOOD), (rest * (room - full), _FAINT), percent.rjust(6), no_wrap=True)


def _rate(snapshot: RunSnapshot, width: int, *, unicode: bool) -> Iterator[Text]:
    yield Text.assemble((f"{snapshot.rate:.1f}", "bold"), f" a second of {snapshot.cap:g}")
    if snapshot.limited_to != snapshot.cap:
        yield Text(f"held at {snapshot.limited_to:g}", _WARNING)
    if unicode and width >= 60:  # noqa: PLR2004 - in fewer columns it takes a line of its own
        yield Text(_sparks(list(snapshot.rates)[-24:], snapshot.cap), _GOOD)


def _sparks(rates: Iterable[float], cap: float) -> str:
    highest = len(_SPARKS) - 1
    return "".join(_SPARKS[min(highest, ceil(rate / cap * highest))] for rate in rates)


def _calls(snapshot: RunSnapshot) -> Iterator[Text]:
    yield Text(f"{snapshot.in_flight} in flight")
    yield Text(f"{snapshot.waiting} waiting")
    if snapshot.latency_p50 is not None and snapshot.latency_p95 is not None:
        yield Text(f"latency {_seconds(snapshot.latency_p50)}, p95 {_seconds(snapshot.latency_p95)}")


def _retries(snapshot: RunSnapshot) -> Iterator[Text]:
    yield Text(f"{snapshot.retries:,}")
    yield Text(f"{snapshot.throttled:,} throttled", _WARNING if snapshot.throttled else "")


def _statuses(snapshot: RunSnapshot) -> Iterator[Text]:
    for status, word in STATUS_WORDS.items():
        if number := snapshot.statuses.get(status, 0):
            yield Text.assemble((f"{number:,}", _STYLES[status]), f" {word}")


def _errors(errors: Sequence[ErrorCount]) -> Iterator[Text]:
    codes = [visible(error.code) for error in errors]
    numbers = [f"{error.number:,}" for error in errors]
    agos = [f"{duration(max(0.0, time() - error.last_at))} ago" for error in errors]
    widths = max(map(len, codes)), max(map(len, numbers)), max(map(len, agos))
    for error, code, number, ago in zip(errors, codes, numbers, agos, strict=True):
        line = Text.assemble(" ", (code.ljust(widths[0]), _BAD), f"   {number.rjust(widths[1])}")
        line.append(f"   {ago.rjust(widths[2])}   {visible(error.message)}", _FAINT)
        yield line


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _ends(left: Text, right: Text, width: int) -> Text:
    """Return a line with a text at each end; where there is no room for both, only the left one."""
    room = width - left.cell_len - right.cell_len
    if room >= 1:
        return Text.assemble(left, " " * room, right)
    return left


def _row(label: str, parts: Iterable[Text], width: int) -> Iterator[Text]:
    """Yield the parts after their label, on as many lines as they need."""
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
