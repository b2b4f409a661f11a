"""The table of error codes: what each one says about the task, its AppId or the account. Nothing else is in this file.

Codes: the vendor's pages 6348/70426 (RTC), 6369/68677 (gateway), and 6408/78947, 6396/70462, 6448/76370, 6720/108305
(other services behind the same gateway). The code decides before the HTTP status, because the vendor's pages give the
same code different statuses. A code may have a suffix after a dot.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from stopcast.api.answers import Reply


class Verdict(Enum):
    """The classes of answers: what an answer says, and about what. Events and metrics use the names in lower case."""

    OK = "ok"
    NO_SUCH_TASK = "no such running task"
    THROTTLED = "throttled"
    TRANSIENT = "transient"
    CLOCK = "clock"
    ACCOUNT = "account"
    APPLICATION = "application"
    TASK = "task"
    """A refusal that is known to be about this task."""
    UNKNOWN_ACCOUNT = "unknown, probably the account"
    """HTTP 401 or 403 with a code that is not in the table."""
    UNKNOWN_REFUSAL = "unknown refusal"
    """Any other refusal with a code that is not in the table. What it is about is not known."""


#: By the whole code. A code that is not here is looked up again without the part after its last dot, and so on.
CODES: Final[Mapping[str, Verdict]] = {
    "InvalidParameter.ErrorActiveTaskNotFound": Verdict.NO_SUCH_TASK,
    "InternalError": Verdict.TRANSIENT,
    "InternalServiceError": Verdict.TRANSIENT,
    "InternalServiceTimeout": Verdict.TRANSIENT,
    "ServiceUnavailable": Verdict.TRANSIENT,
    "UndefinedError": Verdict.TRANSIENT,
    "FailToConnect": Verdict.TRANSIENT,
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
    "InvalidClientTokenId": Verdict.ACCOUNT,
    "LackProjectPolicy": Verdict.ACCOUNT,
    "MissingRequestInfo": Verdict.ACCOUNT,
    "InnerApiNeedAccountInfo": Verdict.ACCOUNT,
    "MethodNotAllowed": Verdict.ACCOUNT,
    "RequestForbidden": Verdict.ACCOUNT,
    "InvalidParameter.NotExistAppId": Verdict.APPLICATION,
    "InvalidParameter.IllegalAppId": Verdict.APPLICATION,
    "InvalidParameter.AccountIdMismatch": Verdict.APPLICATION,
    "AccessDenied.NoPermissionForApp": Verdict.APPLICATION,
    "AccessDenied.ServiceNotEnabled": Verdict.APPLICATION,
    "AccessDenied.RecordNotEnabled": Verdict.APPLICATION,
    "InvalidParameter": Verdict.TASK,
    "MissingParameter": Verdict.TASK,
}

#: The gateway's numbers, for an answer whose code is missing or unknown.
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
    100015: Verdict.TRANSIENT,
    100016: Verdict.TRANSIENT,
    100024: Verdict.ACCOUNT,
    100025: Verdict.ACCOUNT,
    100026: Verdict.ACCOUNT,
    100027: Verdict.THROTTLED,
}

#: Families without a dot, such as InternalErrorXyz. They are looked up last.
BEGINNINGS: Final[Mapping[str, Verdict]] = {
    "InternalError": Verdict.TRANSIENT,
    "ServiceUnavailable": Verdict.TRANSIENT,
    "InvalidParameter": Verdict.TASK,
}

#: The HTTP status decides where neither code nor number is known. 408 and 429 always mean the same.
HTTP_STATUSES: Final[Mapping[int, Verdict]] = {408: Verdict.TRANSIENT, 429: Verdict.THROTTLED}
#: These count only beside an error in the API's form: a proxy on the way answers with 401 and 403, too.
REFUSAL_STATUSES: Final[Mapping[int, Verdict]] = {401: Verdict.UNKNOWN_ACCOUNT, 403: Verdict.UNKNOWN_ACCOUNT}
_SERVER_ERRORS: Final = 500


def judge(reply: Reply) -> Verdict:
    """Return the class of an answer. An answer that does not have the API's form is never final."""
    if reply.ok:
        return Verdict.OK
    verdict = _by_code(reply.code or "") or CODE_NUMBERS.get(reply.code_number or 0)
    if verdict is not None:
        return verdict
    status = reply.http_status
    if status is None:
        return Verdict.TRANSIENT
    if (verdict := HTTP_STATUSES.get(status)) is not None:
        return verdict
    if not reply.readable or status >= _SERVER_ERRORS:
        return Verdict.TRANSIENT
    return REFUSAL_STATUSES.get(status, Verdict.UNKNOWN_REFUSAL)


def _by_code(code: str) -> Verdict | None:
    if "FlowLimitExceeded" in code:
        return Verdict.THROTTLED
    family = code
    while family:
        if (verdict := CODES.get(family)) is not None:
            return verdict
        family = family.rpartition(".")[0]
    return next((verdict for beginning, verdict in BEGINNINGS.items() if code.startswith(beginning)), None)
