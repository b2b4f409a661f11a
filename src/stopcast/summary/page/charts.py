"""The three charts. Each is an SVG that stretches with the page; its labels are text beside it that does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from stopcast.i18n import STATUS_WORDS, Language, _, duration
from stopcast.summary import Timeline
from stopcast.summary.latency import Durations
from stopcast.summary.page.columns import GAP_COLUMNS, Column, columns_of
from stopcast.summary.page.markup import moment, rate, seconds, text
from stopcast.tasks.outcome import Status

#: The size of the coordinate system inside an SVG.
_WIDE: Final = 1000
_HIGH: Final = 100
_DAY_SECONDS: Final = 86400
#: Bins of the latency chart for each tenfold of time.
_PER_TENFOLD: Final = 24
#: Round numbers whose halves are round.
_ROUND: Final = (1, 2, 3, 4, 6, 8, 10)
#: From the bottom up. Bad statuses come first: on top of tall bars their small ones would be overlooked.
STACKED: Final = tuple(sorted(STATUS_WORDS, key=lambda status: status.good))


class _Layer(NamedTuple):
    css_class: str
    name: str
    height: Callable[[Column], float]


def calls_chart(timeline: Timeline, cap: float, language: Language) -> str:
    """Return the chart of calls a second over time, with the cap."""
    wide = timeline.bin_seconds
    layers = [
        _Layer(
            "a",
            language("first calls", "首次调用"),
            lambda column: column.bin.first_calls / wide if column.bin else 0.0,
        ),
        _Layer("b", language("retries", "重试"), lambda column: column.bin.retries / wide if column.bin else 0.0),
    ]
    if not any(each.retries for each in timeline.bins.values()):
        del layers[1]
    return _over_time(timeline, layers, language, name=language("Calls a second", "每秒调用次数"), cap=cap)


def ends_chart(timeline: Timeline, language: Language) -> str:
    """Return the chart of tasks that ended a second, by status, over time."""
    wide = timeline.bin_seconds
    ended = {status for each in timeline.bins.values() for status in each.ended}

    def height_of(status: Status) -> Callable[[Column], float]:
        return lambda column: column.bin.ended[status] / wide if column.bin else 0.0

    layers = [
        _Layer(f"s {status}", _(STATUS_WORDS[status]), height_of(status)) for status in STACKED if status in ended
    ]
    name = language("Tasks ended a second, by status", "每秒结束的任务数（按状态）")
    return _over_time(timeline, layers, language, name=name)


def _over_time(
    timeline: Timeline, layers: Sequence[_Layer], language: Language, *, name: str, cap: float | None = None
) -> str:
    columns = columns_of(timeline)
    across = columns[-1].at + 1
    stacks = [[layer.height(column) for layer in layers] for column in columns]
    top = _ceiling(max(cap or 0.0, *map(sum, stacks)) * 1.04)
    parts = [_grid()]
    for index, layer in enumerate(layers):
        parts.append(f'<path class="{layer.css_class}" d="{"".join(_steps(columns, stacks, index, across, top))}"/>')
    parts += [_hover(column, stack, layers, across, language) for column, stack in zip(columns, stacks, strict=True)]
    labels = [*_y_labels(top), *_time_labels(columns, across)]
    if cap is not None:
        height = _HIGH - cap / top * _HIGH
        parts.append(f'<path class="limit" d="M0 {height:.2f}H{_WIDE}"/>')
        words = language(f"cap {cap:g}", f"上限 {cap:g}")
        labels.append(f'<span class="cap" style="bottom:{cap / top * 100:.2f}%">{words}</span>')
    keys = "".join(f'<b class="{layer.css_class}">{layer.name}</b>' for layer in layers)
    label = language(f"{name}, from {{}} to {{}} UTC", f"{name}，{{}} 至 {{}}（UTC）").format(
        moment(columns[0].starts_at), moment(columns[-1].starts_at + columns[-1].seconds)
    )
    bars = language(
        f"{name}. Each bar covers {duration(timeline.bin_seconds)}; times are in UTC.",
        f"{name}。每根柱代表 {duration(timeline.bin_seconds)}；时间为 UTC。",
    )
    return _figure(label, parts, labels, f'<span class="keys">{keys}</span>{bars}')


def _steps(
    columns: Sequence[Column], stacks: Sequence[Sequence[float]], layer: int, across: int, top: float
) -> Iterator[str]:
    """Yield the path of one layer: a bar for each column, on top of the bars of the layers before."""
    for column, stack in zip(columns, stacks, strict=True):
        if stack[layer]:
            below = sum(stack[:layer])
            left, right = column.at / across * _WIDE, (column.at + 1) / across * _WIDE
            bottom, high = _HIGH - below / top * _HIGH, stack[layer] / top * _HIGH
            yield f"M{left:.1f} {bottom:.1f}v{-max(high, 0.4):.1f}H{right:.1f}v{max(high, 0.4):.1f}z"


def _hover(column: Column, stack: Sequence[float], layers: Sequence[_Layer], across: int, language: Language) -> str:
    left, wide = column.at / across * _WIDE, column.columns / across * _WIDE
    if column.bin is None:
        title = language(f"nothing for {duration(column.seconds)}", f"{duration(column.seconds)} 内无调用")
        return f'<rect class="gap" x="{left:.1f}" width="{wide:.1f}" height="{_HIGH}"><title>{title}</title></rect>'
    title = ", ".join(f"{layer.name} {rate(high, language)}" for layer, high in zip(layers, stack, strict=True) if high)
    if not title:
        return ""
    return (
        f'<rect class="h" x="{left:.1f}" width="{wide:.1f}" height="{_HIGH}">'
        f"<title>{moment(column.starts_at, dated=False)} {title}</title></rect>"
    )


def latency_chart(durations: Durations, language: Language) -> str:
    """Return the chart of the durations of calls, on a logarithmic axis."""
    lengths = sorted(durations.by_length)
    edges = _edges(max(lengths[0], 1), lengths[-1] + 1)
    low, span = math.log(edges[0]), math.log(edges[-1]) - math.log(edges[0])

    def place(milliseconds: float) -> float:
        return (math.log(milliseconds) - low) / span

    # The bars have whole milliseconds as edges, so their widths differ on this axis: the area of a bar is its number.
    bars = [
        (left, right, sum(durations.by_length[length] for length in lengths if left <= max(length, 1) < right))
        for left, right in pairwise(edges)
    ]
    top = max(number / (place(right) - place(left)) for left, right, number in bars)
    total = durations.by_length.total()
    parts = [_grid()]
    for left, right, number in bars:
        x, wide = place(left) * _WIDE, (place(right) - place(left)) * _WIDE
        high = number / (place(right) - place(left)) / top * _HIGH * 0.86
        title = language(f"{left} to {right} ms: {number:,} calls", f"{left} 至 {right} ms：{number:,} 次")
        parts.append(
            f'<rect class="a" x="{x:.1f}" y="{_HIGH - high:.1f}" width="{max(wide - 1.5, 1):.1f}" height="{high:.1f}">'
            f"<title>{title} ({number / total:.1%})</title></rect>"
        )
    labels = [
        f'<span class="x" style="left:{place(length):.2%}">{seconds(length / 1000)}</span>'
        for length in _round_times(edges[0], edges[-1])
    ]
    p50, p95 = durations.percentiles((50, 95))
    for share, found in (("p50", p50), ("p95", p95)):
        x = place(min(max(found * 1000, edges[0]), edges[-1]))
        parts.append(f'<path class="at" d="M{x * _WIDE:.1f} 0V{_HIGH}"/>')
        labels.append(f'<span class="mark" style="left:{x:.2%}">{share}</span>')
    name = language(
        f"Durations of {total:,} calls: median {seconds(p50)}; 95% within {seconds(p95)}",
        f"{total:,} 次调用的耗时：中位数 {seconds(p50)}；95% 在 {seconds(p95)} 以内",
    )
    return _figure(name, parts, labels, name + language(".", "。"))


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
            break
    return found


def _ceiling(value: float) -> float:
    """Return the next round number above."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return float(next(power * factor for factor in _ROUND if power * factor >= value))


