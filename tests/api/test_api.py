"""Where a call goes, what it says, and what an answer says, however odd the answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stopcast.api.actions import request_body
from stopcast.api.answers import Reply, read_answer
from stopcast.api.endpoint import DEFAULT_ENDPOINT, REGIONS, Endpoint
from stopcast.errors import ConfigurationError
from stopcast.tasks.task import ID_PATTERN, Task

DATE = "Sun, 22 Nov 2026 20:00:00 GMT"
DATE_AS_UNIX_TIME = 1795377600.0


# --- where a call goes


@pytest.mark.parametrize(
    ("given_url", "url", "host", "region", "loopback"),
    [
        (DEFAULT_ENDPOINT, "https://rtc.volcengineapi.com", "rtc.volcengineapi.com", "cn-north-1", False),
        ("https://rtc.volcengineapi.com/", "https://rtc.volcengineapi.com", None, "cn-north-1", False),
        ("HTTPS://RTC.VolcEngineAPI.com:443", "https://rtc.volcengineapi.com", None, "cn-north-1", False),
        ("https://open-ap-singapore-1.volcengineapi.com", None, None, "ap-singapore-1", False),
        ("https://open.byteplusapi.com", None, None, "ap-singapore-1", False),
        ("https://proxy.example:8443", None, "proxy.example:8443", "cn-north-1", False),
        # The vendor's signers drop both ports from what they sign, whatever the scheme.
        ("https://proxy.example:80", "https://proxy.example:80", "proxy.example", "cn-north-1", False),
        ("http://127.0.0.1:443", "http://127.0.0.1:443", "127.0.0.1", "cn-north-1", True),
        ("http://127.0.0.1:08080", "http://127.0.0.1:8080", "127.0.0.1:8080", "cn-north-1", True),
        ("http://127.9.9.9", None, "127.9.9.9", "cn-north-1", True),
        ("http://localhost:1", None, "localhost:1", "cn-north-1", True),
        ("http://LOCALHOST", "http://localhost", "localhost", "cn-north-1", True),
        ("https://localhost:65535", None, "localhost:65535", "cn-north-1", True),
        ("http://[::1]:8080", None, "[::1]:8080", "cn-north-1", True),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]", "[::1]", "cn-north-1", True),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]", "[2001:db8::1]", "cn-north-1", False),
        ("https://10.0.0.1", None, "10.0.0.1", "cn-north-1", False),
        ("https://my_service", None, "my_service", "cn-north-1", False),
    ],
)
def test_an_endpoint_is_completed(
    given_url: str, url: str | None, host: str | None, region: str, *, loopback: bool
) -> None:
    query = "Action=StopWebcast&Version=2020-12-01"
    whole = f"{url or given_url}/?{query}"

    assert Endpoint.parse(given_url) == Endpoint(
        url=whole, host=host or whole.split("/")[2], query=query, region=region, loopback=loopback
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "rtc.volcengineapi.com",
        "//rtc.volcengineapi.com",
        "ftp://rtc.volcengineapi.com",
        "https://",
        "https:///",
        "https://:443",
        "https://host/path",
        "https://host//",
        "https://host?",
        "https://host/?Action=StopWebcast",
        "https://host#",
        "https://host:",
        "https://host:0",
        "https://host:65536",
        "https://host:999999",
        "https://host:+80",
        "https://host:8 0",
        "https://host:\u0663",  # a digit, but not one of ours
        " https://host",
        "https://host\n",
        "https://ho\nst",
        "https://ho st",
        "https://host.",
        "https://ho..st",
        "https://-host",
        f"https://{'a' * 64}.example",
        "https://bücher.example",
        "https://\u017fervice",  # a long s is an s where case is ignored
        "https://host\uff0fpath",
        "https://host%41",
        "https://host\\path",
        "https://[::1",
        "https://::1",
        "https://[::1]extra",
        "https://[127.0.0.1]",
        "https://[v1.a]",
        "https://[::1%lo]",
        "https://[::12345]",
        "https://[]",
        "https://\ud800",
    ],
)
def test_what_is_no_endpoint_is_refused_with_its_text(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Endpoint.parse(url)

    assert repr(url) in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://rtc.volcengineapi.com",
        "http://10.0.0.1",
        "http://0.0.0.0:8080",
        "http://128.0.0.1",
        "http://127.1",
        "http://2130706433",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://[::2]",
        "http://[::]",
    ],
)
def test_plain_http_goes_to_this_machine_only(url: str) -> None:
    with pytest.raises(ConfigurationError, match="plain http is for loopback only"):
        Endpoint.parse(url)


@pytest.mark.parametrize(
    "url", ["https://user:hunter2@host", "https://hunter2@host", "https://u:hunter2/x@host", "https://host/?k=hunter2@"]
)
def test_a_password_in_an_endpoint_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Endpoint.parse(url)

    assert "hunter2" not in str(refused.value)


@settings(max_examples=2000, deadline=None)
@given(st.text() | st.text("htps:/[].-_0123456789abcdefAZ@%\n", max_size=40).map("https://{}".format))
def test_any_text_is_an_endpoint_that_can_be_called_or_is_refused(url: str) -> None:
    try:
        endpoint = Endpoint.parse(url)
    except ConfigurationError:
        return

    assert endpoint.url.isascii()
    assert endpoint.url.isprintable()
    assert endpoint == Endpoint.parse(endpoint.url.partition("/?")[0])


def test_a_region_that_is_given_wins_over_the_hosts() -> None:
    assert Endpoint.parse("https://open.byteplusapi.com", region="ap-southeast-1").region == "ap-southeast-1"
    assert Endpoint.parse("https://open.byteplusapi.com", region="").region == REGIONS["open.byteplusapi.com"]


@pytest.mark.parametrize("region", [" ", "cn-north-1\n", "cn/north", "cn-nörth-1", "a" * 65, "a, b"])
def test_what_no_signature_can_name_is_no_region(region: str) -> None:
    with pytest.raises(ConfigurationError, match="region"):
        Endpoint.parse(region=region)


def test_the_version_stands_in_the_query_and_the_address() -> None:
    endpoint = Endpoint.parse(version="2023-11-01")

    assert endpoint.query == "Action=StopWebcast&Version=2023-11-01"
    assert endpoint.url.endswith(f"/?{endpoint.query}")


@pytest.mark.parametrize("version", ["", "2020", "2020-12-01\n", "2020-12-01&Action=x", "\u0662020-12-01"])
def test_what_is_no_date_is_no_version(version: str) -> None:
    with pytest.raises(ConfigurationError, match="API version"):
        Endpoint.parse(version=version)


# --- what a call says


@given(st.tuples(*[st.from_regex(ID_PATTERN, fullmatch=True)] * 3))
def test_the_body_is_the_three_ids_as_compact_json(ids: tuple[str, str, str]) -> None:
    assert request_body(Task(*ids)) == orjson.dumps(dict(zip(("AppId", "RoomId", "TaskId"), ids, strict=True)))


# --- what an answer says


def read(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Read an answer, and hold the reply to what every reply promises."""
    reply = read_answer(status, headers or {}, body)
    assert reply.http_status == status
    for text in (reply.code, reply.message, reply.request_id):
        assert text is None or (isinstance(text, str) and 0 < len(text) <= 2000)
        assert text is None or text.encode()
    assert reply.code_number is None or type(reply.code_number) is int
    assert reply.retry_after is None or reply.retry_after >= 0
    if reply.ok:
        assert (reply.readable, reply.code, status) == (True, None, 200)
    else:
        assert reply.code or reply.code_number is not None or not reply.readable
    return reply


