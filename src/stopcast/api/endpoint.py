"""StopWebcast on the wire: where a call goes, what it says, and what an answer says.

Pure: a task becomes bytes, bytes become a reply. Facts and where they come from: the vendor's pages 6348/1178321 and
1178322 (parameters, answers), 6348/69828 (hosts), 6348/1188205 (the version of 2023).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import orjson

from stopcast.api.signing import canonical_query
from stopcast.errors import ConfigurationError
from stopcast.tasks.outcome import TaskState
from stopcast.tasks.task import Task

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
#: What a signature can name as a region.
REGION_PATTERN: Final = re.compile(r"[a-zA-Z0-9-]{1,64}")
_FALLBACK_REGION: Final = "cn-north-1"
_VERSION_PATTERN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# Narrower than a URL's grammar: what is signed as the host has to be, letter by letter, what is sent.
_ADDRESS_PATTERN: Final = re.compile(
    rf"(https?)://(?:\[([0-9a-f:.]+)\]|({_LABEL}(?:\.{_LABEL})*))(?::([0-9]{{1,5}}))?/?", re.ASCII | re.IGNORECASE
)
_SCHEME_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
_LAST_PORT: Final = 65535
_TEXT_LIMIT: Final = 2000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the calls go. Make one with ``Endpoint.parse``.

    Attributes:
        url: the whole request address, action and version in it.
        host: as it is signed and stands in the Host header, with the port unless that is 80 or 443.
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
    def parse(
        cls,
        url: str = DEFAULT_ENDPOINT,
        *,
        region: str | None = None,
        key_region: str | None = None,
        version: str = VERSIONS[0],
    ) -> Endpoint:
        """Check ``url`` (scheme, host, port; no path) and complete it.

        Args:
            url: the address.
            region: that signatures name, whatever else is known.
            key_region: the region that came with the credentials. It is often another service's (VOLCENGINE_REGION is
                shared by all of them), so it counts only where the host is none of the vendor's that are known here.
            version: of the API.

        Raises:
            ConfigurationError: an address that is none, plain http to another machine, or a region or version that
                cannot be one.
        """
        if "@" in url:
            raise ConfigurationError(
                "endpoint: no user and no password belong in it (not shown here); the key comes from the environment, "
                "such as VOLCENGINE_ACCESS_KEY, or from the vendor's files"
            )
        match = _ADDRESS_PATTERN.fullmatch(url)
        if match is None:
            raise ConfigurationError(
                f"endpoint {url!r}: expected https://HOST[:PORT] and nothing more, such as {DEFAULT_ENDPOINT}"
            )
        scheme, bracketed, name, digits = match.groups()
        scheme, host = scheme.lower(), (bracketed or name).lower()
        port = int(digits) if digits else _SCHEME_PORTS[scheme]
        address = _ip_address(host)
        if (bracketed and not isinstance(address, ipaddress.IPv6Address)) or not 0 < port <= _LAST_PORT:
            raise ConfigurationError(
                f"endpoint {url!r}: there is no such address or port; a port is at most {_LAST_PORT}"
            )
        loopback = host == "localhost" if address is None else address.is_loopback
        if scheme == "http" and not loopback:
            raise ConfigurationError(
                f"endpoint {url!r}: plain http is for loopback only; name it as https://{url.partition('//')[2]}"
            )
        if region and not REGION_PATTERN.fullmatch(region):
            raise ConfigurationError(f"region {region!r}: expected letters, digits and hyphens, such as cn-north-1")
        if not _VERSION_PATTERN.fullmatch(version):
            raise ConfigurationError(f"API version {version!r}: expected a date, such as {VERSIONS[0]}")
        shown = f"[{address}]" if bracketed else host
        query = canonical_query({"Action": ACTION, "Version": version})
        return cls(
            url=f"{scheme}://{shown}{'' if port == _SCHEME_PORTS[scheme] else f':{port}'}/?{query}",
            # The vendor's signers drop 80 and 443 from the host they sign, whatever the scheme.
            host=shown if port in _SCHEME_PORTS.values() else f"{shown}:{port}",
            query=query,
            region=region or REGIONS.get(host) or key_region or _FALLBACK_REGION,
            loopback=loopback,
        )

    def of(self, action: str) -> Endpoint:
        """Return the same place for another action of the API."""
        query = self.query.replace(f"Action={ACTION}", f"Action={action}")
        return replace(self, url=self.url.replace(self.query, query), query=query)


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def request_body(task: Task) -> bytes:
    """Return the JSON to send. The ids' form has been checked, and nothing in it needs escaping."""
    return f'{{"AppId":"{task.app_id}","RoomId":"{task.room_id}","TaskId":"{task.task_id}"}}'.encode()


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
