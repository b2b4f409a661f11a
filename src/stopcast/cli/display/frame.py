"""The lines of the live display, made from a snapshot of the run. Nothing here draws them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from stopcast.api.meanings import message_shown
from stopcast.cli.display import messages
from stopcast.cli.display.attempt_stats import ErrorCount
from stopcast.cli.display.monitor import RunSnapshot
from stopcast.i18n import STATUS_WORDS, _, duration, translate, visible
from stopcast.tasks.outcome import Status

_LABEL: Final = 10
_ERRORS_SHOWN: Final = 4
_SPARKS: Final = " ▁▂▃▄▅▆▇█"
#: Amber is for what is retried, by this run or by the next one; red is for what failed.
_GOOD, _BAD, _WARNING, _FAINT = "green", "red", "yellow", "bright_black"
_STYLES: Final = {
    Status.FAILED: _BAD,
    Status.STILL_RUNNING: _BAD,
    Status.SET_ASIDE: _WARNING,
    Status.GAVE_UP: _WARNING,
    Status.INVALID: _WARNING,
    Status.NOT_STARTED: _WARNING,
    Status.UNKNOWN: _WARNING,
    Status.DUPLICATE: _FAINT,
    Status.EXCLUDED: _FAINT,
}


class Subject(NamedTuple):
    """What a run does, and the facts about it that do not change."""

    title: str
    facts: Sequence[str] = ()


def frame(
    snapshot: RunSnapshot, subject: Subject, width: int, height: int = 24, *, unicode: bool = True
) -> Iterator[Text]:
    """Yield the lines of the display, none of them wider than ``width`` columns, and at most ``height`` lines."""
    lines = list(_lines(snapshot, subject, width, unicode=unicode))
    keys = [Text(), _keys(snapshot.keys)] if snapshot.keys else []
    errors = _errors(snapshot.errors, width, height - len(lines) - len(keys))
    for line in [*lines, *errors, *keys][:height]:
        line.truncate(width, overflow="ellipsis" if unicode else "crop")
        yield line


def _lines(snapshot: RunSnapshot, subject: Subject, width: int, *, unicode: bool) -> Iterator[Text]:
    so_far = _("{duration} so far", duration=duration(snapshot.seconds))
    yield _ends(_state(snapshot, subject.title), Text(so_far, _FAINT), width)
    share = _share(snapshot)
    if share is not None:
        yield _bar(share, width, unicode=unicode)
    yield _ends(Text(f" {_done(snapshot)}"), Text(_left(snapshot)), width)
    yield Text()
    if snapshot.paused and snapshot.to_continue:
        yield from _row(_("Go on"), _ways(snapshot.to_continue), width)
    if subject.facts:
        yield from _row(_("Account"), map(Text, subject.facts), width)
    yield from _row(_("Rate"), _rate(snapshot, width, unicode=unicode), width)
    yield from _row(_("Calls"), _calls(snapshot), width)
    yield from _row(_("Retries"), _retries(snapshot), width)
    yield from _row(_("Rows"), _statuses(snapshot), width)
    if snapshot.until is not None:
        yield from _row(_("Until"), _until(snapshot, snapshot.until), width)


def _keys(keys: Iterable[tuple[str, str]]) -> Text:
    return Text(" " + "   ".join(f"{key} {label}" for key, label in keys), _FAINT)


def _ways(ways: Sequence[str]) -> Iterator[Text]:
    yield Text(ways[0])
    yield from (Text(_("or {way}", way=way)) for way in ways[1:])


def _state(snapshot: RunSnapshot, title: str) -> Text:
    if snapshot.state:
        return Text(f" {snapshot.state[0].upper()}{snapshot.state[1:]}", _WARNING)
    return Text(f" {title}", "bold")


def _share(snapshot: RunSnapshot) -> float | None:
    if snapshot.to_do is None or not snapshot.done + snapshot.to_do.number:
        return None
    return snapshot.done / (snapshot.done + snapshot.to_do.number)


def _done(snapshot: RunSnapshot) -> str:
    if not snapshot.to_do:
        return _("{done:,} rows", done=snapshot.done)
    return _("{done:,} of {total} rows", done=snapshot.done, total=messages.total(snapshot))


def _left(snapshot: RunSnapshot) -> str:
    """Return how long the run goes on, and the time of day at its end."""
    left = snapshot.seconds_left
    if left is None:
        return ""
    return _("{duration} left, until {moment}", duration=duration(left), moment=messages.moment(left))


def _bar(share: float, width: int, *, unicode: bool) -> Text:
    # Rounded down: 100 % must mean that the last row is done.
    percent = f" {int(share * 100)} %"
    room = max(0, width - 1 - 6)
    full = int(share * room)
    done, rest = ("━", "─") if unicode else ("#", "-")
    return Text.assemble(" ", (done * full, _GOOD), (rest * (room - full), _FAINT), percent.rjust(6), no_wrap=True)


def _rate(snapshot: RunSnapshot, width: int, *, unicode: bool) -> Iterator[Text]:
    if snapshot.paused:
        yield Text(_("paused"), _WARNING)
        if snapshot.limited_to != snapshot.cap:
            yield Text(_("after that {rate}", rate=messages.rate_limit(snapshot.limited_to, snapshot.cap)), _WARNING)
        return
    yield Text.assemble((f"{snapshot.rate:.1f}", "bold"), " ", _("a second of {cap:g}", cap=snapshot.cap))
    if snapshot.limited_to != snapshot.cap:
        yield Text(_("held at {rate:g}", rate=snapshot.limited_to), _WARNING)
    if snapshot.quota_away:
        yield Text(_("the shared quota cannot be used"), _WARNING)
    if snapshot.slowed_to is not None:
        yield Text(_("slowed to {rate:.0f} by throttling", rate=snapshot.slowed_to), _WARNING)
    if unicode and width >= 60:  # noqa: PLR2004 - in fewer columns it takes a line of its own
        yield Text(_sparks(list(snapshot.rates)[-24:], snapshot.cap), _GOOD)


def _sparks(rates: Iterable[float], cap: float) -> str:
    highest = len(_SPARKS) - 1
    return "".join(_SPARKS[min(highest, ceil(rate / cap * highest))] for rate in rates)


def _calls(snapshot: RunSnapshot) -> Iterator[Text]:
    yield Text(_("{number:,} in flight", number=snapshot.in_flight))
    yield Text(_("{number:,} waiting", number=snapshot.waiting))
    if snapshot.latency_p50 is not None and snapshot.latency_p95 is not None:
        p50, p95 = _seconds(snapshot.latency_p50), _seconds(snapshot.latency_p95)
        yield Text(_("latency {p50}, p95 {p95}", p50=p50, p95=p95))


def _retries(snapshot: RunSnapshot) -> Iterator[Text]:
    yield Text(f"{snapshot.retries:,}")
    throttled = _("{number:,} throttled", number=snapshot.throttled)
    yield Text(throttled, _WARNING if snapshot.throttled else "")


def _statuses(snapshot: RunSnapshot) -> Iterator[Text]:
    if not snapshot.statuses:
        yield Text(_("none yet"), _FAINT)
    for status, word in STATUS_WORDS.items():
        if number := snapshot.statuses.get(status, 0):
            text = Text(_("{number:,} {status}", number=number, status=_(word)))
            text.highlight_regex(r"[\d,]+", _STYLES.get(status, _GOOD))
            yield text


def _until(snapshot: RunSnapshot, until: float) -> Iterator[Text]:
    yield Text(_("{moment}, in {duration}", moment=messages.moment(until), duration=duration(until)))
    if snapshot.seconds_left is not None and snapshot.seconds_left > until:
        yield Text(_("the rest is for --resume"), _WARNING)


def _errors(errors: Sequence[ErrorCount], width: int, room: int) -> Iterator[Text]:
    """Yield the latest errors on at most ``room`` lines: each message on a line of its own, if these have room."""
    # Sorted by code: lines that change places at each drawing cannot be read.
    shown = sorted(errors[: min(_ERRORS_SHOWN, max(0, room - 1))])
    if not shown:
        return
    yield Text()
    heads = _heads(shown)
    messages_ = [message_shown(error.code, error.message) for error in shown]
    split = any(head.cell_len + 3 + cell_len(message) > width for head, message in zip(heads, messages_, strict=True))
    apart = split and 1 + 2 * len(shown) <= room
    for head, message in zip(heads, messages_, strict=True):
        if apart:
            yield head
            yield Text(f"   {message}", _FAINT)
        else:
            yield head.append(f"   {message}", _FAINT)


def _heads(errors: Sequence[ErrorCount]) -> list[Text]:
    """Return what stands before the message of each error, in columns."""
    codes = [visible(translate(error.code)) for error in errors]
    numbers = [f"{error.number:,}" for error in errors]
    # In words, because the colour cannot be seen everywhere.
    words = [_("retried") if error.retried else _("not retried") for error in errors]
    agos = [_("{duration} ago", duration=duration(max(0.0, time.time() - error.last_at))) for error in errors]
    widths = [max(map(cell_len, column)) for column in (codes, numbers, words, agos)]
    heads = []
    for error, code, number, word, ago in zip(errors, codes, numbers, words, agos, strict=True):
        head = Text.assemble(" ", (_padded(code, widths[0]), _WARNING if error.retried else _BAD))
        head.append(f"   {number.rjust(widths[1])} {_padded(word, widths[2])}")
        heads.append(head.append(f"   {' ' * (widths[3] - cell_len(ago))}{ago}", _FAINT))
    return heads


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


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
    line = Text.assemble(" ", (_padded(label, _LABEL - 1), _FAINT))
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
