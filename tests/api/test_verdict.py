"""What each answer means: the vendor's codes, one by one."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stopcast.api.answers import Reply, read_answer
from stopcast.api.verdict import BEGINNINGS, CODE_NUMBERS, CODES, Verdict, judge

OK, NO_SUCH_TASK, THROTTLED, TRANSIENT = Verdict.OK, Verdict.NO_SUCH_TASK, Verdict.THROTTLED, Verdict.TRANSIENT
CLOCK, ACCOUNT, APPLICATION, TASK = Verdict.CLOCK, Verdict.ACCOUNT, Verdict.APPLICATION, Verdict.TASK
UNKNOWN_ACCOUNT, UNKNOWN_REFUSAL = Verdict.UNKNOWN_ACCOUNT, Verdict.UNKNOWN_REFUSAL

#: (Code, CodeN, HTTP status) and what they mean: first all that the vendor's pages name, then families, then the rest.
CASES: Final[list[tuple[str | None, int | None, int, Verdict]]] = [
    ("InvalidParameter.ErrorActiveTaskNotFound", None, 400, NO_SUCH_TASK),
    ("InvalidParameter.ErrorActiveTaskNotFound", None, 200, NO_SUCH_TASK),
    ("InvalidParameter.ErrorActiveTaskNotFound", None, 500, NO_SUCH_TASK),
    ("FlowLimitExceeded", None, 429, THROTTLED),
    ("FlowLimitExceeded", None, 200, THROTTLED),
    ("FlowLimitExceeded.QPSOverLimit", None, 400, THROTTLED),
    ("FlowLimitExceeded.TaskNumberOverLimit", None, 400, THROTTLED),
    ("AccountFlowLimitExceeded", 100027, 429, THROTTLED),
    ("InvalidParameter.FlowLimitExceeded", None, 400, THROTTLED),
    ("InternalError", 100014, 500, TRANSIENT),
    ("InternalError", 100014, 200, TRANSIENT),
    ("InternalServiceError", None, 500, TRANSIENT),
    ("InternalServiceTimeout", 100016, 504, TRANSIENT),
    ("InternalServiceTimeout", 100016, 400, TRANSIENT),
    ("ServiceUnavailable", None, 503, TRANSIENT),
    ("UndefinedError", 100001, 400, TRANSIENT),
    ("FailToConnect", 100015, 400, TRANSIENT),
    ("InvalidTimestamp", 100006, 400, CLOCK),
    ("InvalidTimestamp", 100006, 403, CLOCK),
    ("InvalidAccessKey", 100009, 401, ACCOUNT),
    ("SignatureDoesNotMatch", 100010, 401, ACCOUNT),
    ("InvalidAuthorization", None, 400, ACCOUNT),
    ("InvalidCredential", None, 400, ACCOUNT),
    ("InvalidSecretToken", None, 400, ACCOUNT),
    ("MissingAuthenticationToken", 100003, 400, ACCOUNT),
    ("MissingSignature", 100005, 400, ACCOUNT),
    ("LackPolicy", 100012, 403, ACCOUNT),
    ("AccessDenied", 100013, 403, ACCOUNT),
    ("AccessDenied", 100013, 500, ACCOUNT),
    ("ServiceNotFound", 100007, 404, ACCOUNT),
    ("InvalidActionOrVersion", 100008, 404, ACCOUNT),
    ("InvalidClientTokenId", None, 401, ACCOUNT),
    ("LackProjectPolicy", None, 403, ACCOUNT),
    ("MissingRequestInfo", None, 400, ACCOUNT),
    ("InnerApiNeedAccountInfo", None, 400, ACCOUNT),
    ("MethodNotAllowed", None, 400, ACCOUNT),
    ("RequestForbidden", None, 400, ACCOUNT),
    ("InvalidParameter.NotExistAppId", None, 400, APPLICATION),
    ("InvalidParameter.IllegalAppId", None, 400, APPLICATION),
    ("InvalidParameter.AccountIdMismatch", None, 400, APPLICATION),
    ("AccessDenied.NoPermissionForApp", None, 403, APPLICATION),
    ("AccessDenied.ServiceNotEnabled", None, 403, APPLICATION),
    ("AccessDenied.RecordNotEnabled", None, 403, APPLICATION),
    ("InvalidParameter", None, 400, TASK),
    ("MissingParameter", None, 400, TASK),
    # Families: what stands after a dot may be new, or more than one part.
    ("InvalidParameter.ErrorActiveTaskNotFound.Webcast", None, 400, NO_SUCH_TASK),
    ("FlowLimitExceeded.A.B", None, 400, THROTTLED),
    ("InternalError.Storage", None, 400, TRANSIENT),
    ("InternalErrorOfStorage", None, 400, TRANSIENT),
    ("InternalErrorOf.Storage", None, 200, TRANSIENT),
    ("ServiceUnavailable.Maintenance", None, 200, TRANSIENT),
    ("ServiceUnavailableNow", None, 400, TRANSIENT),
    ("InternalServiceTimeout.Upstream", None, 400, TRANSIENT),
    ("InvalidTimestamp.Expired", None, 401, CLOCK),
    ("SignatureDoesNotMatch.X.Y", None, 400, ACCOUNT),
    ("AccessDenied.Anything", None, 403, ACCOUNT),
    ("AccessDenied.NoPermissionForApp.X", None, 403, APPLICATION),
    ("InvalidParameter.NotExistAppId.X", None, 400, APPLICATION),
    ("InvalidParameter.TaskId", None, 400, TASK),
    ("InvalidParameter.TaskId", None, 500, TASK),
    ("InvalidParameterValue", None, 500, TASK),
    ("MissingParameter.AppId", None, 200, TASK),
    # A code that only begins or ends like a known one, or is written otherwise, is unknown.
    ("AccessDeniedXyz", None, 400, UNKNOWN_REFUSAL),
    ("InvalidTimestamps", None, 503, TRANSIENT),
    ("internalerror", None, 400, UNKNOWN_REFUSAL),
    ("X.InternalError", None, 400, UNKNOWN_REFUSAL),
    (".InternalError", None, 400, UNKNOWN_REFUSAL),
    ("...", None, 400, UNKNOWN_REFUSAL),
    # The number counts where the code says nothing.
    (None, 100001, 400, TRANSIENT),
    (None, 100003, 400, ACCOUNT),
    (None, 100005, 400, ACCOUNT),
    (None, 100006, 500, CLOCK),
    (None, 100007, 400, ACCOUNT),
    (None, 100008, 400, ACCOUNT),
    (None, 100009, 500, ACCOUNT),
    (None, 100010, 400, ACCOUNT),
    (None, 100012, 400, ACCOUNT),
    (None, 100013, 400, ACCOUNT),
    (None, 100014, 200, TRANSIENT),
    (None, 100015, 400, TRANSIENT),
    (None, 100016, 400, TRANSIENT),
    (None, 100024, 400, ACCOUNT),
    (None, 100025, 400, ACCOUNT),
    (None, 100026, 400, ACCOUNT),
    (None, 100027, 200, THROTTLED),
    ("NeverHeardOf", 100009, 400, ACCOUNT),
    ("MissingParameter", 100014, 500, TASK),
    # Nothing is known but the status.
    ("NeverHeardOf", None, 200, UNKNOWN_REFUSAL),
    ("NeverHeardOf", None, 302, UNKNOWN_REFUSAL),
    ("NeverHeardOf", None, 400, UNKNOWN_REFUSAL),
    ("NeverHeardOf", None, 401, UNKNOWN_ACCOUNT),
    ("NeverHeardOf", None, 403, UNKNOWN_ACCOUNT),
    ("NeverHeardOf", None, 404, UNKNOWN_REFUSAL),
    ("NeverHeardOf", None, 408, TRANSIENT),
    ("NeverHeardOf", None, 429, THROTTLED),
    ("NeverHeardOf", None, 499, UNKNOWN_REFUSAL),
    ("NeverHeardOf", None, 500, TRANSIENT),
    ("NeverHeardOf", None, 502, TRANSIENT),
    ("NeverHeardOf", None, 599, TRANSIENT),
    (None, 42, 400, UNKNOWN_REFUSAL),
    (None, 42, 403, UNKNOWN_ACCOUNT),
    (None, 42, 503, TRANSIENT),
    (None, 0, 400, UNKNOWN_REFUSAL),
]


@pytest.mark.parametrize(("code", "number", "status", "verdict"), CASES)
def test_a_code_means(code: str | None, number: int | None, status: int, verdict: Verdict) -> None:
    assert judge(Reply(status, code=code, code_number=number)) is verdict


def test_the_cases_name_every_code_of_the_tables() -> None:
    assert set(CODES) <= {code for code, _, _, _ in CASES}
    assert set(CODE_NUMBERS) <= {number for code, number, _, _ in CASES if code is None}
    assert all(
        any(code and code.startswith(beginning) and code not in CODES for code, *_ in CASES) for beginning in BEGINNINGS
    )


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"ResponseMetadata":{},"Result":""}', b'{"ResponseMetadata":{"Error":{}}}']
)
def test_an_answer_without_the_apis_form_is_never_final_and_never_ok(body: bytes) -> None:
    for status in range(100, 600):
        assert judge(read_answer(status, {}, body)) is (THROTTLED if status == 429 else TRANSIENT)


def test_a_call_without_any_answer_is_retried() -> None:
    assert judge(Reply(None, readable=False, message="ServerDisconnectedError")) is TRANSIENT


@pytest.mark.parametrize("status", [200, 201, 400, 500])
@pytest.mark.parametrize("code", [*CODES, "FlowLimitExceeded", "NeverHeardOf"])
def test_an_error_beside_ok_is_never_ok(code: str, status: int) -> None:
    body = b'{"ResponseMetadata":{"Error":{"Code":"%s"}},"Result":"ok"}' % code.encode()

    assert judge(read_answer(status, {}, body)) is not OK


def test_ok_is_ok() -> None:
    assert judge(read_answer(200, {}, b'{"ResponseMetadata":{"RequestId":"id"},"Result":"ok"}')) is OK


@given(st.text(max_size=20), st.text(max_size=20), st.integers(100, 599))
def test_flow_limit_exceeded_anywhere_in_a_code_is_throttling(before: str, after: str, status: int) -> None:
    assert judge(Reply(status, code=f"{before}FlowLimitExceeded{after}")) is THROTTLED


@given(
    code=st.text(max_size=30) | st.lists(st.sampled_from([*CODES, "X", ""]), max_size=4).map(".".join),
    number=st.none() | st.integers(),
    status=st.integers(100, 599),
    readable=st.booleans(),
)
def test_no_error_is_judged_ok(*, code: str, number: int | None, status: int, readable: bool) -> None:
    assert judge(Reply(status, readable=readable, code=code or None, code_number=number)) is not OK


@given(st.sampled_from(sorted(CODES)), st.from_regex(r"(\.[A-Za-z0-9]{1,12}){1,3}", fullmatch=True))
def test_a_new_suffix_keeps_a_code_in_its_family(code: str, suffix: str) -> None:
    if code + suffix not in CODES and "FlowLimitExceeded" not in suffix:
        assert judge(Reply(400, code=code + suffix)) is CODES[code]
