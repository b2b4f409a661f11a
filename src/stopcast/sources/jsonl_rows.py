"""Rows out of JSON lines: objects, arrays of three, and the lines of an earlier report."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NamedTuple

import orjson

from stopcast.errors import ListError
from stopcast.sources.columns import Choice, Columns
from stopcast.sources.lines import Lines
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Batch, BrokenRow, RawRow, RowColumns

_STATUSES: Final = frozenset(status.value for status in Status)
_REPORT_KEYS: Final = frozenset({"status", "attempts", "finished_at"})
_IDS: Final = 3
#: Objects of one list mostly have the same keys. A list with more sorts of them than this is only read more slowly.
_SHAPES_KEPT: Final = 64


class _Shape(NamedTuple):
    """Under which keys the objects with the same keys have the three ids, None where they have none."""

    app: str | None
    room: str | None
    task: str | None
    may_be_reported: bool = False


class _Left(Enum):
    OUT = auto()
    TOO_OLD = auto()


class JsonlParser:
    """Reads the lines of one list; every line stands alone.

    Args:
        source: the list's name.
        columns: the keys of the three ids; a report's lines are read by their own.
        choice: which of a report's lines to take.
    """

    def __init__(self, source: str, *, columns: Columns, choice: Choice) -> None:
        self._source = source
        self._columns = columns
        self._only_reported = choice.reports_only
        self._taken = frozenset(status.value for status in choice.statuses)
        self._not_before = choice.not_before
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def parse(self, lines: Lines) -> Batch:
        """Return what the lines hold."""
        rows = self._uniform_rows(lines)
        return self._rows_one_by_one(lines) if rows is None else Batch(self._source, rows)

    def _uniform_rows(self, lines: Lines) -> RowColumns | None:
        """Return the rows if every line is an object with the same keys, the ids among them; None if any is not."""
        try:
            values = list(map(orjson.loads, lines.texts))
        except orjson.JSONDecodeError:
            return None
        if set(map(type, values)) != {dict} or len(keys := set(map(tuple, values))) != 1:
            return None
        try:
            app, room, task, may_be_reported = self._shape(keys.pop())
        except ListError:
            return None
        if app is None or room is None or task is None or may_be_reported or self._only_reported:
            return None
        app_ids, room_ids, task_ids = ([value[key] for value in values] for key in (app, room, task))
        return RowColumns((app_ids, room_ids, task_ids), range(lines.first, lines.first + len(values)))

    def _rows_one_by_one(self, lines: Lines) -> Batch:
        rows: list[RawRow] = []
        doubts: list[bool] = []
        broken: list[BrokenRow] = []
        left_out = too_old = 0
        for number, text in enumerate(lines.texts, lines.first):
            try:
                value = orjson.loads(text)
                row = self._row(value, number)
            except orjson.JSONDecodeError as error:
                if text.strip():
                    broken.append(BrokenRow(f"not JSON: {error.msg}", number))
            except ListError as error:
                broken.append(BrokenRow(str(error), number))
            else:
                if isinstance(row, RawRow):
                    rows.append(row)
                    doubts.append(_in_doubt(value))
                elif row is _Left.OUT:
                    left_out += 1
                else:
                    too_old += 1
        return Batch(self._source, rows, broken, left_out, too_old, in_doubt=doubts if any(doubts) else None)

    def skip(self, row: BrokenRow) -> Batch:
        """Take note of a line that cannot be had."""
        return Batch(self._source, (), (row,))

    def finish(self) -> Batch:
        """Return what is left to be settled: nothing, for no line waits for another."""
        return Batch(self._source, ())

    def _row(self, value: object, number: int) -> RawRow | _Left:
        """Return the row that a line's value is, or why it is left out; raise ListError for what is no row."""
        match value:
            case dict():
                app, room, task, may_be_reported = self._shape(tuple(value))
                if may_be_reported:
                    status = value["status"]
                    if isinstance(status, str) and status in _STATUSES:
                        if status not in self._taken:
                            return _Left.OUT
                        if self._not_before and str(value["finished_at"]) < self._not_before:
                            return _Left.TOO_OLD
                        return RawRow(value.get("AppId"), value.get("RoomId"), value.get("TaskId"), number)
                if not self._only_reported:
                    return RawRow(
                        None if app is None else value[app],
                        None if room is None else value[room],
                        None if task is None else value[task],
                        number,
                    )
            case [app_id, room_id, task_id] if not self._only_reported:
                return RawRow(app_id, room_id, task_id, number)
            case list() if not self._only_reported:
                raise ListError(f"an array of {len(value)}, not of {_IDS} ids")
        raise ListError("no line of a report" if self._only_reported else "neither an object nor an array")

    def _shape(self, keys: tuple[str, ...]) -> _Shape:
        if (known := self._shapes.get(keys)) is not None:
            return known
        app, room, task = (None if place is None else keys[place] for place in self._columns.places(keys))
        shape = _Shape(app, room, task, _REPORT_KEYS.issubset(keys))
        if len(self._shapes) < _SHAPES_KEPT:
            self._shapes[keys] = shape
        return shape


def _in_doubt(value: object) -> bool:
    """Whether this is a report's line of a task that may have been stopped unseen."""
    return isinstance(value, dict) and value.get("in_doubt") is True and _REPORT_KEYS.issubset(value)
