"""The checks that a call has to pass: signature, action, and the three ids.

The signature is computed from the received request with the general function of ``stopcast.api.signing``, without the
optimizations of ``Signer``, so a fault of those is found here.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import orjson

from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST, Action
from stopcast.api.endpoint import VERSIONS
from stopcast.api.signing import SIGNATURE_LIFETIME, canonical_query, signature, signing_key
from stopcast.credentials.value import Credentials
from stopcast.tasks.task import ID_NAMES, ID_PATTERN, Task


class RefusedError(Exception):
    """A call is refused. The text is one of the codes in ``REFUSALS``."""


class RequestTarget(NamedTuple):
    """The target in a request's first line."""

    path: str
    query: str
    action: str
    version: str
    parameters: Mapping[str, str]


@lru_cache(maxsize=64)
def read_target(raw_path: str) -> RequestTarget:
    """Split the received path and query. The query in the result is the canonical one."""
    path, _, query = raw_path.partition("?")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    return RequestTarget(
        path, canonical_query(parameters), parameters.pop("Action", ""), parameters.pop("Version", ""), parameters
    )


_AUTHORIZATION: Final = re.compile(
    r"HMAC-SHA256 Credential=(?P<access_key>[^/,\s]+)/(?P<scope>(?P<day>\d{8})/(?P<region>[^/,\s]+)/rtc/request), "
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)
_key_of_day: Final = lru_cache(maxsize=8)(signing_key)


@lru_cache(maxsize=256)
def _unix_time(x_date: str) -> float:
    try:
        return calendar.timegm(time.strptime(x_date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise RefusedError("InvalidTimestamp") from None


def check_signature(
    credentials: Credentials, target: RequestTarget, *, method: str, headers: Mapping[str, str], body: bytes, now: float
) -> str:
    """Return the region in the signature; raise RefusedError unless the signature fits the received request.

    ``now`` is the server's clock, Unix time in seconds.
    """
    if (authorization := headers.get("Authorization")) is None:
        raise RefusedError("MissingAuthenticationToken")
    if (claim := _AUTHORIZATION.fullmatch(authorization)) is None:
        raise RefusedError("InvalidAuthorization")
    if claim["access_key"] != credentials.access_key:
        raise RefusedError("InvalidAccessKey")
    if headers.get("X-Security-Token", "") != (credentials.session_token or ""):
        raise RefusedError("InvalidSecretToken")
    if abs(_unix_time(x_date := headers.get("X-Date", "")) - now) > SIGNATURE_LIFETIME:
        raise RefusedError("InvalidTimestamp")
    names = claim["names"].split(";")
    body_sha256 = sha256(body).hexdigest()
    sound = (
        names == sorted(names)
        and {"host", "x-date"}.issubset(names)
        and headers.get("X-Content-Sha256", body_sha256) == body_sha256
        and claim["day"] == x_date[:8]
    )
    if not sound or claim["signature"] != signature(
        key=_key_of_day(credentials.secret_key, claim["day"], claim["region"]),
        method=method,
        path=target.path,
        query=target.query,
        headers={name: headers.get(name, "") for name in names},
        scope=claim["scope"],
        body_sha256=body_sha256,
    ):
        raise RefusedError("SignatureDoesNotMatch")
    return claim["region"]


def check_action(target: RequestTarget, *, method: str) -> Action:
    """Return the action; raise RefusedError unless the API has it in this version."""
    for action in (STOP_WEBCAST, GET_WEBCAST_TASK):
        if (method, target.path, target.action) == (action.method, "/", action.name) and target.version in VERSIONS:
            return action
    raise RefusedError("InvalidActionOrVersion")


def read_task(action: Action, target: RequestTarget, body: bytes) -> Task:
    """Return the task; raise RefusedError if an id is missing or malformed, or if there is any other parameter."""
    try:
        parameters: Any = target.parameters if action is GET_WEBCAST_TASK else orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RefusedError("InvalidParameter") from None
    if not isinstance(parameters, dict) or parameters.keys() - set(ID_NAMES):
        raise RefusedError("InvalidParameter")
    if len(parameters) < len(ID_NAMES):
        raise RefusedError("MissingParameter")
    task = Task(parameters["AppId"], parameters["RoomId"], parameters["TaskId"])
    if not all(isinstance(value, str) and ID_PATTERN.fullmatch(value) for value in task):
        raise RefusedError("InvalidParameter")
    return task
