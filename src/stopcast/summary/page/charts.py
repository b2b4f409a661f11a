"""The three charts, each an SVG that stretches, with its labels beside it as text that does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from stopcast.i18n import STATUS_WORDS, Language, duration
from stopcast.summary import Timeline
from stopcast.summary.latency import Times
from stopcast.summary.page.columns import GAP_COLUMNS, Column, columns_of
from stopcast.summary.page.markup import moment, rate, seconds, text
from stopcast.tasks.outcome import Status

#: What an SVG measures inside.
_WIDE: Final = 1000
_HIGH: Final = 100
_DAY_SECONDS: Final = 86400
#: Bins of the latency chart for each tenfold of time.
_PER_TENFOLD: Final = 24
#: Round numbers whose halves are round.
_ROUND: Final = (1, 2, 3, 4, 6, 8, 10)
#: Drawn from the bottom: what is rare would be lost on top of what is common.
STACKED: Final = tuple(sorted(STATUS_WORDS, key=lambda status: status.good))


class _Layer(NamedTuple):
    css_class: str
    name: str
    height: Callable[[Column], float]


def calls_chart(timeline: Timeline, cap: float, language: Language) -> str:
    """Return the calls a second over time, with the cap."""
    wide = timeline.bin_seconds
    layers = [
        _Layer("a", language("first calls", "首次调用"), lambda one: one.bin.first_calls / wide if one.bin else 0.0),
        _Layer("b", language("further calls", "重试"), lambda one: one.bin.further_calls / wide if one.bin else 0.0),
    ]
    if not any(one.further_calls for one in timeline.bins.values()):
        del layers[1]
    return _over_time(timeline, layers, language, name=language("Calls a second", "每秒调用次数"), cap=cap)


def ends_chart(timeline: Timeline, language: Language) -> str:
    """Return the tasks that ended in each second, by status, over time."""
    wide = timeline.bin_seconds
    ended = {status for one in timeline.bins.values() for status in one.ended}

    def height_of(status: Status) -> Callable[[Column], float]:
        return lambda one: one.bin.ended[status] / wide if one.bin else 0.0

    layers = [
        _Layer(f"s {status}", language(*STATUS_WORDS[status]), height_of(status))
        for status in STACKED
        if status in ended
    ]
    name = language("Tasks that ended, a second, by status", "每秒结束的任务数（按状态）")
    return _over_time(timeline, layers, language, name=name)


def _over_time(
    timeline: Timeline, layers: Sequence[_Layer], language: Language, *, name: str, cap: float | None = None
) -> str:
    columns = columns_of(timeline)
    across = columns[-1].at + 1
    stacks = [[layer.height(one) for layer in layers] for one in columns]
    top = _ceiling(max(cap or 0.0, *map(sum, stacks)) * 1.04)
    parts = [_grid()]
    for index, layer in enumerate(layers):
        parts.append(f'<path class="{layer.css_class}" d="{"".join(_steps(columns, stacks, index, across, top))}"/>')
    parts += [_hover(one, stack, layers, across, language) for one, stack in zip(columns, stacks, strict=True)]
    labels = [*_y_labels(top), *_time_labels(columns, across)]
    if cap is not None:
        height = _HIGH - cap / top * _HIGH
        parts.append(f'<path class="limit" d="M0 {height:.2f}H{_WIDE}"/>')
        words = language(f"cap {cap:g}", f"上限 {cap:g}")
        labels.append(f'<span class="cap" style="bottom:{cap / top * 100:.2f}%">{words}</span>')
    keys = "".join(f'<b class="{layer.css_class}">{layer.name}</b>' for layer in layers)
    told = language(f"{name}, from {{}} to {{}} UTC", f"{name}，{{}} 至 {{}}（UTC）").format(
        moment(columns[0].starts_at), moment(columns[-1].starts_at + columns[-1].seconds)
    )
    bars = language(
        f"{name}. Each bar is {duration(timeline.bin_seconds)}; times are UTC.",
        f"{name}。每根柱代表 {duration(timeline.bin_seconds, language)}；时间为 UTC。",
    )
    return _figure(told, parts, labels, f'<span class="keys">{keys}</span>{bars}')


def _steps(
    columns: Sequence[Column], stacks: Sequence[Sequence[float]], layer: int, across: int, top: float
) -> Iterator[str]:
    """Yield a path of bars, each on top of the layers before."""
    for one, stack in zip(columns, stacks, strict=True):
        if stack[layer]:
            below = sum(stack[:layer])
            left, right = one.at / across * _WIDE, (one.at + 1) / across * _WIDE
            bottom, high = _HIGH - below / top * _HIGH, stack[layer] / top * _HIGH
            yield f"M{left:.1f} {bottom:.1f}v{-max(high, 0.4):.1f}H{right:.1f}v{max(high, 0.4):.1f}z"


def _hover(one: Column, stack: Sequence[float], layers: Sequence[_Layer], across: int, language: Language) -> str:
    left, wide = one.at / across * _WIDE, one.columns / across * _WIDE
    if one.bin is None:
        told = language(f"nothing for {duration(one.seconds)}", f"{duration(one.seconds, language)} 内无调用")
        return f'<rect class="gap" x="{left:.1f}" width="{wide:.1f}" height="{_HIGH}"><title>{told}</title></rect>'
    told = ", ".join(f"{layer.name} {rate(high, language)}" for layer, high in zip(layers, stack, strict=True) if high)
    if not told:
        return ""
    return (
        f'<rect class="h" x="{left:.1f}" width="{wide:.1f}" height="{_HIGH}">'
        f"<title>{moment(one.starts_at, dated=False)} {told}</title></rect>"
    )


def latency_chart(times: Times, language: Language) -> str:
    """Return how long calls took, on a logarithmic axis."""
    lengths = sorted(times.by_length)
    edges = _edges(max(lengths[0], 1), lengths[-1] + 1)
    low, span = math.log(edges[0]), math.log(edges[-1]) - math.log(edges[0])

    def place(milliseconds: float) -> float:
        return (math.log(milliseconds) - low) / span

    # Bars of whole milliseconds are unequally wide on this axis: their area, not their height, is the number.
    bars = [
        (left, right, sum(times.by_length[one] for one in lengths if left <= max(one, 1) < right))
        for left, right in pairwise(edges)
    ]
    top = max(number / (place(right) - place(left)) for left, right, number in bars)
    total = times.by_length.total()
    parts = [_grid()]
    for left, right, number in bars:
        x, wide = place(left) * _WIDE, (place(right) - place(left)) * _WIDE
        high = number / (place(right) - place(left)) / top * _HIGH * 0.86
        told = language(f"{left} to {right} ms: {number:,} calls", f"{left} 至 {right} ms：{number:,} 次")
        parts.append(
            f'<rect class="a" x="{x:.1f}" y="{_HIGH - high:.1f}" width="{max(wide - 1.5, 1):.1f}" height="{high:.1f}">'
            f"<title>{told} ({number / total:.1%})</title></rect>"
        )
    labels = [
        f'<span class="x" style="left:{place(one):.2%}">{seconds(one / 1000)}</span>'
        for one in _round_times(edges[0], edges[-1])
    ]
    p50, p95 = times.percentiles((50, 95))
    for share, found in (("p50", p50), ("p95", p95)):
        x = place(min(max(found * 1000, edges[0]), edges[-1]))
        parts.append(f'<path class="at" d="M{x * _WIDE:.1f} 0V{_HIGH}"/>')
        labels.append(f'<span class="mark" style="left:{x:.2%}">{share}</span>')
    name = language(
        f"How long {total:,} calls took: half at most {seconds(p50)}, 95% at most {seconds(p95)}",
        f"{total:,} 次调用的耗时：一半不超过 {seconds(p50)}，95% 不超过 {seconds(p95)}",
    )
    return _figure(name, parts, labels, name + language(".", "。"))


def _edges(least: int, most: int) -> list[int]:
    """Return whole milliseconds, each further from the one before by about the same factor."""
    edges = [least]
    while edges[-1] < most or len(edges) < 2:  # noqa: PLR2004 - a bar has two edges
        edges.append(max(edges[-1] + 1, round(edges[-1] * 10 ** (1 / _PER_TENFOLD))))
    return edges


def _round_times(least: int, most: int) -> list[int]:
    """Return round milliseconds: tenfolds, and where these are few others between them."""
    for factors in ((1,), (1, 3), (1, 2, 5)):
        found = [one for power in range(9) for factor in factors if least <= (one := factor * 10**power) <= most]
        if len(found) > 2:  # noqa: PLR2004 - enough to tell that the axis is logarithmic
            break
    return found


def _ceiling(value: float) -> float:
    """Return the next round number."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return float(next(power * one for one in _ROUND if power * one >= value))


