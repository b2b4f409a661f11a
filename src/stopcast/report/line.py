"""The lines of a report: an outcome as JSON, and back."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final

import orjson

from stopcast.errors import ReportError
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task

#: What every line begins with.
_LINE_BEGINS: Final = b'{"AppId":'
#: To format one anew would be a quarter of a line's cost.
_FRACTIONS: Final = tuple(f".{milliseconds:03d}Z" for milliseconds in range(1000))


class LineWriter:
    """Turns outcomes into lines."""

    def __init__(self) -> None:
        self._second = -1
        self._date = ""

    def line(self, outcome: Outcome) -> bytes:
        """Return the outcome as one line of UTF-8, its newline at the end."""
        second, milliseconds = divmod(int(outcome.finished_at * 1000), 1000)
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
            "finished_at": self._date + _FRACTIONS[milliseconds],
            # As round() has it, at a fifth of its cost.
            "seconds": int(outcome.seconds * 1000 + 0.5) / 1000,
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
_STATUSES: Final = {status.value: status for status in Status}


def read_line(line: bytes) -> dict[str, Any] | None:
    """Return the values of a report's line with ``status`` as a Status, None for what is no such line."""
    try:
        values = orjson.loads(line)
        values["status"] = _STATUSES[values["status"]]
        app_id, room_id, task_id = values["AppId"], values["RoomId"], values["TaskId"]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    # Ten million lines pass here: each id is nearly always a string, and the rest is looked at only where one is not.
    if type(app_id) is type(room_id) is type(task_id) is str:
        read: dict[str, Any] = values
        return read
    return values if all(isinstance(values[key], str | None) for key in _KEYS) else None


def task_of(values: dict[str, Any]) -> Task:
    """Return the task that a report's line is about; an id that it does not hold is ""."""
    return Task(values["AppId"] or "", values["RoomId"] or "", values["TaskId"] or "")


class LineReader:
    """Reads the lines of one report in their order; the last one may be torn, because a crash cut it off.

    Args:
        name: of the report, for the words of an error.

    Attributes:
        torn: the torn line, b"" where there is none.
        size: the bytes of the whole lines.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._number = 0
        self.torn = b""
        self.size = 0
        self._last = b"\n"

    def read(self, lines: Iterable[bytes]) -> list[dict[str, Any]]:
        """Return the values of some lines, as ``read_line`` does.

        Raises:
            ReportError: one of them is no line of a report, and not the last.
        """
        read = []
        for line in lines:
            if self.torn:
                raise self._no_line()
            self._number += 1
            values = read_line(line)
            if values is None:
                self.torn = line
            else:
                self.size += len(line)
                self._last = line
                read.append(values)
        return read

    @property
    def unended(self) -> bool:
        """Whether the last whole line has no newline."""
        return not self._last.endswith(b"\n")

    def finish(self) -> None:
        """Take it that no more lines follow.

        Raises:
            ReportError: the last one is no line of a report, and not the beginning of one either.
        """
        # A power cut leaves zeros behind it.
        written = self.torn.rstrip(b"\0")
        if not written.startswith(_LINE_BEGINS[: len(written)]):
            raise self._no_line()

    def _no_line(self) -> ReportError:
        return ReportError(f"line {self._number} of {self._name} is no line of a report. Is that the right file?")
