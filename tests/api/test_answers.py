"""What the API answers is read, whatever it is."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stopcast.api.answers import Reply
from support.replies import DATE, DATE_AS_UNIX_TIME, error_body, read


def test_ok_is_result_ok_without_an_error_at_http_200() -> None:
    body = b'{"Result":"ok","ResponseMetadata":{"RequestId":"id","Action":"StopWebcast"}}'

    assert read(body) == Reply(200, ok=True, request_id="id")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, b'{"Result":"ok","ResponseMetadata":{"RequestId":"id"}}'),
        (302, b'{"Result":"ok","ResponseMetadata":{"RequestId":"id"}}'),
        (500, b'{"Result":"ok","ResponseMetadata":{"RequestId":"id"}}'),
        (200, b'{"Result":"ok"}'),
        (200, b'{"Result":"OK","ResponseMetadata":{}}'),
        (200, b'{"Result":" ok","ResponseMetadata":{}}'),
        (200, b'{"Result":"","ResponseMetadata":{}}'),
        (200, b'{"Result":null,"ResponseMetadata":{}}'),
        (200, b'{"Result":true,"ResponseMetadata":{}}'),
        (200, b'{"Result":["ok"],"ResponseMetadata":{}}'),
        (200, b'{"Result":{"ok":"ok"},"ResponseMetadata":{}}'),
        (200, b'{"ResponseMetadata":{}}'),
        (200, b'{"Result":"ok","ResponseMetadata":{"Error":{"Code":"InternalError"}}}'),
        (200, b'{"Result":"ok","ResponseMetadata":{"Error":{"CodeN":100014}}}'),
        (200, b'[{"Result":"ok","ResponseMetadata":{}}]'),
        (200, b'{"Result":"ok","ResponseMetadata":{}} {}'),
        (200, b'{"Result":"ok","ResponseMetadata":{}'),
        (200, b"ok"),
        (200, b'"ok"'),
        (200, b""),
    ],
)
def test_any_other_answer_is_not_ok(status: int, body: bytes) -> None:
    assert not read(body, status=status).ok


def test_an_error_inside_http_200_is_read_as_one() -> None:
    body = error_body(CodeN=100027, Code="AccountFlowLimitExceeded", Message="too fast")

    assert read(body, headers={"Date": DATE, "Retry-After": "3"}) == Reply(
        200,
        code="AccountFlowLimitExceeded",
        code_number=100027,
        message="too fast",
        request_id="id",
        retry_after=3.0,
        server_time=DATE_AS_UNIX_TIME,
    )


@pytest.mark.parametrize(
    ("error", "code", "number", "message"),
    [
        ({"Code": "X", "CodeN": "100014", "Message": 7}, "X", None, None),
        ({"Code": "X", "CodeN": True}, "X", None, None),
        ({"Code": "X", "CodeN": 1.5}, "X", None, None),
        ({"Code": "", "CodeN": 100014}, None, 100014, None),
        ({"Code": None, "CodeN": -1}, None, -1, None),
        ({"Code": 100014, "Message": "m"}, None, None, "m"),
        ({"Code": ["X"], "CodeN": {}, "Message": []}, None, None, None),
        ("busy", None, None, "busy"),
        (["busy"], None, None, None),
        (7, None, None, None),
        ({"Code": "X" * 300_000, "Message": "é" * 300_000}, "X" * 2000, None, "é" * 2000),
    ],
)
def test_a_wrong_type_in_an_error_counts_as_nothing(
    error: object, code: str | None, number: int | None, message: str | None
) -> None:
    reply = read(orjson.dumps({"ResponseMetadata": {"Error": error}}), status=400)

    assert (reply.code, reply.code_number, reply.message) == (code, number, message)
    assert reply.readable is (code is not None or number is not None)


def test_a_number_past_64_bits_counts_as_nothing() -> None:
    body = b'{"ResponseMetadata":{"RequestId":1e308,"Error":{"Code":"X","CodeN":' + b"9" * 400 + b"}}}"

    assert not read(body).ok
    assert not read(body.replace(b"9" * 400, b"9" * 25)).code_number


@pytest.mark.parametrize(
    "body",
    [
        b"<html>502 Bad Gateway</html>",
        b"\xff\xfe\x00",
        b'{"ResponseMetadata":"\xed\xa0\x80"}',
        "é".encode() * 100,
        b"null",
        b"[]",
        b"0",
        b'{"ResponseMetadata":null}',
        b'{"ResponseMetadata":[1]}',
        b'{"ResponseMetadata":"x"}',
        b'{"Error":{"Code":"X"}}',
        b'{"ResponseMetadata":{"Error":{"Code":"\\ud800"}}}',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"ResponseMetadata":' * 100_000 + b"{}" + b"}" * 100_000,
        b"\x00" * 1000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_an_answer_that_is_not_in_the_apis_form_is_unreadable_and_its_beginning_is_shown(body: bytes) -> None:
    reply = read(body, status=502, headers={"Retry-After": "2", "Date": DATE})

    assert not reply.readable
    assert (reply.retry_after, reply.server_time) == (2.0, DATE_AS_UNIX_TIME)
    assert reply.message == f"HTTP 502 and no answer of the API's form: {body.decode('utf-8', 'replace')[:80]}"


@pytest.mark.parametrize("depth", [10, 200, 900, 1000, 1015, 1023, 1030, 100_000])
@pytest.mark.parametrize("place", ["Result", "RequestId", "Error", "Code", "CodeN", "Message"])
def test_nesting_of_any_depth_at_any_place_is_not_ok_and_raises_nothing(place: str, depth: int) -> None:
    answer: dict[str, Any] = {"ResponseMetadata": {"Error": {}}}
    match place:
        case "Result":
            answer = {"ResponseMetadata": {}, "Result": "@"}
        case "RequestId" | "Error":
            answer["ResponseMetadata"][place] = "@"
        case _:
            answer["ResponseMetadata"]["Error"][place] = "@"

    assert not read(orjson.dumps(answer).replace(b'"@"', b"[" * depth + b"]" * depth)).ok


SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["ok", "", "InternalError", "InvalidParameter.ErrorActiveTaskNotFound", "FlowLimitExceeded"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
JSON_VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("abC", max_size=2), inner, max_size=2)
)
ERRORS = st.fixed_dictionaries({}, optional={"Code": JSON_VALUES, "CodeN": JSON_VALUES, "Message": JSON_VALUES})
METADATA = st.fixed_dictionaries({}, optional={"RequestId": JSON_VALUES, "Error": ERRORS | JSON_VALUES})
ANSWERS = st.fixed_dictionaries({}, optional={"Result": JSON_VALUES, "ResponseMetadata": METADATA | JSON_VALUES})
HEADER_TEXT = st.sampled_from([DATE, "5", "-1", "", "nan", "\udcff", "Sun, 99 Nov 2026 20:00:00 GMT"]) | st.text(
    max_size=20
)
PIECES = [
    b'{"ResponseMetadata":{',
    b'"RequestId":"id"',
    b'"Error":{',
    b'"Code":"InternalError"',
    b'"CodeN":100014',
    b'"Message":"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"Result":"ok"',
    b"}",
    b"]",
    b"[",
    b",",
    b":",
    b"1e999",
    b"9" * 30,
    b"NaN",
    b"\xff",
    b"\x00",
    b"null",
]


def test_no_answer_raises_an_exception() -> None:
    """Hypothesis draws some whole answers; each is then also cut, glued and bent, which is far cheaper than drawing."""
    seen = 0

    @settings(max_examples=1500, deadline=None, database=None)
    @given(
        answer=ANSWERS,
        junk=st.binary(max_size=30) | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join),
        status=st.integers(100, 599) | st.just(200),
        date=HEADER_TEXT,
        retry_after=HEADER_TEXT,
    )
    @example(answer={}, junk=b"", status=200, date="", retry_after="")
    def search(*, answer: dict[str, Any], junk: bytes, status: int, date: str, retry_after: str) -> None:
        nonlocal seen
        whole = orjson.dumps(answer)
        places = range(0, len(whole) + 1, max(1, len(whole) // 9))
        bodies = [whole, junk]
        bodies += [whole[:place] for place in places]
        bodies += [whole[:place] + junk + whole[place:] for place in places]
        bodies += [whole[:place] + junk + whole[place + len(junk) :] for place in places]
        for body in bodies:
            read(body, status=status, headers={"Date": date, "Retry-After": retry_after})
        seen += len(bodies)

    search()
    assert seen >= 20_000
