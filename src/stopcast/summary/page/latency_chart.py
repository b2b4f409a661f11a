"""The chart of the durations of calls, on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from stopcast.i18n import _, ngettext
from stopcast.summary.latency import Durations
from stopcast.summary.page.chart import HIGH, WIDE, Area, Chart, Label, Layer, Line, Table, bar
from stopcast.summary.page.numbers import percent
from stopcast.summary.times import took

#: Bins for each tenfold of time.
_PER_TENFOLD: Final = 24
#: In the coordinates of the chart, on a phone.
_ROOM_FOR_A_TEXT: Final = 110
#: Percent of the axis. Nearer to its ends a text would be cut off.
_EDGE: Final = 4


def latency_chart(durations: Durations) -> Chart:
    """Return the chart."""
    lengths = sorted(durations.by_length)
    edges = _edges(max(lengths[0], 1), lengths[-1] + 1)
    low, span = math.log(edges[0]), math.log(edges[-1]) - math.log(edges[0])

    def place(milliseconds: float) -> float:
        return (math.log(milliseconds) - low) / span * WIDE

    # The bars have whole milliseconds as edges, so their widths differ on this axis: the area of a bar is its number.
    bars = [
        (left, right, sum(durations.by_length[length] for length in lengths if left <= max(length, 1) < right))
        for left, right in pairwise(edges)
    ]
    top = max(number / (place(right) - place(left)) for left, right, number in bars) / 0.86
    total = durations.by_length.total()
    path, areas, rows = [], [], []
    for left, right, number in bars:
        x, end = place(left), place(right)
        if number:
            path.append(bar(x, max(end - 1.5, x + 1), HIGH, number / (end - x) / top * HIGH))
            between = _("{left} to {right} ms", left=left, right=right)
            areas.append(Area("h", f"{x:.1f}", f"{end - x:.1f}", f"{between} {number:,} ({percent(number, total)})"))
            rows.append([between, f"{number:,}", percent(number, total)])
    p50, p95 = durations.percentiles((50, 95))
    marks = _marks(
        [(name, place(min(max(found * 1000, edges[0]), edges[-1]))) for name, found in (("p50", p50), ("p95", p95))]
    )
    name = ngettext(
        "Duration of 1 call: {median}",
        "Durations of {number:,} calls: median {median}, 95% within {p95}",
        total,
        median=took(p50),
        p95=took(p95),
    )
    return Chart(
        title=_("Duration of a call"),
        label=name,
        caption=_("{name}. Only tasks that took one call are included.", name=name),
        layers=[Layer("a", _("calls"), "".join(path))],
        areas=areas,
        lines=[Line("at", f"M{x:.1f} 0V{HIGH}") for _name, x in marks],
        labels=[
            *(_time_label(length, place(length) / WIDE * 100) for length in _round_times(edges[0], edges[-1])),
            *(Label("mark", "left", f"{x / WIDE * 100:.2f}", name) for name, x in marks),
        ],
        table=Table([_("duration"), _("calls"), _("share")], rows),
    )


def _time_label(milliseconds: int, at: float) -> Label:
    near_an_edge = " first" if at < _EDGE else " last" if at > 100 - _EDGE else ""
    return Label(f"x{near_an_edge}", "left", f"{at:.2f}", took(milliseconds / 1000))


def _marks(marks: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the marks as names and places; those too near for two texts are one."""
    (first, at), (second, its) = marks
    return [(f"{first}, {second}", at)] if its - at < _ROOM_FOR_A_TEXT else [(first, at), (second, its)]


def _edges(least: int, most: int) -> list[int]:
    """Return whole milliseconds that grow by about the same factor."""
    edges = [least]
    while edges[-1] < most or len(edges) < 2:  # noqa: PLR2004 - a bar has two edges
        edges.append(max(edges[-1] + 1, round(edges[-1] * 10 ** (1 / _PER_TENFOLD))))
    return edges


def _round_times(least: int, most: int) -> list[int]:
    """Return round milliseconds: powers of ten, and where these are few, round numbers between them."""
    for factors in ((1,), (1, 3), (1, 2, 5)):
        powers = [factor * 10**power for power in range(9) for factor in factors]
        found = [length for length in powers if least <= length <= most]
        if len(found) > 2:  # noqa: PLR2004 - enough to show that the axis is logarithmic
            return found
    return [least, most]
