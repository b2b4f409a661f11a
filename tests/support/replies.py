"""Reading an answer of the API, and what every reply promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from stopcast.api.answers import Reply, read_answer

DATE = "Sun, 22 Nov 2026 20:00:00 GMT"
DATE_AS_UNIX_TIME = 1795377600.0


def read(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Read an answer, and hold the reply to what every reply promises."""
    reply = read_answer(status, headers or {}, body)
    assert reply.http_status == status
    for text in (reply.code, reply.message, reply.request_id):
        assert text is None or (isinstance(text, str) and 0 < len(text) <= 2000)
        assert text is None or text.encode()
    assert reply.code_number is None or type(reply.code_number) is int
    assert reply.retry_after is None or reply.retry_after >= 0
    if reply.ok:
        assert (reply.readable, reply.code, status) == (True, None, 200)
    else:
        assert reply.code or reply.code_number is not None or not reply.readable
    return reply


def error_body(**error: Any) -> bytes:
    return orjson.dumps({"ResponseMetadata": {"RequestId": "id", "Error": error}})
