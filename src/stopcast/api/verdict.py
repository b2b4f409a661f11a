"""What an answer means for its task, its AppId and its account: the table of codes, and nothing else.

Codes: the vendor's pages 6348/70426 (RTC) and 6369/68677 (gateway). The Code decides before the HTTP status, because
the vendor's pages give the same code different statuses; a code may have a suffix after a dot.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from stopcast.api.answers import Reply


class Verdict(Enum):
    """The classes of answers. Each is one way for the engine to go on."""

    OK = "ok"
    NO_SUCH_TASK = "no such running task"
    THROTTLED = "throttled"
    TRANSIENT = "transient"
    CLOCK = "clock"
    ACCOUNT = "account"
    APPLICATION = "application"
    TASK = "task"


#: By the whole code. A code that is not here is looked up without what stands after its last dot, and so on.
CODES: Final[Mapping[str, Verdict]] = {
    "InvalidParameter.ErrorActiveTaskNotFound": Verdict.NO_SUCH_TASK,
    "InternalError": Verdict.TRANSIENT,
    "InternalServiceError": Verdict.TRANSIENT,
    "InternalServiceTimeout": Verdict.TRANSIENT,
    "ServiceUnavailable": Verdict.TRANSIENT,
    "UndefinedError": Verdict.TRANSIENT,
    "InvalidTimestamp": Verdict.CLOCK,
    "InvalidAccessKey": Verdict.ACCOUNT,
    "SignatureDoesNotMatch": Verdict.ACCOUNT,
    "InvalidAuthorization": Verdict.ACCOUNT,
    "InvalidCredential": Verdict.ACCOUNT,
    "InvalidSecretToken": Verdict.ACCOUNT,
    "MissingAuthenticationToken": Verdict.ACCOUNT,
    "MissingSignature": Verdict.ACCOUNT,
    "LackPolicy": Verdict.ACCOUNT,
    "AccessDenied": Verdict.ACCOUNT,
    "ServiceNotFound": Verdict.ACCOUNT,
    "InvalidActionOrVersion": Verdict.ACCOUNT,
    "InvalidParameter.NotExistAppId": Verdict.APPLICATION,
    "InvalidParameter.IllegalAppId": Verdict.APPLICATION,
    "InvalidParameter.AccountIdMismatch": Verdict.APPLICATION,
    "AccessDenied.NoPermissionForApp": Verdict.APPLICATION,
    "AccessDenied.ServiceNotEnabled": Verdict.APPLICATION,
    "AccessDenied.RecordNotEnabled": Verdict.APPLICATION,
    "InvalidParameter": Verdict.TASK,
    "MissingParameter": Verdict.TASK,
}

#: The gateway's numbers, for an answer whose Code says nothing.
CODE_NUMBERS: Final[Mapping[int, Verdict]] = {
    100001: Verdict.TRANSIENT,
    100003: Verdict.ACCOUNT,
    100005: Verdict.ACCOUNT,
    100006: Verdict.CLOCK,
    100007: Verdict.ACCOUNT,
    100008: Verdict.ACCOUNT,
    100009: Verdict.ACCOUNT,
    100010: Verdict.ACCOUNT,
    100012: Verdict.ACCOUNT,
    100013: Verdict.ACCOUNT,
    100014: Verdict.TRANSIENT,
    100016: Verdict.TRANSIENT,
    100027: Verdict.THROTTLED,
}

#: Families without a dot: InternalErrorXyz. Looked at last.
BEGINNINGS: Final[Mapping[str, Verdict]] = {
    "InternalError": Verdict.TRANSIENT,
    "ServiceUnavailable": Verdict.TRANSIENT,
    "InvalidParameter": Verdict.TASK,
}

#: The HTTP statuses that say to come back; every other one below 500 is final.
HTTP_STATUSES: Final[Mapping[int, Verdict]] = {408: Verdict.TRANSIENT, 429: Verdict.THROTTLED}
_SERVER_ERRORS: Final = 500


def judge(reply: Reply) -> Verdict:
    """Return the class of an answer. An answer without the API's form is never final."""
    if reply.ok:
        return Verdict.OK
    verdict = _by_code(reply.code or "") or CODE_NUMBERS.get(reply.code_number or 0)
    if verdict is not None:
        return verdict
    final = reply.readable and reply.http_status is not None and reply.http_status < _SERVER_ERRORS
    return HTTP_STATUSES.get(reply.http_status or 0, Verdict.TASK if final else Verdict.TRANSIENT)


def _by_code(code: str) -> Verdict | None:
    if "FlowLimitExceeded" in code:
        return Verdict.THROTTLED
    family = code
    while family:
        if (verdict := CODES.get(family)) is not None:
            return verdict
        family = family.rpartition(".")[0]
    return next((verdict for beginning, verdict in BEGINNINGS.items() if code.startswith(beginning)), None)
