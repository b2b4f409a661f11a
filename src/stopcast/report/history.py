"""Continuing a report: what its lines say, and which of them newer ones have replaced.

A torn last line is cut off. A line that is not a report's is an error, because what it says would be lost.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from stopcast.errors import ConfigurationError, ReportError
from stopcast.marking import N_
from stopcast.report.in_flight import has_in_flight_log
from stopcast.report.line import ASKED_ABOUT, LINE_BYTES, SANDBOX, LineReader, may_be_superseded, read_line, task_of
from stopcast.report.opening import check_continuable, is_file, sync_folder
from stopcast.report.rewriting import finish_overwriting, is_half_overwritten, lines_of, rewrite
from stopcast.tasks.identities import Identities, IdentityNumbers, identity, place_fingerprint, row_fingerprint
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import ASKED, STOPPED, Outcome, Status
from stopcast.tasks.settled import AlreadySettled

#: Lines about rows that were not sent.
_ROWS_ONLY: Final = frozenset({Status.INVALID, Status.DUPLICATE})
#: A task's number in AlreadySettled: its flags, then the status of a line that a newer one would replace (0: none),
#: then how many of its lines have been replaced.
_STATUS_BITS: Final = 3
_UNSETTLED: Final = (None, *filter(may_be_superseded, Status))
_STATUS: Final = {status: place << AlreadySettled.FLAG_BITS for place, status in enumerate(_UNSETTLED)}
_STATUS_MASK: Final = ((1 << _STATUS_BITS) - 1) << AlreadySettled.FLAG_BITS
_ONE_REPLACED: Final = 1 << (AlreadySettled.FLAG_BITS + _STATUS_BITS)

_OF_A_SANDBOX: Final = N_(
    "{path} is the report of a run with --sandbox: nothing in it was really stopped. Name another report: -o PATH"
)
_NOT_OF_A_SANDBOX: Final = N_(
    "{path} is the report of a run without --sandbox: a rehearsal must not continue it. Name another report: -o PATH"
)


class ReportHistory:
    """What a report says when a run continues with it.

    Attributes:
        settled: what an Intake compares the lists' rows with.
        statuses: its lines by status, without those that a newer line has replaced.
        lines_replaced: old lines that a newer one has replaced.
        settled_lines: old lines whose rows are not sent again.
        torn_bytes: the length of the torn last line, which was cut off.
        size: the report's length in bytes after that.
    """

    def __init__(self) -> None:
        self.settled = AlreadySettled()
        self.statuses: Counter[Status] = Counter()
        self.lines_replaced = 0
        self.settled_lines = self.torn_bytes = self.size = 0
        self._any_replaceable = False
        self._sandbox_lines = 0
        self._asked_lines = 0
        self._corrected = Identities()
        self._met_again = IdentityNumbers()

    def read(self, values: dict[str, Any]) -> None:
        """Add one line."""
        status: Status = values["status"]
        task = task_of(values)
        self.statuses[status] += 1
        if SANDBOX in values:
            self._sandbox_lines += 1
        if ASKED_ABOUT in values or status in ASKED:
            self._asked_lines += 1
        if status in _ROWS_ONLY:
            self.settled.rows[row_fingerprint(status, task, values.get("message"))] += 1
            if status is Status.INVALID:
                self.settled.invalid_places[_place_of(values)] = 1
                self.settled.invalid_sources.add(values.get("source"))
            return
        self._record(identity(task), status, in_doubt=values.get("in_doubt") is True)

    def _record(self, digest: bytes, status: Status, *, in_doubt: bool) -> None:
        """Record the newest line about a task."""
        number = self._replaced(self.settled.tasks[digest]) & ~AlreadySettled.GOOD
        if status.settled:
            number |= AlreadySettled.SETTLED
        if status.good:
            number |= AlreadySettled.GOOD
        if may_be_superseded(status):
            self._any_replaceable = True
            number |= _STATUS[status]
        if in_doubt:
            number |= AlreadySettled.IN_DOUBT
        self.settled.tasks[digest] = number

    def check_kind(self, path: Path, *, changes: bool, sandbox: bool) -> None:
        """Refuse to continue the other kind of report: that a task was stopped does not say whether it runs.

        Raises:
            ConfigurationError: it is a report of ``verify`` where tasks are to be stopped, or the other way round; or
                the report of a sandbox where the calls are real, or the other way round.
        """
        if (lines := self.statuses.total()) and self._sandbox_lines != (lines if sandbox else 0):
            raise ConfigurationError((_NOT_OF_A_SANDBOX if sandbox else _OF_A_SANDBOX).format(path=path))
        if changes and self._asked_lines:
            raise ConfigurationError(
                f"{path} is a report of `stopcast verify`, and cannot be continued here. Name another report: -o PATH"
            )
        if not changes and (+self.statuses).keys() & STOPPED:
            raise ConfigurationError(
                f"{path} is a report of `stopcast run`, and cannot be continued here. "
                f"Name another report: -o PATH, and {path} as the list"
            )

    def add(self, outcome: Outcome, *, comes_again: bool) -> None:
        """Count a new line. An old line about the same task that was not good is replaced.

        Args:
            outcome: what the line says.
            comes_again: whether the task may have further lines, as in a queue. It is remembered if it is not good.
        """
        status = outcome.status
        self.statuses[status] += 1
        remembered = comes_again and not status.good
        if status not in _ROWS_ONLY and (remembered or self._any_replaceable):
            digest = identity(outcome.task)
            if remembered or self.settled.tasks[digest]:
                self._record(digest, status, in_doubt=outcome.in_doubt)

    def _replaced(self, number: int) -> int:
        if not number & _STATUS_MASK:
            return number
        status = _UNSETTLED[(number & _STATUS_MASK) >> AlreadySettled.FLAG_BITS]
        assert status is not None  # noqa: S101 - the mask says so
        self.statuses[status] -= 1
        self.lines_replaced += 1
        return (number & ~_STATUS_MASK) + _ONE_REPLACED

    def correct(self, intake: Intake) -> bool:
        """Let ``rewritten`` remove the lines of invalid rows that were corrected; return whether there may be any.

        Such a row is in none of the lists any more, which ``intake`` took to their ends, and a task stands in its
        place. A row that was only moved to another place has been met again, and keeps its line.
        """
        self._corrected, self._met_again = intake.corrected, intake.reported_again
        return len(intake.corrected) > 0

    def _is_corrected(self, values: dict[str, Any]) -> bool:
        digest = row_fingerprint(Status.INVALID, task_of(values), values.get("message"))
        if _place_of(values) not in self._corrected or self.settled.rows[digest] <= self._met_again[digest]:
            return False
        self.settled.rows[digest] -= 1
        self.statuses[Status.INVALID] -= 1
        return True

    def rewritten(self, line: bytes) -> bytes:
        """Return a line of the report, read again from its start, as it is to be: b"" if it has been replaced.

        A line that is not good keeps the doubt of the lines that it has replaced.
        """
        values = read_line(line)
        if values is None:
            return line
        status: Status = values["status"]
        if status is Status.INVALID and self._is_corrected(values):
            return b""
        if status.good or status in _ROWS_ONLY:
            return line
        digest = identity(task_of(values))
        number = self.settled.tasks[digest]
        if may_be_superseded(status) and number >= _ONE_REPLACED:
            self.settled.tasks[digest] = number - _ONE_REPLACED
            return b""
        if number & AlreadySettled.IN_DOUBT and not values.get("in_doubt"):
            return orjson.dumps(values | {"in_doubt": True}, option=orjson.OPT_APPEND_NEWLINE)
        return line


def _place_of(values: dict[str, Any]) -> bytes:
    return place_fingerprint(values.get("source"), values.get("line"))


async def peek_history(path: Path) -> ReportHistory:
    """Read a report that another run may be writing, and change nothing. A report that does not exist has no lines.

    Raises:
        ReportError: it cannot be read, or a line in it is not a report's.
    """
    try:
        # Opening a FIFO would wait for its writer.
        check_continuable(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ReportHistory()
    except OSError as error:
        raise ReportError(f"the report {path} cannot be read: {error.strerror}") from None
    try:
        return (await _read(descriptor, path))[0]
    finally:
        os.close(descriptor)


def check_beginning(path: Path, *, changes: bool, sandbox: bool) -> None:
    """Refuse to continue a file whose first line says that this cannot be. What it does not say the whole file will.

    Raises:
        ConfigurationError: it is the other kind of report; see ``ReportHistory.check_kind``.
        ReportError: it is not a report.
    """
    if not is_file(path) or is_half_overwritten(path):
        return
    history, reader = ReportHistory(), LineReader(str(path))
    with suppress(OSError), path.open("rb") as file:
        for values in reader.read([file.readline(LINE_BYTES)]):
            history.read(values)
    history.check_kind(path, changes=changes, sandbox=sandbox)


async def continue_history(descriptor: int, path: Path, *, check: Callable[[ReportHistory], None]) -> ReportHistory:
    """Read the report that a run continues, and repair its end: a torn last line is cut off, and the last one ended.

    Before that ``check`` is called: what it raises leaves the file unchanged.

    Raises:
        ReportError: it cannot be continued, or a line in it is not a report's. In the latter case it is unchanged.
    """
    try:
        await finish_overwriting(descriptor, path)
        history, reader = await _read(descriptor, path)
        check(history)
        if reader.torn:
            os.ftruncate(descriptor, history.size)
        if reader.unended:
            history.size += os.write(descriptor, b"\n")
    except OSError as error:
        raise ReportError(
            f"the report {path} cannot be continued: {error.strerror}. Copy it to another file system, and continue "
            f"the copy: -o PATH --resume"
        ) from None
    return history


async def _read(descriptor: int, path: Path) -> tuple[ReportHistory, LineReader]:
    """Read the whole report, and change nothing.

    Raises:
        ReportError: a line in it is not a report's.
    """
    history, reader = ReportHistory(), LineReader(str(path))
    async for lines in lines_of(descriptor):
        for values in reader.read(lines):
            history.read(values)
    reader.finish(is_report=has_in_flight_log(path))
    history.size, history.torn_bytes = reader.size, len(reader.torn)
    history.settled_lines = sum(number for status, number in history.statuses.items() if status.settled)
    return history, reader


async def tidy(descriptor: int, path: Path, history: ReportHistory) -> os.stat_result:
    """Write the report anew without the lines that have been replaced or corrected, and return its file's status.

    Raises:
        ReportError: that is not possible; the report is as it was.
    """
    try:
        file = await rewrite(descriptor, path, history.rewritten)
        await sync_folder(path)
    except OSError as error:
        raise ReportError(
            f"{path} could not be rewritten ({error.strerror}): it still has lines that newer ones replace; --resume "
            f"tries again"
        ) from None
    return file
