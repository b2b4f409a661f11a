"""An emulator of StopWebcast, for trying a run and for tests: nothing real is called, nothing real is stopped.

``Emulator`` serves it, ``Faults`` says what goes wrong. Here stands what needs no server: the checks of a call, the
wording of the answers, the record of what came. The signature is computed anew from the request as it came, with the
general function of ``stopcast.signing`` and none of ``Signer``'s short cuts, so that it tells when those are wrong.
"""

from __future__ import annotations

import calendar
import re
import time
from array import array
from collections import Counter
from collections.abc import KeysView, Mapping
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl

import orjson

from stopcast.api import ACTION, VERSIONS
from stopcast.credentials import Credentials
from stopcast.signing import SIGNATURE_LIFETIME, canonical_query, signature, signing_key
from stopcast.task import ID_PATTERN, Task

if TYPE_CHECKING:
    from stopcast.sandbox.emulator import Emulator as Emulator
    from stopcast.sandbox.faults import Faults as Faults

SANDBOX_CREDENTIALS: Final = Credentials("sandbox", "sandbox-secret", source="the sandbox")


class Refusal(NamedTuple):
    """How the API words an error. The number is the gateway's (vendor page 6369/68677), 0 where none is known."""

    http_status: int
    code_number: int
    message: str
    headers: Mapping[str, str] = MappingProxyType({})


REFUSALS: Final[Mapping[str, Refusal]] = {
    "UndefinedError": Refusal(500, 100001, "An unknown error occurred."),
    "MissingAuthenticationToken": Refusal(400, 100003, "The request carries no Authorization header."),
    "MissingSignature": Refusal(400, 100005, "The request carries no signature."),
    "InvalidTimestamp": Refusal(400, 100006, "The signature of the request is expired, or not yet valid."),
    "ServiceNotFound": Refusal(404, 100007, "The service was not found."),
    "InvalidActionOrVersion": Refusal(404, 100008, "The action or the version was not found."),
    "InvalidAccessKey": Refusal(401, 100009, "The access key does not exist."),
    "SignatureDoesNotMatch": Refusal(401, 100010, "The signature of the request does not match."),
    "LackPolicy": Refusal(403, 100012, "The account has no policy for this action."),
    "AccessDenied": Refusal(403, 100013, "The account is not authorized for this action."),
    "InternalError": Refusal(500, 100014, "An internal error occurred."),
    "InternalServiceError": Refusal(502, 0, "The service behind the gateway failed."),
    "InternalServiceTimeout": Refusal(504, 100016, "The service behind the gateway did not answer in time."),
    "FlowLimitExceeded": Refusal(429, 0, "The request was throttled."),
    "ServiceUnavailable": Refusal(503, 0, "The service is unavailable for the moment.", {"Retry-After": "1"}),
    "InvalidAuthorization": Refusal(400, 100024, "The Authorization header cannot be read."),
    "InvalidCredential": Refusal(400, 0, "The credential in the Authorization header is not valid."),
    "InvalidSecretToken": Refusal(400, 100026, "The security token is missing, not valid or expired."),
    "AccountFlowLimitExceeded": Refusal(429, 100027, "The account's requests were throttled."),
    "FlowLimitExceeded.QPSOverLimit": Refusal(429, 100027, "The account's requests a second are over the limit."),
    "MissingParameter": Refusal(400, 0, "A parameter is missing."),
    "InvalidParameter": Refusal(400, 0, "A parameter is not valid."),
    "InvalidParameter.ErrorActiveTaskNotFound": Refusal(400, 0, "The task does not exist, or has stopped."),
    "InvalidParameter.NotExistAppId": Refusal(400, 0, "The AppId does not exist."),
    "InvalidParameter.IllegalAppId": Refusal(400, 0, "The AppId is not legal."),
    "InvalidParameter.AccountIdMismatch": Refusal(400, 0, "The AppId belongs to another account."),
    "AccessDenied.NoPermissionForApp": Refusal(403, 0, "The account has no right to this AppId."),
    "AccessDenied.ServiceNotEnabled": Refusal(403, 0, "The service is not enabled."),
    "AccessDenied.RecordNotEnabled": Refusal(403, 0, "Recording is not enabled for this AppId."),
}