def _grid() -> str:
    return f'<path class="grid" d="M0 0H{_WIDE}M0 {_HIGH // 2}H{_WIDE}"/>'


def _y_labels(top: float) -> Iterator[str]:
    for share in (0, 50, 100):
        yield f'<span class="y" style="bottom:{share}%">{top * share / 100:g}</span>'


def _time_labels(columns: Sequence[Column], across: int) -> Iterator[str]:
    """Yield labels for the first moment, the last, and up to two between them, none of them inside a gap."""
    bins = [column for column in columns if column.bin is not None]
    dated = bins[-1].starts_at - bins[0].starts_at >= _DAY_SECONDS
    last = bins[-1].starts_at + bins[-1].seconds
    yield f'<span class="x first" style="left:0">{_label(bins[0].starts_at, dated=dated)}</span>'
    for share in (1 / 3, 2 / 3):
        column = min(bins, key=lambda each: abs(each.at / across - share))
        if abs(column.at / across - share) < 0.05 + GAP_COLUMNS / across and len(bins) > 6:  # noqa: PLR2004 - room for it
            label = _label(column.starts_at, dated=dated)
            yield f'<span class="x" style="left:{column.at / across:.2%}">{label}</span>'
    yield f'<span class="x last" style="left:100%">{_label(last, dated=dated)}</span>'


def _label(at: int, *, dated: bool) -> str:
    return moment(at)[5:16] if dated else moment(at, dated=False)


def _figure(name: str, parts: Sequence[str], labels: Sequence[str], caption: str) -> str:
    return (
        f'<figure><div class="plot"><svg viewBox="0 0 {_WIDE} {_HIGH}" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(name)}">{"".join(parts)}</svg>{"".join(labels)}</div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
