"""Rows out of JSON values: objects, arrays, the rows of a spreadsheet, and the lines of an earlier report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson

from stopcast.checks import is_number
from stopcast.errors import ListError
from stopcast.marking import N_
from stopcast.sources.columns import IDS, IN_ORDER, Columns, DoubleKeysError, check_equal
from stopcast.sources.header import Header, named_header, start_of
from stopcast.sources.json_keys import check_keys, stand_once
from stopcast.sources.json_nested import other_keys, other_values
from stopcast.sources.json_text import NotJsonError, value_of
from stopcast.sources.lines import Lines
from stopcast.sources.names import looks_like_a_name, may_be_names
from stopcast.sources.report_lines import WITHOUT_TASK, LastLines, ReportFilter, may_be_reported, status_of
from stopcast.sources.table import KnownApps, Table
from stopcast.tasks.task import ID_NAMES, Batch, BrokenRow, RawRow, RowColumns

#: Objects of one list mostly have the same keys. A list with more sorts of them than this is only read more slowly.
_SHAPES_KEPT: Final = 64
#: A spreadsheet keeps 15 digits of a number.
_EXACT_BELOW: Final = 10**15
_NAME_VALUES: Final = N_("names instead of ids")
_NO_ROW: Final = N_("neither an object nor an array")
_NO_REPORT: Final = N_("no line of a report")


class _Shape(NamedTuple):
    """Under which keys the objects with the same keys have the three ids, None where they have none.

    Attributes:
        app: the first key of the AppId.
        room: the first key of the RoomId.
        task: the first key of the TaskId.
        several: where ids have several keys, all keys of each id.
        may_be_reported: whether the objects can be lines of a report.
    """

    app: str | None
    room: str | None
    task: str | None
    several: Sequence[Sequence[str]] = ()
    may_be_reported: bool = False


@dataclass(slots=True)
class _Rows:
    """The rows of some values: with the list that each stands in, and whether its task may be stopped already."""

    rows: list[tuple[str, RawRow, bool]] = field(default_factory=list)
    broken: list[BrokenRow] = field(default_factory=list)
    left_out: int = 0
    not_chosen: int = 0
    too_old: int = 0
    numbers: int = 0


class JsonParser:
    """Reads the values of one list; every value stands alone, unless they are arrays, which are the rows of a table.

    Args:
        source: the list's name.
        columns: the keys of the three ids; a report's lines are read by their own.
        report_filter: which of a report's lines to take.
        header: of a spreadsheet's rows, which are arrays.
        begins_as_object: whether the first value is an object.

    Attributes:
        has_begun: whether a value was read.
    """

    def __init__(
        self,
        source: str,
        *,
        columns: Columns,
        report_filter: ReportFilter,
        header: Header | None = None,
        begins_as_object: bool = False,
    ) -> None:
        self._source = source
        self._columns = columns
        self._only_reported = report_filter.reports_only
        self._taken = frozenset(status.value for status in report_filter.statuses)
        self._not_before = report_filter.not_before
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self._known_apps = KnownApps()
        self._is_sheet = header is not None
        self._table = None if header is None else Table(header, columns)
        self.has_begun = False
        self._begins_as_object = begins_as_object
        #: Of a report, which of its lines counts for each task; None where each line does.
        self._last_lines: LastLines | None = None

    def take_only(self, last_lines: LastLines) -> None:
        """Take only the last line of a report about each task."""
        self._last_lines = last_lines

    def parse(self, lines: Lines) -> Iterator[Batch]:
        """Yield what the values hold.

        Raises:
            ListError: the first value has other keys.
        """
        rows = self._uniform_rows(lines)
        if rows is not None:
            yield Batch(self._source, rows)
            return
        found = _Rows()
        for number, text in zip(lines.numbers, lines.texts, strict=True):
            self._take(text, number, found)
        read_to = lines.numbers[-1]
        counts = {name: getattr(found, name) for name in ("left_out", "not_chosen", "too_old", "numbers")}
        groups = [(source, list(group)) for source, group in groupby(found.rows, itemgetter(0))]
        if not groups or groups[0][0] != self._source:
            groups.insert(0, (self._source, []))
        for source, rows_of in groups:
            doubts = [in_doubt for _, _, in_doubt in rows_of]
            yield Batch(
                source,
                [row for _, row, _ in rows_of],
                found.broken,
                in_doubt=doubts if any(doubts) else None,
                read_to=read_to,
                **counts,
            )
            found.broken, counts = [], {}

    def _uniform_rows(self, lines: Lines) -> RowColumns | None:
        """Return the rows if every value is an object with the same keys, the ids among them; None if any is not."""
        try:
            values = list(map(orjson.loads, lines.texts))
        except orjson.JSONDecodeError:
            return None
        if set(map(type, values)) != {dict} or len(keys := set(map(tuple, values))) != 1:
            return None
        try:
            app, room, task, several, reported = self._shape(keys.pop())
        except ListError:
            return None
        if app is None or room is None or task is None or several or reported or self._only_reported:
            return None
        ids = ([value[app] for value in values], [value[room] for value in values], [value[task] for value in values])
        once = stand_once(b"".join(lines.texts), (app, room, task), len(values))
        if not once or not self._known_apps.are_no_names(ids):
            return None
        self.has_begun = True
        return RowColumns(ids, lines.numbers)

    def skip(self, row: BrokenRow) -> Iterator[Batch]:
        """Yield a value that cannot be read.

        Raises:
            ListError: it is the first one, and an object that may hold all others.
        """
        if self._begins_as_object and not self.has_begun:
            raise ListError(
                f"its first object is {row.reason}; where the tasks stand in an array inside it, such as under the key "
                f"data: jq -c '.data[]' LIST | stopcast run -"
            )
        yield Batch(self._source, (), (row,))

    def finish(self) -> Iterator[Batch]:
        """Yield what is left to be settled: nothing, for no value waits for another."""
        return iter(())

    def _take(self, text: bytes, number: int, found: _Rows) -> None:
        if not text.strip():
            return
        try:
            value = value_of(text)
        except NotJsonError as error:
            found.broken.append(BrokenRow(str(error), number))
            return
        is_first, self.has_begun = not self.has_begun, True
        try:
            match value:
                case dict():
                    self._take_object(text, value, number, found, is_first=is_first)
                case list() if not self._only_reported:
                    self._take_array(value, number, found)
                case _:
                    reason = _NO_REPORT if self._only_reported else _NO_ROW
                    found.broken.append(BrokenRow(reason, number))
        except DoubleKeysError as error:
            found.broken.append(BrokenRow(str(error), number))

    def _take_object(self, text: bytes, value: dict[str, Any], number: int, found: _Rows, *, is_first: bool) -> None:
        app, room, task, several, reported = self._shape(tuple(value))
        check_keys(text, [key for key in (app, room, task, *chain(*several)) if key is not None])
        for name, keys in zip(self._columns.names, several, strict=False):
            check_equal(keys, [value[key] for key in keys], name)
        if reported and (status := status_of(value)) is not None:
            self._take_reported(value, status, number, found)
            return
        if self._only_reported:
            found.broken.append(BrokenRow(_NO_REPORT, number))
            return
        if is_first and value and app is room is task is None:
            raise ListError(other_keys(value, self._columns))
        ids: list[Any] = [None if key is None else value[key] for key in (app, room, task)]
        if is_first and (reason := other_values(value, self._columns)) is not None:
            raise ListError(reason)
        if all(map(looks_like_a_name, ids)):
            found.broken.append(BrokenRow(_NAME_VALUES, number))
        else:
            found.rows.append((self._source, RawRow(ids[0], ids[1], ids[2], number), False))

    def _take_reported(self, value: dict[str, Any], status: str, number: int, found: _Rows) -> None:
        doubt: bool | None = value.get("in_doubt") is True
        if status not in WITHOUT_TASK and self._last_lines is not None:
            doubt = self._last_lines.doubt_if_last(value, status)
        if status in WITHOUT_TASK or doubt is None:
            found.left_out += 1
        elif status not in self._taken:
            found.left_out += 1
            found.not_chosen += self._only_reported
        elif self._not_before and str(value["finished_at"]) < self._not_before:
            found.too_old += 1
        else:
            source, line = value.get("source"), value.get("line")
            if not isinstance(source, str) or not isinstance(line, int):
                source, line = self._source, number
            row = RawRow(value.get("AppId"), value.get("RoomId"), value.get("TaskId"), line)
            found.rows.append((source, row, doubt))

    def _take_array(self, value: list[Any], number: int, found: _Rows) -> None:
        if self._table is None:
            self._table = Table(_header_of(value, self._columns), self._columns)
            if self._table.header.named and self._columns.by_place is None:
                return
        width = self._table.header.width
        if len(value) != width and not self._is_sheet:
            found.broken.append(BrokenRow(f"an array of {len(value)}, not of {width}", number))
            return
        ids = self._table.row(value)
        if isinstance(ids, tuple) and self._is_sheet:
            ids = self._from_sheet(ids, found)
        if isinstance(ids, str):
            found.broken.append(BrokenRow(ids, number))
        elif ids is not None:
            found.rows.append((self._source, RawRow(*ids, number), False))

    def _from_sheet(self, ids: Sequence[Any], found: _Rows) -> tuple[Any, Any, Any] | str:
        """Return the ids of a spreadsheet's row as text, or why they are spoiled."""
        texts: list[Any] = []
        for name, id_ in zip(ID_NAMES, ids, strict=True):
            if isinstance(id_, dict):
                return f"{name} is a date or a time, as spreadsheets make of ids such as 1-2; format the column as text"
            if is_number(id_) and abs(id_) >= _EXACT_BELOW:
                return f"{name} is a number of more than 15 digits, of which a spreadsheet keeps only 15"
            texts.append(str(int(id_)) if is_number(id_) and id_ == int(id_) else id_)
        found.numbers += any(map(is_number, ids))
        app, room, task = texts
        return app, room, task

    def _shape(self, keys: tuple[str, ...]) -> _Shape:
        if (known := self._shapes.get(keys)) is not None:
            return known
        every = [[keys[place] for place in places] for places in self._columns.every_place(keys)]
        app, room, task = (names[0] if names else None for names in every)
        several = every if any(len(names) > 1 for names in every) else ()
        shape = _Shape(app, room, task, several, may_be_reported(keys))
        if len(self._shapes) < _SHAPES_KEPT:
            self._shapes[keys] = shape
        return shape


def _header_of(value: Sequence[Any], columns: Columns) -> Header:
    """Return the header that a list's first array is, or the ids' places in the API's order where it is a row.

    Raises:
        ListError: it is a header with other names.
    """
    cells = [cell if isinstance(cell, str) else "" for cell in value]
    if (places := columns.by_place) is not None:
        return Header(max(len(value), max(places) + 1), places, named=False)
    if (header := named_header(cells, columns)) is not None:
        return header
    if len(cells) == IDS and may_be_names(cells):
        start = start_of([cells], columns, ended=True)
        if isinstance(start, ListError):
            raise start
    return Header(IDS, IN_ORDER, named=False)
