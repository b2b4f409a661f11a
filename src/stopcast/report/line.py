"""The lines of a report: how an outcome is written and read again, and which line about a task counts. No I/O here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import IO, Any, Final

import orjson

from stopcast.errors import ReportError
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import ID_NAMES, Task

#: How files begin that are compressed with gzip, bzip2, xz and zstd.
_COMPRESSED: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n" + _BYTE_ORDER_MARK
#: The longest line that is read. The longest that is written has a message of 2,000 characters.
LINE_BYTES: Final = 1 << 16
#: How every line begins, piece by piece: as it stands, or an id.
_LINE_BEGINS: Final = (b'{"AppId":', None, b',"RoomId":', None, b',"TaskId":', None, b',"status":"')
_ID: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|null', re.DOTALL)
#: An id that was cut off.
_ID_BEGINS: Final = re.compile(rb'(?:"(?:[^"\\]|\\.)*+\\?|n|nu|nul)?', re.DOTALL)


#: The key that marks each line of a run against the sandbox: nothing in it is real.
SANDBOX: Final = "sandbox"
#: The key that marks each line of ``verify``: its task was asked about, and not stopped.
ASKED_ABOUT: Final = "asked"


def line_of(outcome: Outcome, *, sandbox: bool = False, asked: bool = False) -> bytes:
    """Return the outcome as one line of UTF-8, its newline at the end.

    Lines of a run against the sandbox are marked, and those of ``verify``.
    """
    values = outcome.as_json()
    if asked:
        values[ASKED_ABOUT] = True
    if sandbox:
        values[SANDBOX] = True
    try:
        return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        return orjson.dumps(_writable(values), option=orjson.OPT_APPEND_NEWLINE)


def _writable(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with each lone surrogate as an escape: UTF-8 cannot encode one."""
    return {
        key: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for key, value in values.items()
    }


_STATUSES: Final = {status.value: status for status in Status}


def read_line(line: bytes) -> dict[str, Any] | None:
    """Return the values of a report's line with ``status`` as a Status, None for any other line."""
    try:
        values = orjson.loads(line)
        values["status"] = _STATUSES[values["status"]]
        app_id, room_id, task_id = values["AppId"], values["RoomId"], values["TaskId"]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return read_line(line[len(_BYTE_ORDER_MARK) :]) if line.startswith(_BYTE_ORDER_MARK) else None
    # Ten million lines pass here: each id is nearly always a string, and the rest is checked only where one is not.
    if type(app_id) is type(room_id) is type(task_id) is str:
        read: dict[str, Any] = values
        return read
    return values if all(isinstance(values[key], str | None) for key in ID_NAMES) else None


def task_of(values: dict[str, Any]) -> Task:
    """Return the task that a report's line is about; an id that the line does not have is ""."""
    return Task(values["AppId"] or "", values["RoomId"] or "", values["TaskId"] or "")


def looks_like_a_line(start: bytes, *, has_status: bool = False) -> bool:
    """Return whether these bytes can be the beginning of a report's line that was cut off.

    Args:
        start: the bytes.
        has_status: whether that must be plain from them: other programs write objects that begin with the three ids.
    """
    at = 0
    for piece in _LINE_BEGINS:
        if piece is not None:
            rest = start[at : at + len(piece)]
            if rest != piece:
                return piece.startswith(rest) and not has_status
            at += len(piece)
        elif (found := _ID.match(start, at)) is not None:
            at = found.end()
        else:
            return _ID_BEGINS.fullmatch(start, at) is not None and not has_status
    return True


def lines_in(file: IO[bytes], most: int) -> Iterator[list[bytes]]:
    """Yield the lines of a file, some at a time. A longer line than any of a report's comes in pieces."""
    lines = iter(partial(file.readline, LINE_BYTES), b"")
    while some := list(islice(lines, most)):
        yield some


class LineReader:
    """Reads the lines of one report in their order.

    Blank lines are skipped. The last line may be torn, because a crash cut it off: it has no newline, or the zeros that
    a power cut leaves, and it is not JSON.

    Args:
        name: the report's name, for error messages.

    Attributes:
        torn: the torn line, b"" where there is none.
        size: the bytes of the whole lines.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._number = 0
        self._any = self._is_compressed = False
        self.torn = b""
        self.size = 0
        self._last = b"\n"

    def read(self, lines: Iterable[bytes]) -> list[dict[str, Any]]:
        """Return the values of some lines, as ``read_line`` does.

        Raises:
            ReportError: one of them is not a report's, or follows a torn line.
        """
        read = []
        for line in lines:
            if self.torn:
                raise self._error()
            self._number += 1
            values = read_line(line)
            if values is not None:
                self._any = True
                read.append(values)
            elif line.strip(_BLANK):
                self._is_compressed = self._number == 1 and line.startswith(_COMPRESSED)
                if not _may_be_torn(line):
                    raise self._error()
                self.torn = line
                continue
            self.size += len(line)
            self._last = line
        return read

    @property
    def unended(self) -> bool:
        """Whether the last whole line has no newline."""
        return not self._last.endswith(b"\n")

    def finish(self, *, is_report: bool = True) -> None:
        """Say that no more lines follow.

        Args:
            is_report: whether it is known that the file is a report, also where it has no whole line.

        Raises:
            ReportError: the last line cannot be the beginning of a report's line.
        """
        has_status = not (is_report or self._any)
        if self.torn and not looks_like_a_line(self.torn.rstrip(b"\0"), has_status=has_status):
            raise self._error()

    def _error(self) -> ReportError:
        if self._is_compressed:
            return ReportError(f"{self._name} is compressed, and so cannot be continued: decompress it first")
        if self._any:
            return ReportError(
                f"{self._name} is not a report (line {self._number}). Name a file that `stopcast run` wrote, or, if "
                f"another program wrote that line into it, remove the line"
            )
        return ReportError(f"{self._name} is not a report (line {self._number}). Name a file that `stopcast run` wrote")


def _may_be_torn(line: bytes) -> bool:
    if b"\0" in line:
        return True
    try:
        orjson.loads(line.removeprefix(_BYTE_ORDER_MARK))
    except orjson.JSONDecodeError:
        return not line.endswith(b"\n")
    return False


#: What the API answered when it was asked whether the task runs is more reliable than its answer when the task was
#: stopped.
_RANK: Final = {
    Status.ENDED: 6,
    Status.STILL_RUNNING: 6,
    Status.STOPPED: 5,
    Status.PRESUMED_STOPPED: 4,
    Status.ALREADY_STOPPED: 3,
    Status.FAILED: 2,
    Status.GAVE_UP: 1,
    Status.SET_ASIDE: 1,
    Status.EXCLUDED: 1,
    Status.NOT_STARTED: 1,
    Status.UNKNOWN: 1,
}


def may_be_superseded(status: Status, *, several_reports: bool = False) -> bool:
    """Return whether another line about the task may count instead of a line with this status.

    Within one report a task is sent again only while it is not good: by ``--resume``, or because it was put into a
    queue again.
    """
    return several_reports or not status.good


def supersedes(later: Status, earlier: Status, *, several_reports: bool = False) -> bool:
    """Return whether the later of two lines counts: in one report always, in several by rank, the later of equals."""
    return not several_reports or _RANK[later] >= _RANK[earlier]
