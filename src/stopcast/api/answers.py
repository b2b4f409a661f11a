"""What an answer of the API says, however odd it is. Source: the vendor's page 6348/1178322."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import orjson

from stopcast.tasks.outcome import TaskState

#: An answer is a few hundred bytes; whatever is longer than this is no answer of the API.
ANSWER_LIMIT: Final = 1 << 20


_TEXT_LIMIT: Final = 2000


class Reply(NamedTuple):
    """What an answer says.

    Attributes:
        http_status: of the answer; None where none came, and then ``message`` says what did.
        ok: whether it is the API's "ok", and no error beside it.
        readable: whether it has the vendor's form at all.
        code: the API's error code, such as ``InvalidParameter.ErrorActiveTaskNotFound``.
        code_number: the gateway's number for it.
        message: the API's words, cut at 2000 characters.
        request_id: names the call for the vendor's support.
        retry_after: seconds that the server asked to wait, None where it did not.
        server_time: the answer's Date as Unix time, None where it had none.
        state: what it tells of the task, where that was asked.
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
) -> Reply:
    """Read one answer, however odd. Never raises for what a server may send.

    Args:
        http_status: its status.
        headers: looked up by ``Date`` and ``Retry-After`` only, and only where the answer is no plain ok.
        body: its bytes, as they came.
        state_of: reads a Result that is not just "ok"; None for one that has not the form it should have.
    """
    try:
        answer = orjson.loads(body)
        metadata = answer["ResponseMetadata"]
        request_id = _text(metadata.get("RequestId"))
        error = metadata.get("Error")
        result = answer.get("Result")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, IndexError):
        return _unreadable(http_status, headers, body)
    if error is None:
        if http_status == 200:  # noqa: PLR2004 - HTTP's own word for ok
            if state_of is None:
                if result == "ok":
                    return Reply(http_status, ok=True, request_id=request_id)
            elif (state := state_of(result)) is not None:
                return Reply(http_status, ok=True, request_id=request_id, state=state)
        shown = repr(result[:80]) if isinstance(result, str) else type(result).__name__
        return Reply(
            http_status,
            readable=False,
            message=f"neither ok nor an error: Result is {shown}",
            request_id=request_id,
            retry_after=_retry_after(headers),
            server_time=_server_time(headers),
        )
    if not isinstance(error, dict):
        error = {"Message": error}
    code, number = _text(error.get("Code")), error.get("CodeN")
    code_number = number if isinstance(number, int) and not isinstance(number, bool) else None
    return Reply(
        http_status,
        readable=code is not None or code_number is not None,
        code=code,
        code_number=code_number,
        message=_text(error.get("Message")),
        request_id=request_id,
        retry_after=_retry_after(headers),
        server_time=_server_time(headers),
    )


def _unreadable(http_status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    shown = body[:80].decode("utf-8", "replace") if body else "nothing"
    return Reply(
        http_status,
        readable=False,
        message=f"HTTP {http_status} and no answer of the API's form: {shown}",
        retry_after=_retry_after(headers),
        server_time=_server_time(headers),
    )


def _text(value: Any) -> str | None:
    """Return a string, cut; None for an empty one and for what is none: a list may be nested deeper than str() goes."""
    return value[:_TEXT_LIMIT] if isinstance(value, str) and value else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for, in either of its forms; None for anything else."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:10])
    # A date is held against the server's own Date, so that neither clock has to be right.
    then, now = _http_date(value), _server_time(headers)
    return max(0.0, then - now) if then is not None and now is not None else None


def _server_time(headers: Mapping[str, str]) -> float | None:
    return _http_date(headers.get("Date", ""))


def _http_date(value: str) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
        # An HTTP date is GMT even where it does not say so; left naive, it would be read in this machine's zone.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
