"""What the API is asked for each task: stop it, or tell how it is. Pure: a task becomes a request, an answer a status.

Sources: for StopWebcast see ``stopcast.api``; for GetWebCastTask the vendor's pages 6348/204054 and 6348/1188209.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from stopcast.api.answers import Reply, read_answer
from stopcast.api.endpoint import ACTION
from stopcast.tasks.outcome import Status, TaskState
from stopcast.tasks.task import Task

#: Calls a second that an account may make of this API, all its AppIds, processes and hosts together.
QUOTA_PER_SECOND: Final = 150
_REASON_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to ask of the API for a task: how it is put, and what an answer comes to.

    Attributes:
        name: the API's, as it stands in the query.
        method: HTTP's.
        quota_per_second: calls a second that an account may make of it.
        changes: whether a call whose answer was lost leaves its task in doubt.
        request: of a task and the action's canonical query, the body, and the query in that one's place, or "".
        read: of an answer's HTTP status, headers and bytes, what it says, however odd it is; it never raises.
        conclude: of an answer that is ok, or that knows no such running task, and of whether an earlier call may have
            done the work unseen, the task's status.
    """

    name: str
    method: str
    quota_per_second: int
    changes: bool
    request: Callable[[Task, str], tuple[bytes, str]]
    read: Callable[[int, Mapping[str, str], bytes], Reply]
    conclude: Callable[[Reply, bool], Status]


def request_body(task: Task) -> bytes:
    """Return the JSON to send. The ids' form has been checked, and nothing in it needs escaping."""
    return f'{{"AppId":"{task.app_id}","RoomId":"{task.room_id}","TaskId":"{task.task_id}"}}'.encode()


def _stop_request(task: Task, _query: str) -> tuple[bytes, str]:
    return request_body(task), ""


def _stopped(reply: Reply, in_doubt: bool) -> Status:  # noqa: FBT001 - its place in Action says what it is
    if reply.ok:
        return Status.STOPPED
    return Status.PRESUMED_STOPPED if in_doubt else Status.ALREADY_STOPPED


STOP_WEBCAST: Final = Action(
    name=ACTION,
    method="POST",
    quota_per_second=QUOTA_PER_SECOND,
    changes=True,
    request=_stop_request,
    read=read_answer,
    conclude=_stopped,
)

#: By the number that the API gives a task's state. One that failed does not run either; its StopReason says why.
_STATUSES: Final[Mapping[int, Status]] = {
    1: Status.NOT_STARTED,
    2: Status.STILL_RUNNING,
    3: Status.ENDED,
    4: Status.ENDED,
}


def _state_request(task: Task, query: str) -> tuple[bytes, str]:
    # In the order that a signature wants; of what an id may hold, only @ is written otherwise in a query.
    ids = f"&AppId={task.app_id}&RoomId={task.room_id}&TaskId={task.task_id}&".replace("@", "%40")
    return b"", query.replace("&", ids, 1)


def _state_of(result: Any) -> TaskState | None:
    """Return what a Result tells of a task, None where it has not that form at all."""
    found = result.get("WebCastTask") if isinstance(result, dict) else result
    if not found:
        return TaskState(0)
    if not isinstance(found, dict) or not _is_whole(number := found.get("Status", 0)):
        return None
    reason, end_time = found.get("StopReason"), found.get("EndTime")
    return TaskState(
        number,
        reason[:_REASON_CHARACTERS] if reason and isinstance(reason, str) else None,
        end_time if end_time and _is_whole(end_time) else None,
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _told(reply: Reply, _in_doubt: bool) -> Status:  # noqa: FBT001 - likewise
    return Status.UNKNOWN if reply.state is None else _STATUSES.get(reply.state.number, Status.UNKNOWN)


GET_WEBCAST_TASK: Final = Action(
    name="GetWebCastTask",
    method="GET",
    quota_per_second=60,
    changes=False,
    request=_state_request,
    read=partial(read_answer, state_of=_state_of),
    conclude=_told,
)
#: How long after its start the API still tells of a task.
TOLD_FOR_SECONDS: Final = 72 * 3600
