"""Checks whether a row names a task, and says why not, for the person who has to fix it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from stopcast.tasks.task import ID_PATTERN, RowColumns, Task

_NAMES: Final = ("AppId", "RoomId", "TaskId")
_ID_CHARACTERS: Final = 128
_ALLOWED: Final = bytes(code for code in range(128) if ID_PATTERN.fullmatch(chr(code)))
#: No id may hold a comma, so one match over the three together checks each of them.
_THREE_IDS: Final = re.compile(",".join([ID_PATTERN.pattern] * 3).encode())
#: If three ids with their commas are at most this long, no id is too long.
_SHORT_KEY: Final = _ID_CHARACTERS + len(",a,a")
#: A value that is not an id is shown up to this length.
_SHOWN_CHARACTERS: Final = 256
_EXCERPT_CHARACTERS: Final = 40
_KINDS: Final[dict[type, str]] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "an array",
    dict: "an object",
}


def good_keys(rows: RowColumns) -> Sequence[bytes]:
    """Return each row's three ids joined by commas, b"" for a row that does not name a task."""
    if not rows:
        return []
    ids: Any = rows.ids
    keys = _keys(ids) if rows.keys is None else rows.keys
    data = b"\n".join(keys)
    # Without the characters that an id may hold, only the commas and line ends between the ids are left.
    sound = data.translate(None, _ALLOWED) == (b",,\n" * len(keys))[:-1] and all(map(all, ids))
    if sound and (max(map(len, keys)) <= _SHORT_KEY or max(map(len, chain(*ids))) <= _ID_CHARACTERS):
        return keys
    return [key if _THREE_IDS.fullmatch(key) else b"" for key in keys]


def _keys(ids: Any) -> list[bytes]:
    try:
        joined = list(map(",".join, zip(*ids, strict=True)))
    except TypeError:
        joined = [
            ",".join(row) if all(isinstance(value, str) for value in row) else "" for row in zip(*ids, strict=True)
        ]
    keys = "\n".join(joined).encode("ascii", "replace").split(b"\n")
    # A value may hold a line feed.
    return keys if len(keys) == len(joined) else [key.encode("ascii", "replace") for key in joined]


def names_a_task(row: Sequence[object]) -> bool:
    """Return whether the first three values are ids."""
    return all(isinstance(value, str) and ID_PATTERN.fullmatch(value) for value in row[:3])


def why_bad(row: Sequence[object]) -> str:
    """Return what is wrong with the first value that is not an id."""
    for name, value in zip(_NAMES, row[:3], strict=True):
        if value is None:
            return f"{name} is missing"
        if not isinstance(value, str):
            return f"{name} is {_KINDS.get(type(value), type(value).__name__)}, not a string"
        if not value:
            return f"{name} is empty"
        if len(value) > _ID_CHARACTERS:
            return f"{name} is longer than {_ID_CHARACTERS} characters: {_excerpt(value)}"
        if not ID_PATTERN.fullmatch(value):
            odd = next(character for character in value if not ID_PATTERN.fullmatch(character))
            return f"{name} may not hold {odd!r}: {_excerpt(value)}"
    raise AssertionError("every value is an id")


def shown_task(row: Sequence[object]) -> Task:
    """Return what a report can show of a row that does not name a task: "" for a value that is not a string."""
    return Task(*map(_shown, row[:3]))


def _shown(value: object) -> str:
    if not isinstance(value, str):
        return ""
    if len(value) > _SHOWN_CHARACTERS:
        value = value[:_SHOWN_CHARACTERS] + "…"
    # A lone surrogate cannot be encoded in UTF-8.
    return value.encode("utf-8", "backslashreplace").decode()


def _excerpt(value: str) -> str:
    return repr(value if len(value) <= _EXCERPT_CHARACTERS else value[:_EXCERPT_CHARACTERS] + "…")
