"""GetWebCastTask: its query, and what the state that it returns says of the task."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from stopcast import Status, TaskState
from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST
from stopcast.api.answers import Reply, read_answer
from stopcast.api.endpoint import Endpoint
from stopcast.api.verdict import Verdict, judge
from stopcast.tasks.task import Task

GONE = "InvalidParameter.ErrorActiveTaskNotFound"


@pytest.mark.parametrize("version", ["2020-12-01", "2023-11-01"])
def test_a_query_is_sorted_and_encoded_as_its_signature_requires(version: str) -> None:
    query = Endpoint.parse(version=version).of("GetWebCastTask").query
    body, own = GET_WEBCAST_TASK.request(Task("a.-_9", "r@r", "t"), query)
    assert (body, own) == (b"", f"Action=GetWebCastTask&AppId=a.-_9&RoomId=r%40r&TaskId=t&Version={version}")


def test_stopping_a_task_uses_the_query_of_the_endpoint() -> None:
    assert STOP_WEBCAST.request(Task("a", "r", "t"), "Action=StopWebcast").query == "Action=StopWebcast"


def test_an_endpoint_for_another_action_keeps_host_and_region() -> None:
    endpoint = Endpoint.parse("https://stopwebcast.example:8443", region="r")
    other = endpoint.of("GetWebCastTask")
    assert (other.host, other.region, other.loopback) == (endpoint.host, endpoint.region, endpoint.loopback)
    assert urlsplit(other.url)._replace(query="") == urlsplit(endpoint.url)._replace(query="")
    assert other.url.endswith(f"/?{other.query}")


def concluded(result: object, *, status: int = 200, error: object = None) -> tuple[Reply, Verdict, Status]:
    """Return the reply, the verdict and the status of an answer with this Result."""
    metadata = {"RequestId": "id"} if error is None else {"RequestId": "id", "Error": error}
    answer = json.dumps({"ResponseMetadata": metadata, "Result": result}).encode()
    reply = read_answer(status, {}, answer, state_of=GET_WEBCAST_TASK.state_of)
    return reply, judge(reply), GET_WEBCAST_TASK.conclude(reply, True)


@pytest.mark.parametrize(
    ("task", "status", "state"),
    [
        ({"Status": 0, "StopReason": "", "EndTime": 0}, "unknown", TaskState(0)),
        ({"Status": 1, "StopReason": "", "EndTime": 0}, "not_started", TaskState(1)),
        ({"Status": 2, "StopReason": "", "EndTime": 0}, "still_running", TaskState(2)),
        ({"Status": 3, "StopReason": "StopByAPI", "EndTime": 9}, "ended", TaskState(3, "StopByAPI", 9)),
        ({"Status": 4, "StopReason": "StartTaskFailed"}, "ended", TaskState(4, "StartTaskFailed")),
        ({"Status": 5}, "unknown", TaskState(5)),
        ({"Status": 3, "StopReason": ["x"], "EndTime": True}, "ended", TaskState(3)),
        ({"Status": 3, "StopReason": "x" * 9000, "EndTime": "9"}, "ended", TaskState(3, "x" * 200)),
        ({"StopReason": ""}, "unknown", TaskState(0)),
        ({}, "unknown", TaskState(0)),
        (None, "unknown", TaskState(0)),
    ],
)
def test_the_number_of_a_state_decides_the_status(task: object, status: str, state: TaskState) -> None:
    reply, verdict, status_of_task = concluded({"WebCastTask": task})
    assert (reply.state, verdict, status_of_task) == (state, Verdict.OK, status)


@pytest.mark.parametrize("result", ["ok", 7, [1], {"WebCastTask": "x"}, {"WebCastTask": {"Status": "3"}}])
def test_a_malformed_answer_is_retried_and_never_counts_as_ended(result: object) -> None:
    reply, verdict, _ = concluded(result)
    assert (reply.ok, verdict) == (False, Verdict.TRANSIENT)


def test_an_error_beside_a_state_takes_precedence() -> None:
    _, verdict, status = concluded({"WebCastTask": {"Status": 3}}, error={"Code": GONE})
    assert (verdict, status) == (Verdict.NO_SUCH_TASK, Status.UNKNOWN)


def test_a_state_is_not_an_ok_for_stopping() -> None:
    body = b'{"ResponseMetadata":{"RequestId":"id"},"Result":{"WebCastTask":{"Status":3}}}'
    assert not read_answer(200, {}, body).ok
