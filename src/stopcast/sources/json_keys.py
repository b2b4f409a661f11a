"""Keys that stand twice in a JSON object: a reader keeps the last of them, and the list may mean the other one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from stopcast.sources.columns import DoubleKeysError

#: How JSON may write a letter of a key in another way.
_ESCAPED_LETTER: Final = b"\\u00"


def stand_once(text: bytes, keys: Iterable[str], number: int) -> bool:
    """Return whether it is plain that each key stands once in each of a number of objects, whose text this is."""
    return _ESCAPED_LETTER not in text and all(text.count(f'"{key}"'.encode()) == number for key in keys)


def check_keys(text: bytes, keys: Sequence[str]) -> None:
    """Check that none of these keys, which an object has, stands twice in it.

    Raises:
        DoubleKeysError: one does.
    """
    if stand_once(text, keys, 1):
        return
    objects: list[Sequence[tuple[str, Any]]] = []
    try:
        # The outermost object is the last one that is complete.
        json.loads(text, object_pairs_hook=objects.append)
    except RecursionError:
        raise DoubleKeysError("an object that is nested too deeply") from None
    found = [key for key, _ in objects[-1]]
    for key in keys:
        if found.count(key) > 1:
            raise DoubleKeysError(f"two keys are named {key}")
