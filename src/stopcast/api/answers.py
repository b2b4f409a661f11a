"""Reads an answer of the API into a ``Reply``, however odd the answer is. Source: the vendor's page 6348/1178322."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import orjson

from stopcast.marking import N_
from stopcast.tasks.outcome import TaskState

#: Bytes. An answer has a few hundred; the API sends nothing that is longer than this.
ANSWER_LIMIT: Final = 1 << 20
_TEXT_LIMIT: Final = 2000
_STOP_REASON_LIMIT: Final = 200
_EXCERPT: Final = 80
_HIDDEN: Final = "***"
_HTTP_OK: Final = 200
#: How a gzip body begins, and one that HTTP calls deflate. No JSON begins so.
_COMPRESSED: Final = (b"\x1f\x8b", b"\x78")
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
#: A gzip body may be several that follow one another.
_MOST_MEMBERS: Final = 8
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
#: A character that is escaped as in JSON, perhaps several times, or as in a URL.
_ESCAPED: Final = re.compile(r"\\+u00([0-9a-f]{2})|%([0-9a-f]{2})|\\+(.)", re.IGNORECASE | re.DOTALL)


class Reply(NamedTuple):
    """What an answer says.

    Attributes:
        http_status: of the answer; None where no answer came, and then ``message`` says what happened.
        ok: whether it is the API's "ok" without an error.
        readable: whether it has the API's form.
        code: the API's error code, such as ``InvalidParameter.ErrorActiveTaskNotFound``.
        code_number: the gateway's number for it.
        message: the API's words, at most 2000 characters.
        request_id: identifies the call for the vendor's support.
        retry_after: seconds that the server asked to wait, None where it did not.
        server_time: the answer's Date as Unix time, None where it had none.
        state: the task's state, where the call asked for it.
    """

    http_status: int | None
    ok: bool = False
    readable: bool = True
    code: str | None = None
    code_number: int | None = None
    message: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    server_time: float | None = None
    state: TaskState | None = None


def read_answer(
    http_status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    state_of: Callable[[Any], TaskState | None] | None = None,
    secret: str = "",
) -> Reply:
    """Read one answer. Never raises, whatever a server sends.

    Args:
        http_status: its status.
        headers: only ``Date`` and ``Retry-After`` are used, and only where the answer is not a plain ok.
        body: its bytes as they arrived. A compressed body is decoded, although the request asks for none.
        state_of: reads a Result that is not just "ok"; returns None for a Result that does not have the right form.
        secret: the session token that was sent. Where the server returns it, the reply has ``***`` instead.
    """
    try:
        answer = orjson.loads(body if body.startswith(b"{") else _unwrapped(body))
        metadata = answer["ResponseMetadata"]
        request_id = _text(metadata.get("RequestId"), secret)
        error = metadata.get("Error")
        result = answer.get("Result")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, IndexError):
        # Hidden before it is cut, so that no half of a secret is left.
        shown = hide(body.decode("utf-8", "replace"), secret)[:_EXCERPT] or N_("nothing")
        return _not_ok(
            http_status,
            headers,
            readable=False,
            message=f"HTTP {http_status} and no answer of the API's form: {shown}",
        )
    if not _is_empty(error):
        return _not_ok(http_status, headers, request_id=request_id, **_values_of(error, secret))
    if http_status == _HTTP_OK and state_of is None and result == "ok":
        return Reply(http_status, ok=True, request_id=request_id)
    if http_status == _HTTP_OK and state_of is not None and (state := state_of(result)) is not None:
        state = state._replace(stop_reason=_text(state.stop_reason, secret, _STOP_REASON_LIMIT))
        return Reply(http_status, ok=True, request_id=request_id, state=state)
    shown = repr(hide(result, secret)[:_EXCERPT]) if isinstance(result, str) else type(result).__name__
    return _not_ok(
        http_status,
        headers,
        readable=False,
        message=f"neither ok nor an error: Result is {shown}",
        request_id=request_id,
    )


def _values_of(error: Any, secret: str) -> dict[str, Any]:
    """Return the values of a reply that an error has."""
    if not isinstance(error, dict):
        error = {"Message": error}
    code, number = _text(error.get("Code"), secret), error.get("CodeN")
    code_number = number if isinstance(number, int) and not isinstance(number, bool) else None
    return {
        "readable": code is not None or code_number is not None,
        "code": code,
        "code_number": code_number,
        "message": _text(error.get("Message"), secret),
    }


def _not_ok(http_status: int, headers: Mapping[str, str], **values: Any) -> Reply:
    return Reply(http_status, retry_after=_retry_after(headers), server_time=_server_time(headers), **values)


def hide(text: str, secret: str) -> str:
    """Return the text with ``***`` where the secret was, be it as it is or escaped as in JSON, a URL or HTML."""
    if not secret or len(text) < len(secret):
        return text
    text = text.replace(secret, _HIDDEN)
    from html import unescape  # noqa: PLC0415 - few answers are searched

    plain = unescape(_ESCAPED.sub(_unescaped, text))
    return plain.replace(secret, _HIDDEN) if secret in plain else text


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else match[3]


def _unwrapped(body: bytes) -> bytes:
    """Return an answer's JSON without what some proxies and servers put around it, although no request asks for it."""
    plain = _decompressed(body) if body.startswith(_COMPRESSED) else body
    return plain.removeprefix(_BYTE_ORDER_MARK)


def _decompressed(body: bytes) -> bytes:
    """Return what is inside a gzip or deflate body, b"" where it is damaged, cut, or longer than any answer."""
    plain = b""
    try:
        for _ in range(_MOST_MEMBERS):
            decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
            plain += decoder.decompress(body, max(1, ANSWER_LIMIT - len(plain)))
            if not decoder.eof:
                return b""
            if not (body := decoder.unused_data):
                return plain
    except zlib.error:
        return b""
    return b""


def _is_empty(error: Any) -> bool:
    """Whether this is nothing, or an object without any value: some gateways send one beside every answer."""
    return not error or (isinstance(error, dict) and not any(error.values()))


def _text(value: Any, secret: str, limit: int = _TEXT_LIMIT) -> str | None:
    """Return a string, cut to the limit; None for an empty one and for other types, which may be nested too deep."""
    return hide(value, secret)[:limit] if isinstance(value, str) and value else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for, in either of its forms; None for anything else."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:10])
    # A date is compared with the server's own Date, so that neither clock has to be right.
    then, now = _http_date(value), _server_time(headers)
    return max(0.0, then - now) if then is not None and now is not None else None


def _server_time(headers: Mapping[str, str]) -> float | None:
    return _http_date(headers.get("Date", ""))


def _http_date(value: str) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
        # An HTTP date is GMT even where it does not say so; a naive one would be read in this machine's zone.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
