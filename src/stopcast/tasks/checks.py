"""Checks whether a row names a task, and says why not, for the person who has to fix it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from stopcast.marking import N_
from stopcast.tasks.task import ID_NAMES, ID_PATTERN, RowColumns, Task

_ID_CHARACTERS: Final = 128
_ALLOWED: Final = bytes(code for code in range(128) if ID_PATTERN.fullmatch(chr(code)))
#: No id may hold a comma, so one match over the three together checks each of them.
_THREE_IDS: Final = re.compile(",".join([ID_PATTERN.pattern] * 3).encode())
#: If three ids with their commas are at most this long, no id is too long.
_SHORT_KEY: Final = _ID_CHARACTERS + len(",a,a")
#: How programs write that there is no value. It has the characters of an id, and none can mean it. R writes NA.
_NO_VALUES: Final = frozenset(
    spelled
    for word in ("null", "none", "nan", "nil", "undefined", "NaN")
    for spelled in (word, word.upper(), word.capitalize())
) | {"NA"}
_LONGEST_NO_VALUE: Final = max(map(len, _NO_VALUES))
_WITHOUT_VALUE: Final = re.compile(rb"(?:^|,)(?:%s)(?:,|$)" % b"|".join(word.encode() for word in _NO_VALUES))
#: An id that a program read as a number: 1001 as pandas writes it, or rounded. An id may look like this all the same.
_ROUNDED: Final = re.compile(rb"(?:^|,)-?\d+\.(?:0+|\d+[eE]-?\d+)(?:,|$)")
#: What is no id, in words that say where it comes from.
_SPOILED: Final = (
    (
        re.compile(r"\d+(?:\.\d+)?[eE]\+\d+"),
        N_("a rounded number; a spreadsheet has replaced the id, so export it as text"),
    ),
    (re.compile(r"#[A-Z/0-9]+[!?]?"), N_("an error of a spreadsheet")),
    (re.compile(r'="[^"]*"'), N_("a formula, which makes a spreadsheet keep it as text; export its value")),
    (re.compile(r"'[^']*"), N_("text with the apostrophe that makes a spreadsheet keep it; export it without")),
    (re.compile(r"\\N"), N_("a database's NULL")),
    (re.compile(r"\{\{.*\}\}|\$\{.*\}|<[^<>]*>|%\(.*\)s"), N_("a placeholder that was not filled in")),
)
#: A value that is not an id is shown up to this length.
_SHOWN_CHARACTERS: Final = 256
_EXCERPT_CHARACTERS: Final = 40
_KINDS: Final[dict[type, str]] = {
    bool: N_("true or false"),
    int: N_("a number"),
    float: N_("a number"),
    list: N_("an array"),
    dict: N_("an object"),
}


def good_keys(rows: RowColumns) -> Sequence[bytes]:
    """Return each row's three ids joined by commas, b"" for a row that does not name a task."""
    if not rows:
        return []
    ids: Any = rows.ids
    keys = _keys(ids) if rows.keys is None else rows.keys
    # Without the characters that an id may hold, only the commas and line ends between the ids are left.
    left = b"\n".join(keys).translate(None, _ALLOWED)
    shortest = _shortest(ids)
    if not shortest or (max(map(len, keys)) > _SHORT_KEY and max(map(len, chain(*ids))) > _ID_CHARACTERS):
        keys = _matching(keys)
    elif left != (b",,\n" * len(keys))[:-1]:
        keys = _sound(keys, left.split(b"\n"))
    # To compare lengths costs a tenth of hashing each id.
    if shortest > _LONGEST_NO_VALUE or _are_values(ids):
        return keys
    return [b"" if _WITHOUT_VALUE.search(key) else key for key in keys]


def _sound(keys: Sequence[bytes], left_of_each: Sequence[bytes]) -> list[bytes]:
    if len(left_of_each) != len(keys):  # a value holds a line feed
        return _matching(keys)
    return [key if left == b",," else b"" for key, left in zip(keys, left_of_each, strict=True)]


def _matching(keys: Sequence[bytes]) -> list[bytes]:
    return [key if _THREE_IDS.fullmatch(key) else b"" for key in keys]


def _shortest(ids: Any) -> int:
    """Return the length of the shortest id, 0 where one is no string."""
    try:
        return min(min(map(len, column)) for column in ids)
    except TypeError:
        return 0


def _are_values(ids: Any) -> bool:
    try:
        return all(map(_NO_VALUES.isdisjoint, ids))
    except TypeError:  # not even strings
        return False


def rounded(keys: Sequence[bytes]) -> int:
    """Return how many of these rows have an id that looks like a number which a program has changed."""
    if b"." not in b",".join(keys):
        return 0
    return sum(_ROUNDED.search(key) is not None for key in keys)


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
    return all(isinstance(value, str) and ID_PATTERN.fullmatch(value) and value not in _NO_VALUES for value in row[:3])


def why_bad(row: Sequence[object]) -> str:
    """Return what is wrong with the first value that is not an id."""
    for name, value in zip(ID_NAMES, row[:3], strict=True):
        if not isinstance(value, str):
            return _why_no_string(name, value)
        if not value:
            return f"{name} is empty"
        if len(value) > _ID_CHARACTERS:
            return f"{name} is longer than {_ID_CHARACTERS} characters: {_excerpt(value)}"
        if value in _NO_VALUES:
            return f"{name} is {value!r}, which stands for a missing value"
        if not ID_PATTERN.fullmatch(value):
            return _why_odd(name, value)
    raise AssertionError("every value is an id")


def _why_no_string(name: str, value: object) -> str:
    if value is None:
        return f"{name} is missing"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{name} is {value}, which JSON does not have, and not a string"
    kind = _KINDS.get(type(value), type(value).__name__)
    return f"{name} is {kind}, not a string"


def _why_odd(name: str, value: str) -> str:
    for pattern, what in _SPOILED:
        if pattern.fullmatch(value):
            return f"{name} is {what}: {_excerpt(value)}"
    odd = next(character for character in value if not ID_PATTERN.fullmatch(character))
    # How Python keeps a byte that is not UTF-8.
    if "\udc80" <= odd <= "\udcff":
        byte = f"{ord(odd) - 0xDC00:x}"
        return f"{name} holds the byte 0x{byte}, which is not UTF-8: {_excerpt(value)}"
    return f"{name} may not hold {odd!r}: {_excerpt(value)}"


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
