"""What the template draws as a chart: values only, in the coordinates of its SVG, 1000 wide and 100 high."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

#: The size of the coordinate system inside an SVG, which stretches with the page.
WIDE: Final = 1000
HIGH: Final = 100
#: Round numbers whose halves are round.
_ROUND: Final = (1, 2, 3, 4, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Layer:
    """The bars of one colour as a path, with their name."""

    css_class: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line across the chart."""

    css_class: str
    path: str


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the chart with a text that a pointer shows."""

    css_class: str
    x: str
    width: str
    title: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text beside the chart, ``at`` percent from its ``side``; ``local`` stands below it."""

    css_class: str
    side: str
    at: str
    text: str
    local: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The figures of a chart as text."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart.

    Attributes:
        title: its heading.
        label: what it shows, for those who do not see it.
        caption: the sentence below it.
        table: its figures.
        low: whether it takes less room than others.
        keyed: whether its only layer has a key too.
    """

    title: str
    label: str
    caption: str
    layers: Sequence[Layer]
    labels: Sequence[Label]
    table: Table
    areas: Sequence[Area] = field(default_factory=list)
    lines: Sequence[Line] = field(default_factory=list)
    low: bool = False
    keyed: bool = False


def bar(left: float, right: float, bottom: float, high: float) -> str:
    """Return a bar as a part of a path; one that is not nothing can be seen."""
    high = max(high, 0.6)
    return f"M{left:.1f} {bottom:.1f}v{-high:.1f}H{right:.1f}v{high:.1f}z"


def ceiling(value: float) -> float:
    """Return the next round number above."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return float(next(power * factor for factor in _ROUND if power * factor >= value))


def scale_labels(top: float) -> list[Label]:
    """Return the labels of a scale from 0 to ``top``."""
    return [Label("y", "bottom", str(share), f"{top * share / 100:g}") for share in (0, 50, 100)]