def _grid() -> str:
    return f'<path class="grid" d="M0 0H{_WIDE}M0 {_HIGH // 2}H{_WIDE}"/>'


def _y_labels(top: float) -> Iterator[str]:
    for share in (0, 50, 100):
        yield f'<span class="y" style="bottom:{share}%">{top * share / 100:g}</span>'


def _time_labels(columns: Sequence[Column], across: int) -> Iterator[str]:
    """Yield the first moment, the last, and some between them, never one inside a gap."""
    bins = [one for one in columns if one.bin is not None]
    dated = bins[-1].starts_at - bins[0].starts_at >= _DAY_SECONDS
    last = bins[-1].starts_at + bins[-1].seconds
    yield f'<span class="x first" style="left:0">{_label(bins[0].starts_at, dated=dated)}</span>'
    for share in (1 / 3, 2 / 3):
        one = min(bins, key=lambda it: abs(it.at / across - share))
        if abs(one.at / across - share) < 0.05 + GAP_COLUMNS / across and len(bins) > 6:  # noqa: PLR2004 - room for it
            yield f'<span class="x" style="left:{one.at / across:.2%}">{_label(one.starts_at, dated=dated)}</span>'
    yield f'<span class="x last" style="left:100%">{_label(last, dated=dated)}</span>'


def _label(at: int, *, dated: bool) -> str:
    return moment(at)[5:16] if dated else moment(at, dated=False)


def _figure(name: str, parts: Sequence[str], labels: Sequence[str], caption: str) -> str:
    return (
        f'<figure><div class="plot"><svg viewBox="0 0 {_WIDE} {_HIGH}" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(name)}">{"".join(parts)}</svg>{"".join(labels)}</div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
