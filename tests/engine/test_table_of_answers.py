"""The table of answers: what the API says once, and what the task's outcome is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses, core

import stopcast

URL = "https://rtc.volcengineapi.com/?Action=StopWebcast&Version=2020-12-01"
TASK = stopcast.Task("app", "room", "task")


class _Response(aiohttp.ClientResponse):
    """What aioresponses builds lacks an argument that aiohttp has asked for since 3.14."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    monkeypatch.setattr(core, "ClientResponse", _Response)
    with aioresponses() as mocked:
        yield mocked


def _error(code: str, message: str = "words") -> dict[str, Any]:
    return {"ResponseMetadata": {"RequestId": "id-1", "Error": {"Code": code, "Message": message}}, "Result": None}


OK = {"ResponseMetadata": {"RequestId": "id-1"}, "Result": "ok"}


@pytest.mark.parametrize(
    ("http_status", "answer", "status", "code"),
    [
        (200, OK, "stopped", None),
        (200, _error("InvalidParameter.ErrorActiveTaskNotFound"), "already_stopped", None),
        (400, _error("InvalidParameter.ErrorActiveTaskNotFound"), "already_stopped", None),
        (400, _error("InvalidParameter"), "failed", "InvalidParameter"),
        (200, _error("InvalidParameter.Odd"), "failed", "InvalidParameter.Odd"),
        (400, _error("MissingParameter"), "failed", "MissingParameter"),
        (403, _error("AccessDenied.NoPermissionForApp"), "set_aside", "AccessDenied.NoPermissionForApp"),
        (400, _error("NeverHeardOf"), "set_aside", "NeverHeardOf"),
        (500, _error("NeverHeardOf"), "gave_up", "NeverHeardOf"),
        (200, _error("FlowLimitExceeded.QPSOverLimit"), "gave_up", "FlowLimitExceeded.QPSOverLimit"),
        (200, {"ResponseMetadata": {}, "Result": "maybe"}, "gave_up", None),
        (200, {"ResponseMetadata": {}}, "gave_up", None),
        (200, [], "gave_up", None),
    ],
)
async def test_an_answer_ends_a_task_with_one_status(
    api: aioresponses, http_status: int, answer: object, status: str, code: str | None
) -> None:
    api.post(URL, status=http_status, payload=answer)
    once = stopcast.RetryPolicy(max_attempts=1)
    async with stopcast.Stopper(stopcast.Credentials("ak", "sk"), retry=once) as stopper:
        outcome = await stopper.stop(TASK)
    assert (outcome.status, outcome.attempts, outcome.http_status) == (status, 1, http_status)
    assert code is None or outcome.code == code
