"""Where the tasks stand inside an object that has none itself, as the answers of databases and of log services."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from stopcast.sources.columns import Columns, shown

#: The most keys on the way to the tasks.
_DEPTH: Final = 4
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: DynamoDB writes each value as an object with its type.
_TYPED_TEXT: Final = frozenset("S")


def other_keys(value: Mapping[str, Any], columns: Columns) -> str:
    """Return what is wrong with a first object that has none of the three keys, and what to type."""
    for key, inner in value.items():
        if (inside := _filter_to(inner, columns, _DEPTH)) is not None:
            path = _step(key) + inside
            return f"its tasks stand under the key {key!r}: jq -c '{path}' LIST | stopcast run -"
    return (
        f"its objects have no {', '.join(columns.names)}; they have {shown(list(value))}. "
        f"Name the keys to use: --columns app=NAME,room=NAME,task=NAME"
    )


def _filter_to(value: Any, columns: Columns, depth: int) -> str | None:
    """Return the filter of jq that leads from a value to the tasks in it, None where it holds none."""
    if isinstance(value, list) and value:
        inside = _filter_to(value[0], columns, depth)
        return None if inside is None else "[]" + inside
    if isinstance(value, str) and value.startswith(("{", "[")):
        inside = _filter_to(_parsed(value), columns, depth)
        return None if inside is None else " | fromjson" + inside
    if not isinstance(value, dict):
        return None
    keys = tuple(value)
    if places := [place for place in columns.places(keys) if place is not None]:
        ids = [value[keys[place]] for place in places]
        typed = all(isinstance(id_, dict) and id_.keys() == _TYPED_TEXT for id_ in ids)
        return " | map_values(.S)" if typed else ""
    if not depth:
        return None
    found = ((key, _filter_to(inner, columns, depth - 1)) for key, inner in value.items())
    return next((_step(key) + inside for key, inside in found if inside is not None), None)


def _step(key: str) -> str:
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f".{json.dumps(key, ensure_ascii=False)}"


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
