"""Answers that a proxy or a server has compressed or marked, and errors that are empty."""

from __future__ import annotations

import gzip
import zlib

import orjson
import pytest

from stopcast import RetryPolicy, Status, Stopper, Task
from stopcast.api.answers import ANSWER_LIMIT, Reply
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from support.replies import error_body, read

OK = b'{"Result":"ok","ResponseMetadata":{"RequestId":"id"}}'


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
