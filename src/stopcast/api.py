"""StopWebcast on the wire: where a call goes, what it says, and what an answer says.

Pure: a task becomes bytes, bytes become a reply. Facts and where they come from: the vendor's pages 6348/1178321 and
1178322 (parameters, answers), 6348/69828 (hosts), 6348/1188205 (the version of 2023).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from stopcast.errors import ConfigurationError
from stopcast.signing import canonical_query
from stopcast.task import Task

ACTION: Final = "StopWebcast"
VERSIONS: Final = ("2020-12-01", "2023-11-01")
DEFAULT_ENDPOINT: Final = "https://rtc.volcengineapi.com"
#: Calls a second that an account may make of this API, all its AppIds, processes and hosts together.
QUOTA_PER_SECOND: Final = 150
#: An answer is a few hundred bytes; whatever is longer than this is no answer of the API.
ANSWER_LIMIT: Final = 1 << 20
#: The vendor's hosts with the region that each one's signatures name.
REGIONS: Final[Mapping[str, str]] = {
    "rtc.volcengineapi.com": "cn-north-1",
    # One page of the vendor says ap-southeast-1, its Go SDK and its sample answers ap-singapore-1: hence a setting.
    "open-ap-singapore-1.volcengineapi.com": "ap-singapore-1",
    "open.byteplusapi.com": "ap-singapore-1",
}
_FALLBACK_REGION: Final = "cn-north-1"
_TEXT_LIMIT: Final = 2000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the calls go. Make one with ``Endpoint.parse``.

    Attributes:
        url: the whole request address, action and version in it.
        host: as it stands in the Host header, with the port unless it is the scheme's own.
        query: the canonical query string.
        region: that the signature names.
        loopback: whether this machine itself answers, so that no account's quota is at stake.
    """

    url: str
    host: str
    query: str
    region: str
    loopback: bool = field(default=False)

    @classmethod
    def parse(cls, url: str = DEFAULT_ENDPOINT, *, region: str | None = None, version: str = VERSIONS[0]) -> Endpoint:
        """Check ``url`` (scheme and host, no path) and complete it.

        Raises:
            ConfigurationError: an address that is none, or plain http to another machine.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(f"endpoint {url!r}: {error}") from None
        host = parts.hostname
        if parts.scheme not in {"http", "https"} or not host:
            raise ConfigurationError(f"endpoint {url!r}: expected https://HOST[:PORT]")
        if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username is not None:
            raise ConfigurationError(f"endpoint {url!r}: only scheme, host and port belong here")
        loopback = _is_loopback(host)
        if parts.scheme == "http" and not loopback:
            raise ConfigurationError(f"endpoint {url!r}: plain http is for loopback only; use https")
        netloc = f"[{host}]" if ":" in host else host
        # The vendor's signers drop both 80 and 443 from the signed host, so neither may stand in the Host header.
        if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
            netloc += f":{port}"
        query = canonical_query({"Action": ACTION, "Version": version})
        return cls(
            url=f"{parts.scheme}://{netloc}/?{query}",
            host=netloc,
            query=query,
            region=region or REGIONS.get(host, _FALLBACK_REGION),
            loopback=loopback,
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def request_body(task: Task) -> bytes:
    """Return the JSON to send. The ids' form has been checked, and nothing in it needs escaping."""
    return f'{{"AppId":"{task.app_id}","RoomId":"{task.room_id}","TaskId":"{task.task_id}"}}'.encode()


@dataclass(frozen=True, slots=True)
class Reply:
    """What an answer says.

    Attributes:
        http_status: of the answer.
        ok: whether it is the API's "ok", and no error beside it.
        readable: whether it has the vendor's form at all.
        code: the API's error code, such as ``InvalidParameter.ErrorActiveTaskNotFound``.
        code_number: the gateway's number for it.
        message: the API's words, cut at 2000 characters.
        request_id: names the call for the vendor's support.
        retry_after: seconds that the server asked to wait, None where it did not.
        server_time: the answer's Date as Unix time, None where it had none.
    """

    http_status: int
    ok: bool = False
    readable: bool = True
    code: str | None = None
    code_number: int | None = None
    message: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    server_time: float | None = None


def read_answer(http_status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """Read one answer, however odd. Never raises for what a server may send.

    Args:
        http_status: its status.
        headers: looked up by ``Date`` and ``Retry-After`` only, and only where the answer is no plain ok.
        body: its bytes, as they came.
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
        if result == "ok" and http_status == 200:  # noqa: PLR2004 - HTTP's own word for ok
            return Reply(http_status, ok=True, request_id=request_id)
        shown = _text(result) or "nothing"
        return Reply(
            http_status,
            readable=False,
            message=f"neither ok nor an error: Result is {shown[:80]}",
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
    """Return a string that can be written as UTF-8, None for nothing."""
    if value is None or value == "":
        return None
    return str(value)[:_TEXT_LIMIT]


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
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
