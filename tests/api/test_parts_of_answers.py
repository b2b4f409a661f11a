"""Answers that are compressed, empty, or hold what must not be shown, and when to come back."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable

import orjson
import pytest

from stopcast import RetryPolicy, Status, Stopper, Task
from stopcast.api.actions import GET_WEBCAST_TASK
from stopcast.api.answers import ANSWER_LIMIT, Reply, hide, read_answer
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from support.replies import DATE, DATE_AS_UNIX_TIME, error_body, read

OK = b'{"Result":"ok","ResponseMetadata":{"RequestId":"id"}}'
#: Each of these characters is escaped by some server.
TOKEN = "STS/abc+def==&<x>~0123456789"


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
