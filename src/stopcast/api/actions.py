"""The API's two actions for a task: StopWebcast stops it, GetWebCastTask reads its state. Nothing here sends anything.

Sources: for StopWebcast see ``stopcast.api.endpoint``; for GetWebCastTask the vendor's pages 6348/204054 and
6348/1188209.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stopcast.api.answers import Reply
from stopcast.api.endpoint import ACTION
from stopcast.ports import Request
from stopcast.tasks.outcome import Status, TaskState
from stopcast.tasks.task import Task

#: The most StopWebcast calls that an account may make in a second, over all of its AppIds, processes and hosts.
QUOTA_PER_SECOND: Final = 150


@dataclass(frozen=True, slots=True)
class Action:
    """An action of the API: how to request it, and how to turn an answer into the task's status.

    Attributes:
        name: the action's name in the query.
        method: the HTTP method.
        quota_per_second: the most calls that an account may make in a second.
        stops_tasks: whether the action stops the task, so that a lost answer leaves the task in doubt.
        request: takes a task and the action's canonical query; returns the request for the task.
        conclude: takes an answer that is ok or says that no such task is running, and whether an earlier call may have
            stopped the task; returns the task's status.
        state_of: reads the task's state from the answer's Result, or None if the Result is always "ok".
    """

    name: str
    method: str
    quota_per_second: int
    stops_tasks: bool
    request: Callable[[Task, str], Request]
    conclude: Callable[[Reply, bool], Status]
    state_of: Callable[[Any], TaskState | None] | None = None


def request_body(task: Task) -> bytes:
    """Return the JSON body. The ids are already validated, and no character allowed in an id needs escaping."""
    app_id, room_id, task_id = task
    return f'{{"AppId":"{app_id}","RoomId":"{room_id}","TaskId":"{task_id}"}}'.encode()


def _stop_request(task: Task, query: str) -> Request:
    return Request(request_body(task), query)


def _status_when_stopped(reply: Reply, in_doubt: bool) -> Status:  # noqa: FBT001 - Action documents it
    if reply.ok:
        return Status.STOPPED
    return Status.PRESUMED_STOPPED if in_doubt else Status.ALREADY_STOPPED


STOP_WEBCAST: Final = Action(
    name=ACTION,
    method="POST",
    quota_per_second=QUOTA_PER_SECOND,
    stops_tasks=True,
    request=_stop_request,
    conclude=_status_when_stopped,
)

#: The status for each number that the API has for a task's state. A task that failed (4) is not running either; its
#: StopReason says why it failed.
_STATUSES: Final[Mapping[int, Status]] = {
    1: Status.NOT_STARTED,
    2: Status.STILL_RUNNING,
    3: Status.ENDED,
    4: Status.ENDED,
}


def _state_request(task: Task, query: str) -> Request:
    # Sorted as the signature requires. Of the characters allowed in an id, only @ must be encoded in a query.
    ids = f"&AppId={task.app_id}&RoomId={task.room_id}&TaskId={task.task_id}&".replace("@", "%40")
    return Request(b"", query.replace("&", ids, 1))


def _state_of(result: Any) -> TaskState | None:
    """Return the task's state from an answer's Result, or None if the Result does not have the expected form."""
    found = result.get("WebCastTask") if isinstance(result, dict) else result
    if not found:
        return TaskState(0)
    if not isinstance(found, dict) or not _is_integer(number := found.get("Status", 0)):
        return None
    reason, end_time = found.get("StopReason"), found.get("EndTime")
    return TaskState(
        number,
        reason if reason and isinstance(reason, str) else None,
        end_time if end_time and _is_integer(end_time) else None,
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _status_when_read(reply: Reply, _in_doubt: bool) -> Status:  # noqa: FBT001 - Action documents it
    return Status.UNKNOWN if reply.state is None else _STATUSES.get(reply.state.number, Status.UNKNOWN)


GET_WEBCAST_TASK: Final = Action(
    name="GetWebCastTask",
    method="GET",
    quota_per_second=60,
    stops_tasks=False,
    request=_state_request,
    conclude=_status_when_read,
    state_of=_state_of,
)
#: The API returns a task's state for this long after the task's start.
STATE_KEPT_SECONDS: Final = 72 * 3600