def error_body(**error: Any) -> bytes:
    return orjson.dumps({"ResponseMetadata": {"RequestId": "id", "Error": error}})


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
        (200, b'{"Result":"ok","ResponseMetadata":{"Error":{}}}'),
        (200, b'{"Result":"ok","ResponseMetadata":{"Error":""}}'),
        (200, b'{"Result":"ok","ResponseMetadata":{"Error":false}}'),
        (200, b'{"Result":"ok","ResponseMetadata":{"Error":[]}}'),
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
def test_nothing_else_is_ok(status: int, body: bytes) -> None:
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
        ({}, None, None, None),
        ("busy", None, None, "busy"),
        (["busy"], None, None, None),
        (0, None, None, None),
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
        "é".encode() * 41 + b"x",  # cut in the middle of a letter
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
def test_what_has_not_the_apis_form_is_unreadable_and_says_how_it_begins(body: bytes) -> None:
    reply = read(body, status=502, headers={"Retry-After": "2", "Date": DATE})

    assert not reply.readable
    assert (reply.retry_after, reply.server_time) == (2.0, DATE_AS_UNIX_TIME)
    assert reply.message == f"HTTP 502 and no answer of the API's form: {body[:80].decode('utf-8', 'replace')}"


@pytest.mark.parametrize("depth", [10, 200, 900, 1000, 1015, 1023, 1030, 100_000])
@pytest.mark.parametrize("place", ["Result", "RequestId", "Error", "Code", "CodeN", "Message"])
def test_no_depth_at_any_place_is_too_deep(place: str, depth: int) -> None:
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


def test_no_answer_whatever_raises() -> None:
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


# --- when to come back


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("007", 7.0),
        ("1000000000", 1e9),
        ("9" * 5000, 9999999999.0),
        ("Sun, 22 Nov 2026 20:00:30 GMT", 30.0),
        ("Sunday, 22-Nov-26 20:00:30 GMT", 30.0),
        ("Sun Nov 22 20:00:30 2026", 30.0),
        ("Sun, 22 Nov 2026 19:59:30 GMT", 0.0),
        ("-1", None),
        ("1e9", None),
        ("1.5", None),
        ("7s", None),
        ("\u0667", None),
        ("²", None),
        ("soon", None),
        ("", None),
        ("Sun, 99 Nov 2026 20:00:30 GMT", None),
        ("Sun, 22 Nov 99999 20:00:30 GMT", None),
        ("\udcff", None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(value: str, seconds: float | None) -> None:
    assert read(b"", status=503, headers={"Retry-After": value, "Date": DATE}).retry_after == seconds


def test_a_date_in_retry_after_says_nothing_without_the_servers_own() -> None:
    assert read(b"", status=503, headers={"Retry-After": DATE}).retry_after is None


@pytest.mark.parametrize("date", ["", "yesterday", "-1", "Sun, 22 Nov 2026 25:00:00 GMT"])
def test_a_date_that_is_none_counts_as_nothing(date: str) -> None:
    assert read(b"", status=503, headers={"Date": date}).server_time is None


@pytest.mark.parametrize(
    "date", [DATE, "Sun Nov 22 20:00:00 2026", "Sun, 22 Nov 2026 20:00:00", "Sun, 22 Nov 2026 20:00:00 -0000"]
)
def test_a_date_is_gmt_whatever_zone_this_machine_is_in(date: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        reply = read(b"", status=400, headers={"Date": date})
    time.tzset()

    assert reply.server_time == DATE_AS_UNIX_TIME


def test_the_headers_of_an_ok_are_not_looked_at() -> None:
    reply = read(b'{"Result":"ok","ResponseMetadata":{}}', headers={"Date": DATE, "Retry-After": "5"})

    assert (reply.server_time, reply.retry_after) == (None, None)
