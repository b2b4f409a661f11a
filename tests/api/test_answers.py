"""What an answer says, however odd the answer."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stopcast import RetryPolicy, Status, Stopper, Task
from stopcast.api.actions import GET_WEBCAST_TASK
from stopcast.api.answers import ANSWER_LIMIT, Reply, hide, read_answer
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults

DATE = "Sun, 22 Nov 2026 20:00:00 GMT"
DATE_AS_UNIX_TIME = 1795377600.0
OK = b'{"Result":"ok","ResponseMetadata":{"RequestId":"id"}}'
#: Each of these characters is escaped by some server.
TOKEN = "STS/abc+def==&<x>~0123456789"


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


# When an answer is compressed


def test_a_gzip_answer_is_read_although_no_request_asks_for_it() -> None:
    assert read(gzip.compress(OK)) == Reply(200, ok=True, request_id="id")
    assert read(gzip.compress(error_body(Code="InternalError")), status=500).code == "InternalError"


@pytest.mark.parametrize(
    "body",
    [gzip.compress(OK[:9]) + gzip.compress(OK[9:]), zlib.compress(OK), b"\xef\xbb\xbf" + OK],
    ids=["gzip in two parts", "deflate", "byte order mark"],
)
def test_an_answer_that_a_proxy_or_a_server_has_wrapped_is_read(body: bytes) -> None:
    assert read(body) == Reply(200, ok=True, request_id="id")


@pytest.mark.parametrize("error", [[], "", False, 0, {}, {"Code": "", "CodeN": 0, "Message": None}])
def test_an_error_that_is_empty_in_whatever_form_is_none(error: object) -> None:
    body = orjson.dumps({"ResponseMetadata": {"RequestId": "id", "Error": error}, "Result": "ok"})
    assert read(body) == Reply(200, ok=True, request_id="id")


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(OK)[:-9],
        gzip.compress(OK)[:20],
        gzip.compress(OK)[:-1] + b"x",
        gzip.compress(OK) + b"x",
        gzip.compress(OK + b" " * ANSWER_LIMIT),
        gzip.compress(bytes(50_000_000)),
        gzip.compress(gzip.compress(OK)),
        gzip.compress(b"") * 10_000,
        zlib.compress(bytes(50_000_000)),
        b"\x1f\x8b",
    ],
    ids=["cut", "cut early", "damaged", "followed", "long", "bomb", "twice", "many", "deflate bomb", "empty"],
)
def test_a_gzip_answer_that_is_damaged_or_too_long_is_unreadable(body: bytes) -> None:
    assert not read(body).readable


async def test_a_task_whose_answer_is_compressed_is_stopped() -> None:
    task = Task("app", "room", "task")
    async with (
        Emulator(faults=Faults({"gzip": [task]})) as emulator,
        Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url, retry=RetryPolicy(max_attempts=1)) as stopper,
    ):
        outcome = await stopper.stop(task)
    assert outcome.status is Status.STOPPED
    assert emulator.stopped == {task}


# When an error has no values


@pytest.mark.parametrize(
    "error", [b"{}", b'{"Code":"","CodeN":0,"Message":""}', b'{"Code":null,"Message":"","Data":[]}']
)
def test_an_error_without_any_value_beside_ok_is_ok(error: bytes) -> None:
    body = b'{"Result":"ok","ResponseMetadata":{"RequestId":"id","Error":%s}}' % error
    assert read(body) == Reply(200, ok=True, request_id="id")


def test_an_error_without_any_value_is_not_ok_by_itself() -> None:
    assert not read(b'{"Result":null,"ResponseMetadata":{"Error":{}}}').readable


# When a server returns the session token

ESCAPES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda text: text.replace("/", "\\/"),
    "JSON in ASCII": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "JSON for HTML": lambda text: text.replace("<", "\\u003C").replace("&", "\\u0026").replace("+", "\\u002B"),
    "JSON inside JSON": lambda text: text.replace("/", "\\\\\\/").replace("&", "\\\\u0026"),
    "URL": lambda text: "".join(f"%{ord(c):02X}" if c in "/+=&<>" else c for c in text),
    "HTML": lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("+", "&#43;"),
}


@pytest.mark.parametrize("escaped", [escape(TOKEN) for escape in ESCAPES.values()], ids=ESCAPES.keys())
@pytest.mark.parametrize(
    "body",
    [
        '{"ResponseMetadata":{"RequestId":"@","Error":{"Code":"X.@","Message":"you sent @ and @"}}}',
        '{"ResponseMetadata":{"RequestId":"@"},"Result":"@"}',
        '{"ResponseMetadata":{},"Result":{"WebCastTask":{"Status":3,"StopReason":"@"}}}',
        '{"headers":{"X-Security-Token":"@"}}',
        "<html>you sent @</html>",
        "@@@@",
    ],
)
def test_a_token_that_a_server_returns_is_in_no_text_of_the_reply(body: str, escaped: str) -> None:
    reply = GET_WEBCAST_TASK.read(200, {}, body.replace("@", escaped).encode(), TOKEN)

    shown = repr(reply)
    assert "***" in shown
    assert TOKEN not in shown
    assert not any(TOKEN[place : place + 6] in shown for place in range(len(TOKEN) - 5))


def test_a_text_is_cut_after_the_token_is_hidden() -> None:
    body = error_body(Code="X", Message=" " * 1990 + TOKEN)
    assert read_answer(400, {}, body, secret=TOKEN).message == " " * 1990 + "***"
    assert "STS" not in str(read_answer(502, {}, b" " * 70 + TOKEN.encode(), secret=TOKEN).message)


def test_a_text_without_the_secret_stays_as_it_is() -> None:
    for text in ("", "a\\/b %41 &amp;", TOKEN[:-1], "x" * 100):
        assert hide(text, TOKEN) == hide(text, "") == text


# When to come back


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


def test_a_date_in_retry_after_counts_only_beside_the_servers_own_date() -> None:
    assert read(b"", status=503, headers={"Retry-After": DATE}).retry_after is None


@pytest.mark.parametrize("date", ["", "yesterday", "-1", "Sun, 22 Nov 2026 25:00:00 GMT"])
def test_a_malformed_date_counts_as_nothing(date: str) -> None:
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


def test_the_headers_of_an_ok_are_not_read() -> None:
    reply = read(b'{"Result":"ok","ResponseMetadata":{}}', headers={"Date": DATE, "Retry-After": "5"})

    assert (reply.server_time, reply.retry_after) == (None, None)
