"""Where the tasks stand inside an object that has none itself, as the answers of databases and of log services."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from stopcast.marking import N_
from stopcast.sources.columns import IDS, Columns, shown

#: The most keys on the way to the tasks.
_DEPTH: Final = 4
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DIGITS: Final = re.compile(r"\d+")
#: DynamoDB writes each value as an object with its type.
_TYPED_TEXT: Final = frozenset("S")
_TO_KEY: Final = " | to_entries[] | .value + "
_OTHER_KEYS: Final = N_(
    "its objects have no {names}; they have {keys}. Name the keys to use: --columns app=NAME,room=NAME,task=NAME"
)
_ONE_KEY: Final = N_("its tasks stand under the key {key}: jq -c '{program}' LIST | stopcast run -")
_SEVERAL_KEYS: Final = N_(
    "its tasks may stand under several keys: {keys}. Those under the first: jq -c '{program}' LIST | stopcast run -"
)
_NOT_ONE_BY_ONE: Final = N_("it does not hold one object for each task: jq -c '{program}' LIST | stopcast run -")


def other_keys(value: Mapping[str, Any], columns: Columns) -> str:
    """Return what is wrong with a first object that has none of the three keys, and what to type."""
    found = _filters(value, columns, _DEPTH)
    filter_ = _filter_to(value, columns, _DEPTH + 1)
    if filter_ is None:
        return _OTHER_KEYS.format(names=", ".join(columns.names), keys=shown(list(value)))
    if len(found) > 1 and not filter_.startswith(("[", _TO_KEY)):
        return _SEVERAL_KEYS.format(keys=shown(list(found)), program=_program(filter_))
    if len(found) == 1:
        return _ONE_KEY.format(key=shown(list(found)), program=_program(filter_))
    return _NOT_ONE_BY_ONE.format(program=_program(filter_))


def other_values(value: Mapping[str, Any], columns: Columns) -> str | None:
    """Return what is wrong with a first object whose ids are arrays or objects, None where nothing is known."""
    filter_ = _filter_to(value, columns, 0)
    return _NOT_ONE_BY_ONE.format(program=_program(filter_)) if filter_ else None


def _filter_to(value: Any, columns: Columns, depth: int) -> str | None:
    """Return the filter of jq that leads from a value to the tasks in it, None where it holds none."""
    if isinstance(value, dict):
        return _filter_in(value, columns, depth)
    step, inner = "", None
    if isinstance(value, list) and value:
        step, inner = "[]", value[0]
    elif isinstance(value, str) and value.startswith(("{", "[")):
        step, inner = " | fromjson", _parsed(value)
    inside = None if inner is None else _filter_to(inner, columns, depth)
    return None if inside is None else step + inside


def _filter_in(value: Mapping[str, Any], columns: Columns, depth: int) -> str | None:
    """Return the filter that leads from an object to the tasks in it."""
    keys = tuple(value)
    if ids := [keys[places[0]] for places in columns.every_place(keys) if places]:
        return _filter_of(ids, [value[key] for key in ids])
    if (table := _filter_to_rows(value, columns)) is not None or not depth:
        return table
    found = _filters(value, columns, depth - 1)
    if len(found) == len(value) > 1 and len({_DIGITS.sub("", key) for key in found}) == 1:
        return _filter_to_key(next(iter(value.values())), columns) or "[]" + next(iter(found.values()))
    return next((_step(key) + inside for key, inside in found.items()), None)


def _filter_to_key(value: Any, columns: Columns) -> str | None:
    """Return the filter that adds the one id that these objects lack, because it is their key."""
    if not isinstance(value, dict):
        return None
    places = columns.every_place(tuple(value))
    missing = [name for name, found in zip(columns.names, places, strict=True) if not found]
    return f"{_TO_KEY}{{{json.dumps(missing[0])}: .key}}" if len(missing) == 1 else None


def _filters(value: Mapping[str, Any], columns: Columns, depth: int) -> Mapping[str, str]:
    """Return the filters by the keys under which tasks stand."""
    found = {key: _filter_to(inner, columns, depth) for key, inner in value.items()}
    return {key: inside for key, inside in found.items() if inside is not None}


def _filter_of(ids: Sequence[str], values: Sequence[Any]) -> str:
    """Return the filter that makes tasks of the values that an object has for the three ids, "" where it is one."""
    if all(isinstance(value, dict) and value.keys() == _TYPED_TEXT for value in values):
        return " | map_values(.S)"
    if len(ids) < IDS:
        return ""
    columns = f" | [{', '.join(map(_step, ids))}]"
    if all(isinstance(value, list) for value in values):
        return f"{columns} | transpose[]"
    # pandas writes the number of each row.
    if all(isinstance(value, dict) and all(map(str.isdecimal, value)) for value in values):
        return f"{columns} | map(map(.)) | transpose[]"
    return ""


def _filter_to_rows(value: Mapping[str, Any], columns: Columns) -> str | None:
    """Return the filter to the rows of a table: an array of the columns' names, and one of arrays."""
    for key, heads in value.items():
        if not isinstance(heads, list):
            continue
        named = [str(head.get("name") if isinstance(head, dict) else head) for head in heads]
        if not all(columns.every_place(named)):
            continue
        names = f"[{_step(key)}[].name]" if isinstance(heads[0], dict) else _step(key)
        for other, rows in value.items():
            if other != key and isinstance(rows, list) and all(isinstance(row, list) for row in rows[:1]):
                return f" | {names}, {_step(other)}[]"
    return None


def _program(filter_: str) -> str:
    """Return the filter as a whole program."""
    return "." + filter_ if filter_.startswith("[") else filter_.removeprefix(" | ")


def _step(key: str) -> str:
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f".{json.dumps(key, ensure_ascii=False)}"


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
