"""One line of the report: an outcome as JSON, and back."""

from __future__ import annotations

import time
from typing import Any, Final

import orjson

from stopcast.outcome import Outcome, Status
from stopcast.task import Task

#: What every line begins with.
LINE_BEGINS: Final = b'{"AppId":'


class LineWriter:
    """Turns outcomes into lines."""

    def __init__(self) -> None:
        self._second = -1
        self._date = ""

    def line(self, outcome: Outcome) -> bytes:
        """Return the outcome as one line of UTF-8, its newline at the end."""
        milliseconds = int(outcome.finished_at * 1000)
        second = milliseconds // 1000
        if second != self._second:
            self._second = second
            self._date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        task = outcome.task
        values = {
            "AppId": task.app_id or None,
            "RoomId": task.room_id or None,
            "TaskId": task.task_id or None,
            "status": outcome.status,
            "attempts": outcome.attempts,
            "code": outcome.code,
            "message": outcome.message,
            "http_status": outcome.http_status,
            "request_id": outcome.request_id,
            "source": outcome.source,
            "line": outcome.line,
            "finished_at": f"{self._date}.{milliseconds % 1000:03d}Z",
            "seconds": round(outcome.seconds, 3),
        }
        if outcome.in_doubt:
            values["in_doubt"] = True
        if outcome.state is not None:
            values["StopReason"] = outcome.state.stop_reason
            values["EndTime"] = outcome.state.end_time
        try:
            return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)
        except orjson.JSONEncodeError:
            return orjson.dumps(_writable(values), option=orjson.OPT_APPEND_NEWLINE)


def _writable(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with every lone surrogate written out as an escape: UTF-8 has no form for one."""
    return {
        key: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for key, value in values.items()
    }


_KEYS: Final = ("AppId", "RoomId", "TaskId")


def read_line(line: bytes) -> dict[str, Any] | None:
    """Return the values of a report's line with ``status`` as a Status, None for what is no such line."""
    try:
        values = orjson.loads(line)
        values["status"] = Status(values["status"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    if not isinstance(values, dict) or not all(isinstance(values.get(key, 0), str | None) for key in _KEYS):
        return None
    return values


def task_of(values: dict[str, Any]) -> Task:
    """Return the task that a report's line is about; an id that it does not hold is ""."""
    return Task(*(values[key] or "" for key in _KEYS))
