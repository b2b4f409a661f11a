"""The charts of what happened over time: first calls beside the cap, retries, and outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from stopcast.i18n import STATUS_WORDS, _, duration
from stopcast.summary.page.chart import HIGH, WIDE, Area, Chart, Label, Layer, Line, Table, bar, ceiling, scale_labels
from stopcast.summary.page.columns import Column, columns_of
from stopcast.summary.page.numbers import rate
from stopcast.summary.timeline import Bin, Timeline
from stopcast.summary.times import clock, moment, zone
from stopcast.tasks.outcome import Status

_DAY_SECONDS: Final = 86400
#: The share of the axis that a gap must take for its text beside the table.
_ROOM_FOR_A_TEXT: Final = 0.03
#: From the bottom up. Bad statuses come first: on top of tall bars their small ones would be overlooked.
_STACKED: Final = tuple(sorted(STATUS_WORDS, key=lambda status: status.good))


class _Series(NamedTuple):
    css_class: str
    name: str
    number: Callable[[Bin], int]


def first_calls_chart(timeline: Timeline, cap: float) -> Chart:
    """Return the chart of first calls a second, with the cap."""
    axis = _Axis(timeline)
    seconds = timeline.bin_seconds
    series = [_Series("a", _("first calls"), lambda each: each.first_calls)]
    top = ceiling(max(cap, *(column.bin.first_calls / seconds for column in axis.columns)) * 1.04)
    height = HIGH - cap / top * HIGH
    title = _("First calls a second")
    return Chart(
        title=title,
        label=axis.label(title),
        caption=_with_time_zone(
            _("{bars} The cap is {cap:g} calls a second.", bars=_bars(seconds), cap=cap),
            zone(axis.columns[0].starts_at),
        ),
        layers=axis.layers(series, top * seconds),
        areas=axis.areas(series, lambda number: _("{rate} a second", rate=rate(number / seconds))),
        lines=[Line("limit", f"M0 {height:.2f}H{WIDE}")],
        labels=[
            *scale_labels(top),
            *axis.labels(),
            Label("cap", "bottom", f"{cap / top * 100:.2f}", _("cap {cap:g}", cap=cap)),
        ],
        table=axis.table(series),
    )


def retries_chart(timeline: Timeline) -> Chart:
    """Return the chart of retries. It has no scale beside it: their moments are not known, only their number."""
    axis = _Axis(timeline)
    series = [_Series("b", _("retries"), lambda each: each.retries)]
    title = _("Retries, at estimated times")
    return Chart(
        title=title,
        label=axis.label(title),
        caption=_(
            "A report does not record the times of retries, only their number. They are drawn where they usually are "
            "between a task's first attempt and its end. They count towards the cap as first calls do."
        ),
        layers=axis.layers(series, max(column.bin.retries for column in axis.columns) * 1.04),
        areas=axis.areas(series, lambda number: _("about {number:,}", number=number)),
        labels=list(axis.time_labels()),
        table=axis.table(series),
        low=True,
    )


def ends_chart(timeline: Timeline, title: str) -> Chart:
    """Return the chart of tasks that ended a second, by status."""
    axis = _Axis(timeline)
    seconds = timeline.bin_seconds
    ended = {status for column in axis.columns for status in column.bin.ended}

    def number_of(status: Status) -> Callable[[Bin], int]:
        return lambda each: each.ended[status]

    series = [
        _Series(f"s {status}", _(STATUS_WORDS[status]), number_of(status)) for status in _STACKED if status in ended
    ]
    top = ceiling(max(column.bin.ended.total() for column in axis.columns) / seconds * 1.04)
    return Chart(
        title=title,
        label=axis.label(title),
        caption=_("Tasks that ended in a second. {bars}", bars=_bars(seconds)),
        layers=axis.layers(series, top * seconds),
        areas=axis.areas(series, lambda number: _("{rate} a second", rate=rate(number / seconds))),
        labels=[*scale_labels(top), *axis.labels()],
        table=axis.table(series),
        keyed=True,
    )


class _Axis:
    """The columns of a timeline side by side, and what a chart draws along them."""

    def __init__(self, timeline: Timeline) -> None:
        self.columns = columns_of(timeline)
        self.across = self.columns[-1].at + 1
        self.bin_seconds = timeline.bin_seconds

    def layers(self, series: Sequence[_Series], top: float) -> list[Layer]:
        """Return the layers, each on top of those before; ``top`` is the number of a bar as high as the chart."""
        paths: list[list[str]] = [[] for _each in series]
        for column in self.columns:
            numbers = [each.number(column.bin) for each in series]
            left, right = column.at / self.across * WIDE, (column.at + 1) / self.across * WIDE
            for path, number, below in zip(paths, numbers, accumulate(numbers, initial=0), strict=False):
                if number:
                    path.append(bar(left, right, HIGH - below / top * HIGH, number / top * HIGH))
        return [Layer(each.css_class, each.name, "".join(path)) for each, path in zip(series, paths, strict=True)]

    def areas(self, series: Sequence[_Series], words: Callable[[int], str]) -> list[Area]:
        """Return what a pointer shows at each column: the words for each number that is not 0."""
        areas = []
        for column in self.columns:
            if title := _gap(column) if column.is_gap else _title(column, series, words):
                x, width = column.at / self.across * WIDE, column.width / self.across * WIDE
                areas.append(Area("gap" if column.is_gap else "h", f"{x:.1f}", f"{width:.1f}", title))
        return areas

    def labels(self) -> list[Label]:
        """Return the labels of the time axis and of its gaps."""
        return [*self.time_labels(), *self._gaps()]

    def time_labels(self) -> Iterator[Label]:
        """Yield labels for the first moment, the last, and up to two between them, none of them inside a gap."""
        bins = [column for column in self.columns if not column.is_gap]
        widest = max(column.width for column in self.columns)
        began, ended = self._period
        dated = ended - began >= _DAY_SECONDS
        yield _time_label("x first", 0, began, dated=dated)
        for share in (1 / 3, 2 / 3):
            column = min(bins, key=lambda each: abs(each.at / self.across - share))
            near = abs(column.at / self.across - share) < 0.05 + widest / self.across
            if near and len(bins) > 6:  # noqa: PLR2004 - room for it
                yield _time_label("x", column.at / self.across, column.starts_at, dated=dated)
        yield _time_label("x last", 1, ended, dated=dated)

    @property
    def _period(self) -> tuple[int, int]:
        return self.columns[0].starts_at, self.columns[-1].starts_at + self.bin_seconds

    def _gaps(self) -> Iterator[Label]:
        for column in self.columns:
            if column.is_gap and column.width / self.across >= _ROOM_FOR_A_TEXT:
                middle = (column.at + column.width / 2) / self.across * 100
                yield Label("pause", "left", f"{middle:.2f}", _gap(column))

    def label(self, title: str) -> str:
        """Return what the chart shows, for those who do not see it."""
        began, ended = self._period
        return _("{title}, from {began} to {ended} UTC", title=title, began=moment(began), ended=moment(ended))

    def table(self, series: Sequence[_Series]) -> Table:
        """Return the numbers of each bar, and the pauses."""
        head = _("{duration} from (UTC)", duration=duration(self.bin_seconds))
        rows = []
        for column in self.columns:
            numbers = [f"{each.number(column.bin):,}" for each in series]
            if column.is_gap:
                numbers = [_gap(column), *[""] * (len(series) - 1)]
            rows.append([moment(column.starts_at), *numbers])
        return Table([head, *(each.name for each in series)], rows)


def _with_time_zone(caption: str, distance: str) -> str:
    """Return the sentence below a chart, with what its times are; ``distance`` is that of local time to UTC."""
    times = (
        _("Times are in UTC; below them is the local time, {zone}.", zone=distance)
        if distance
        else _("Times are in UTC.")
    )
    return _("{sentence} {next_sentence}", sentence=caption, next_sentence=times)


def _title(column: Column, series: Sequence[_Series], words: Callable[[int], str]) -> str:
    numbers = [
        _("{name}: {counts}", name=each.name, counts=words(number))
        for each in series
        if (number := each.number(column.bin))
    ]
    return f"{clock(column.starts_at)} {_(', ').join(numbers)}" if numbers else ""


def _bars(seconds: int) -> str:
    if seconds == 1:
        return _("Each bar is one second.")
    return _("Each bar is the mean of {duration}.", duration=duration(seconds))


def _gap(column: Column) -> str:
    return _("no calls for {duration}", duration=duration(column.seconds))


def _time_label(css_class: str, share: float, at: int, *, dated: bool) -> Label:
    utc, local = (moment(at, local=local)[5:16] if dated else clock(at, local=local) for local in (False, True))
    css_class = f"{css_class} dated" if dated else css_class
    return Label(css_class, "left", f"{share * 100:.2f}", utc, local if zone(at) else "")
