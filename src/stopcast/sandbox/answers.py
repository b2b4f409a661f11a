"""The emulator's answers, in the API's own words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from stopcast.tasks.outcome import TaskState


class Refusal(NamedTuple):
    """The API's answer with an error. The number is the gateway's (vendor page 6369/68677), 0 where it is not known."""

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
    "FailToConnect": Refusal(502, 100015, "The gateway cannot connect to the service."),
    "ServiceUnavailable": Refusal(503, 0, "The service is temporarily unavailable.", {"Retry-After": "1"}),
    "InvalidAuthorization": Refusal(400, 100024, "The Authorization header cannot be read."),
    "InvalidCredential": Refusal(400, 0, "The credential in the Authorization header is not valid."),
    "InvalidSecretToken": Refusal(400, 100026, "The security token is missing, not valid or expired."),
    "InvalidClientTokenId": Refusal(401, 0, "The security token in the request is not valid."),
    "LackProjectPolicy": Refusal(403, 0, "The account has no policy for this action in this project."),
    "MissingRequestInfo": Refusal(400, 0, "Required information is missing in the request."),
    # Their HTTP statuses are not published.
    "InnerApiNeedAccountInfo": Refusal(400, 0, "An inner API needs the account's information."),
    "MethodNotAllowed": Refusal(405, 0, "The method is not allowed."),
    "RequestForbidden": Refusal(403, 0, "The request is forbidden."),
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
    """One answer. ``code`` is "ok", the API's error code, or None for an answer that is not the API's."""

    code: str | None = None
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})


def ok(metadata: Mapping[str, str]) -> Answer:
    """Return the answer to a call that stopped its task."""
    return Answer("ok", body=orjson.dumps({"ResponseMetadata": metadata, "Result": "ok"}))


def task_state(metadata: Mapping[str, str], state: TaskState) -> Answer:
    """Return the answer to a call that asks for a task's state."""
    task = {"Status": state.number, "StopReason": state.stop_reason or "", "EndTime": state.end_time or 0}
    return Answer("ok", body=orjson.dumps({"ResponseMetadata": metadata, "Result": {"WebCastTask": task}}))


def refusal(metadata: Mapping[str, Any], code: str) -> Answer:
    """Return the answer to a call that is refused with ``code``, one of ``REFUSALS``."""
    status, number, message, headers = REFUSALS[code]
    metadata = {**metadata, "Error": {"CodeN": number, "Code": code, "Message": message}}
    body = orjson.dumps({"ResponseMetadata": metadata, "Result": None})
    return Answer(code, status, body, {"Content-Type": "application/json", **headers})
