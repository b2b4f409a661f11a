"""The three ids of any object that a program has for a task: a sequence, a mapping, a database row or a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from stopcast.marking import N_
from stopcast.sources.columns import IDS, Columns, DoubleKeysError, check_equal
from stopcast.tasks.task import BrokenRow, RawRow, Task

#: A Task, a sequence of the three ids, or an object that has them by name.
AnyTask: TypeAlias = Task | Sequence[str] | Mapping[str, str] | Any
_COLUMNS: Final = Columns()
_SHORT_COLUMNS: Final = Columns("app", "room", "task")
_NOT_A_TASK: Final = N_("neither a Task, nor three strings, nor an object with an AppId, a RoomId and a TaskId")
_UNREADABLE: Final = N_("its values cannot be read: {error}")
_Get: TypeAlias = Callable[[Any, str], object]


def row_of(task: Any, line: int) -> RawRow | BrokenRow:
    """Return the ids of an object as a row. Names are compared without case, ``_``, ``-`` and spaces."""
    if type(task) in _BY_PLACE and len(task) == IDS:
        app_id, room_id, task_id = task
        return RawRow(app_id, room_id, task_id, line)
    try:
        return _row_of_object(task, line)
    except Exception as error:  # noqa: BLE001 - an object of a database may fetch its values only now
        return BrokenRow(_UNREADABLE.format(error=type(error).__name__), line)


def _row_of_object(task: Any, line: int) -> RawRow | BrokenRow:
    if (named := _names_of(task)) is not None and (row := _by_name(task, *named, line)) is not None:
        return row
    # Text is a sequence too, of its characters.
    ordered = isinstance(task, Sequence) and not isinstance(task, str | bytes | bytearray)
    if (ordered or _is_database_row(type(task))) and not isinstance(task, Mapping) and len(task) == IDS:
        app_id, room_id, task_id = task
        return RawRow(app_id, room_id, task_id, line)
    return BrokenRow(_NOT_A_TASK, line)


def _is_database_row(kind: type) -> bool:
    """Whether objects of this class have names and an order, as sqlite3.Row and asyncpg.Record do."""
    return all(callable(getattr(kind, name, None)) for name in ("keys", "__getitem__", "__len__", "__iter__"))


#: Where the classes of pydantic, attrs and msgspec have the names of their fields.
_FIELDS: Final = ("model_fields", "__attrs_attrs__", "__struct_fields__")
_BY_PLACE: Final = frozenset({Task, tuple, list})


def _names_of(task: Any) -> tuple[tuple[str, ...], _Get] | None:
    """Return the names of an object's values and how to get one, None for an object that has no names."""
    kind = type(task)
    if kind is type:
        return None
    found: tuple[tuple[str, ...], _Get] | None = None
    if isinstance(task, Mapping):
        found = _texts(task), _item
    elif isinstance(names := getattr(task, "_fields", None), tuple):  # named tuples, and rows of SQLAlchemy
        found = _texts(names), getattr
    elif is_dataclass(task) and not isinstance(task, type):
        found = tuple(field.name for field in fields(task)), getattr
    elif (names := next(filter(None, (getattr(kind, name, None) for name in _FIELDS)), None)) is not None:
        found = tuple(getattr(name, "name", name) for name in names), getattr
    elif _is_database_row(kind):
        found = _texts(task.keys()), _item
    elif all(hasattr(task, name) for name in Task._fields):
        found = Task._fields, getattr
    return found


def _texts(names: Iterable[object]) -> tuple[str, ...]:
    return tuple(name for name in names if isinstance(name, str))


def _item(task: Any, name: str) -> object:
    return task[name]


def _by_name(task: object, names: tuple[str, ...], get: _Get, line: int) -> RawRow | BrokenRow | None:
    every = _places(names)
    if not any(every):
        return None
    ids: list[object] = []
    for name, places in zip(_COLUMNS.names, every, strict=True):
        values = [get(task, names[place]) for place in places]
        try:
            check_equal([names[place] for place in places], values, name)
        except DoubleKeysError as error:
            return BrokenRow(str(error), line)
        ids.append(values[0] if values else None)
    return RawRow(ids[0], ids[1], ids[2], line)


@lru_cache(maxsize=64)
def _places(names: tuple[str, ...]) -> Sequence[Sequence[int]]:
    ids, short = _COLUMNS.every_place(names), _SHORT_COLUMNS.every_place(names)
    return [named or other for named, other in zip(ids, short, strict=True)]