class Answer(NamedTuple):
    """One answer; ``code`` is "ok", the API's error code, or None where it is not the API that answers."""

    code: str | None = None
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})


def ok(metadata: Mapping[str, str]) -> Answer:
    """Return the API's answer to a task that it has stopped."""
    return Answer("ok", body=orjson.dumps({"ResponseMetadata": metadata, "Result": "ok"}))


def refusal(metadata: Mapping[str, Any], code: str) -> Answer:
    """Return the API's answer to a call that it refuses with ``code``, one of ``REFUSALS``."""
    status, number, message, headers = REFUSALS[code]
    metadata = {**metadata, "Error": {"CodeN": number, "Code": code, "Message": message}}
    body = orjson.dumps({"ResponseMetadata": metadata, "Result": None})
    return Answer(code, status, body, {"Content-Type": "application/json", **headers})


class RefusedError(Exception):
    """A call that does not pass; its text is one of the codes in ``REFUSALS``."""


class Target(NamedTuple):
    """What a request's first line asks for."""

    path: str
    query: str
    action: str
    version: str


@lru_cache(maxsize=64)
def read_target(raw_path: str) -> Target:
    """Read path and query as they came; the query returned is the canonical one."""
    path, _, query = raw_path.partition("?")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    return Target(path, canonical_query(parameters), parameters.get("Action", ""), parameters.get("Version", ""))


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
    credentials: Credentials, target: Target, *, method: str, headers: Mapping[str, str], body: bytes, now: float
) -> str:
    """Return the region that the signature names; raise RefusedError unless it fits the request as it came.

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


def check_action(target: Target, *, method: str) -> None:
    """Raise RefusedError unless StopWebcast is called, in a version that exists."""
    if (method, target.path, target.action) != ("POST", "/", ACTION) or target.version not in VERSIONS:
        raise RefusedError("InvalidActionOrVersion")


def read_task(body: bytes) -> Task:
    """Read the three ids; raise RefusedError if one is missing or has not the form of an id, or there is more."""
    try:
        parameters: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RefusedError("InvalidParameter") from None
    if not isinstance(parameters, dict) or parameters.keys() - {"AppId", "RoomId", "TaskId"}:
        raise RefusedError("InvalidParameter")
    if len(parameters) < len(Task._fields):
        raise RefusedError("MissingParameter")
    task = Task(parameters["AppId"], parameters["RoomId"], parameters["TaskId"])
    if not all(isinstance(value, str) and ID_PATTERN.fullmatch(value) for value in task):
        raise RefusedError("InvalidParameter")
    return task


class Records:
    """What came, and what became of it."""

    def __init__(self) -> None:
        #: Monotonic time of every call, whatever became of it.
        self.arrivals = array("d")
        #: The API's answers: "ok", or the error's code. By name, the faults that struck. Calls refused for the quota.
        self.by_code, self.by_fault, self.throttled = Counter[str](), Counter[str](), 0
        self._stopped: dict[Task, None] = {}

    @property
    def calls(self) -> int:
        """Calls that have arrived."""
        return len(self.arrivals)

    @property
    def stopped(self) -> KeysView[Task]:
        """The tasks that were stopped, in that order; compares with sets."""
        return self._stopped.keys()

    def worst_second(self) -> int:
        """Return the most calls that arrived in any second, its end not included."""
        worst = first = 0
        for last, arrived in enumerate(self.arrivals):
            while arrived - self.arrivals[first] >= 1:
                first += 1
            worst = max(worst, last - first + 1)
        return worst

    def rate(self) -> float:
        """Return the calls a second, from the first arrival to the last."""
        span = self.arrivals[-1] - self.arrivals[0] if self.arrivals else 0.0
        return (len(self.arrivals) - 1) / span if span else 0.0

    def stats(self) -> dict[str, Any]:
        """Return what ``GET /stats`` answers."""
        return {
            "calls": self.calls,
            "stopped": len(self.stopped),
            "worst_second": self.worst_second(),
            "rate": self.rate(),
            "throttled": self.throttled,
            "by_code": self.by_code,
            "by_fault": self.by_fault,
        }


def __getattr__(name: str) -> object:
    """Import what needs aiohttp, and this module, when it is asked for."""
    if (module := {"Emulator": "emulator", "Faults": "faults"}.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
