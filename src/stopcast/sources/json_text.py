"""JSON values out of one line, also as programs write them that do not keep to the standard. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

from stopcast.marking import N_
from stopcast.sources.json_values import NOT_UTF_8_JSON

_JOINED: Final = N_(
    "not JSON: several values on one line, perhaps of files that were joined without a line end between them"
)


class NotJsonError(ValueError):
    """The text is not JSON. The message says why."""


def value_of(text: bytes) -> Any:
    """Return the value that the text is.

    Python writes NaN and Infinity, which are not JSON, and JavaScript half a character where it cuts a text.

    Raises:
        NotJsonError: it is not JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        reason = error.msg
    try:
        return json.loads(text.decode())
    except UnicodeDecodeError:
        raise NotJsonError(NOT_UTF_8_JSON) from None
    except json.JSONDecodeError as error:
        raise NotJsonError(_JOINED if _goes_on(error) else f"not JSON: {reason}") from None
    except (ValueError, RecursionError):
        raise NotJsonError(f"not JSON: {reason}") from None


def _goes_on(error: json.JSONDecodeError) -> bool:
    """Return whether a value ends where the error is, and another one follows."""
    before, after = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip(" \t,\ufeff")
    return before.endswith(("}", "]")) and after.startswith(("{", "["))
