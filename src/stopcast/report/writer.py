"""Write the report: lines are appended in groups and synced every second. Lines of an earlier run are not read here."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from stopcast.errors import ReportError
from stopcast.ports import Pausable
from stopcast.report.blocking import BlockingCalls, cut_off, torn_bytes, write_all
from stopcast.report.in_flight import InFlightLog
from stopcast.report.line import line_of
from stopcast.report.opening import own_stream
from stopcast.report.synced import SyncedReport
from stopcast.tasks.outcome import Outcome, Status

#: The most lines in a group, and the longest time that a line waits for its group.
_GROUP_LINES: Final = 64
_GROUP_SECONDS: Final = 0.1
#: The calls pause when this many outcomes wait for the thread.
_PAUSE_AT_OUTCOMES: Final = 256
#: Lines with these statuses free no note: they are about a row that is not sent, and a note is about a task that is.
_ROWS_ONLY: Final = frozenset({Status.INVALID, Status.DUPLICATE, Status.EXCLUDED})
#: The time between two syncs. A power cut may lose the lines and notes written since the last one.
_SYNC_SECONDS: Final = 0.8
#: The time that a write or a sync may still take after a cancellation.
_LONGEST_LAST_WAIT_SECONDS: Final = 1.5


class Report:
    """Appends outcomes. A line is written within a tenth of a second, and on the disk within a second.

    The lines of a plain file are written on the event loop, like the notes in the in-flight log. A pipe or a device may
    block for ever, so its lines are written in a thread, and the calls pause while too many outcomes wait for it.

    Args:
        descriptor: the one that ``open_report`` returned. The caller closes it after ``finish``.
        path: the report's name, for error messages.
        on_error: called once, on the event loop, when the report cannot be written any more.
        on_durable: called on the event loop with outcomes whose lines would survive a power cut. Pipes and devices
            cannot be synced; for them it is called when the lines have been written.
        calls: the calls to pause while too many outcomes wait for the thread.
        in_flight: the in-flight log. A task's note stays until its line would survive a power cut.
        sandbox: whether each line is marked as a sandbox's.
        asked: whether each line is marked as one of ``verify``.
    """

    def __init__(
        self,
        descriptor: int,
        path: Path,
        *,
        on_error: Callable[[ReportError], None],
        on_durable: Callable[[Sequence[Outcome]], None] | None = None,
        calls: Pausable | None = None,
        in_flight: InFlightLog | None = None,
        sandbox: bool = False,
        asked: bool = False,
    ) -> None:
        self._descriptor = descriptor
        self.file = SyncedReport(descriptor, path, in_flight)
        self._path = path
        self._on_error = on_error
        self._on_durable = on_durable
        self._calls = calls
        self._regular = own_stream(path) is None and stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._in_flight = in_flight
        self._line = partial(line_of, sandbox=sandbox, asked=asked)
        #: Outcomes without a line yet. The thread may be writing the first of them.
        self._outcomes: list[Outcome] = []
        #: Outcomes that are written but not synced; only filled if there is an ``on_durable`` to call with them.
        self._not_durable: list[Outcome] = []
        self._loop = asyncio.get_running_loop()
        self._thread = BlockingCalls("report")
        self._group_timer: asyncio.TimerHandle | None = None
        self._sync_timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._syncing: asyncio.Future[None] | None = None
        self._error: ReportError | None = None
        #: Linux reports a failed sync only once. The data may be lost even if a later sync succeeds.
        self._sync_error: ReportError | None = None
        #: Whether the file ends in a torn line, which only a resumed run can remove. No line may follow it.
        self._torn = False
        self._paused = self._finishing = False
        self._wait_seconds: float | None = None
        self._waiting_over: asyncio.Future[None] = self._loop.create_future()
        self._deadlines: list[asyncio.TimerHandle] = []
        if in_flight is not None:
            # Where the API answers nothing, there are notes and no lines.
            in_flight.when_noted(self._plan_sync)

    def write(self, outcome: Outcome) -> None:
        """Take one outcome. After an error it is kept: the disk may have room again when the report is finished."""
        # Format the lines of a group together: each one alone would find the processor's caches filled by the calls.
        self._outcomes.append(outcome)
        if self._error is not None:
            return
        if self._writing is not None:
            if len(self._outcomes) >= _PAUSE_AT_OUTCOMES and self._calls is not None and not self._calls.paused:
                self._paused = True
                self._calls.pause()
        elif len(self._outcomes) >= _GROUP_LINES:
            self._write_group()
        elif self._group_timer is None:
            self._group_timer = self._loop.call_later(_GROUP_SECONDS, self._write_group)

    @property
    def unwritten(self) -> Sequence[Outcome]:
        """Outcomes without a line in the report: not written yet, or never because of an error."""
        return self._outcomes

    @property
    def running(self) -> asyncio.Future[None] | None:
        """The write or the sync in progress, or None."""
        return self._writing or self._syncing

    @property
    def stuck(self) -> bool:
        """Whether ``finish`` has left a write or a sync that has not returned."""
        return self._finishing and self.running is not None

    def finish_within(self, seconds: float) -> None:
        """Let ``finish`` wait at most this long for a write or a sync that does not return."""
        self._wait_seconds = seconds
        if self._finishing:
            self._deadlines.append(self._loop.call_later(seconds, self._waiting_over.cancel))

    def _write_group(self) -> None:
        if self._group_timer is not None:
            self._group_timer.cancel()
            self._group_timer = None
        if not self._regular:
            self._write_in_thread()
            return
        try:
            self._write_out()
        except OSError as error:
            if self._in_flight is not None:
                self._in_flight.give_up_room()
            self._fail(error)

    def _write_out(self) -> None:
        """Write the lines of all outcomes. After an error, only outcomes with a whole line count as written."""
        group = b"".join(map(self._line, self._outcomes))
        written = 0
        try:
            while written < len(group):
                written += os.write(self._descriptor, group[written:] if written else group)
        finally:
            if written < len(group):
                torn = torn_bytes(group, written)
                self._torn = not cut_off(self._descriptor, torn)
                written -= torn
            self.file.grew(written)
            # Count the lines only if necessary: counting takes a sixth of the time that formatting takes.
            self._written(len(self._outcomes) if written == len(group) else group.count(b"\n", 0, written))

    def _write_in_thread(self) -> None:
        """Write the lines of all outcomes in the thread, now or as soon as its present write is done."""
        if self._writing is not None or not self._outcomes:
            return
        lines = [self._line(outcome) for outcome in self._outcomes]
        self._writing = self._thread.start(partial(write_all, self._descriptor, b"".join(lines)))
        self._writing.add_done_callback(partial(self._wrote_in_thread, len(lines)))

    def _wrote_in_thread(self, lines: int, writing: asyncio.Future[None]) -> None:
        self._writing = None
        if (error := writing.exception()) is not None:
            self._fail(error)
            return
        self._written(lines)
        self._write_in_thread()
        if self._paused and self._calls is not None:
            self._paused = False
            self._calls.resume()

    def _written(self, lines: int) -> None:
        written = self._outcomes[:lines]
        if self._in_flight is not None:
            # Nothing of these is in doubt, and they are sent again.
            self._in_flight.end(it.task for it in written if not (it.status.settled or it.in_doubt))
            self._in_flight.written(it.task for it in written if it.status not in _ROWS_ONLY)
        del self._outcomes[:lines]
        if not self._regular:
            self._call_on_durable(written)
            return
        self._not_durable += () if self._on_durable is None else written
        self._plan_sync()

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = self._described(error)
            self._on_error(self._error)

    def _described(self, error: BaseException) -> ReportError:
        why = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        described = ReportError(f"the report {self._path} cannot be written: {why}")
        described.__cause__ = None if isinstance(error, OSError) else error
        return described

    def _call_on_durable(self, outcomes: Sequence[Outcome]) -> None:
        if self._on_durable is None or not outcomes:
            return
        try:
            self._on_durable(outcomes)
        except Exception as error:  # noqa: BLE001 - it ends the run, with its cause
            self._fail_to_sync(error)

    def _fail_to_sync(self, error: BaseException) -> None:
        self._sync_error = self._sync_error or self._described(error)
        self._fail(error)

    def _plan_sync(self) -> None:
        if self._sync_timer is None:
            self._sync_timer = self._loop.call_later(_SYNC_SECONDS, self._sync)

    def _sync(self) -> None:
        """Sync the written lines in the thread, now or some time after its present sync."""
        if self._sync_timer is not None:
            self._sync_timer.cancel()
            self._sync_timer = None
        if self._syncing is not None:
            self._plan_sync()
            return
        self._syncing = self._thread.start(self.file.sync)
        self._syncing.add_done_callback(partial(self._synced, len(self._not_durable)))

    def _synced(self, outcomes: int, syncing: asyncio.Future[None]) -> None:
        self._syncing = None
        synced, self._not_durable = self._not_durable[:outcomes], self._not_durable[outcomes:]
        if (error := syncing.exception()) is not None:
            self._fail_to_sync(error)
        elif self._sync_error is None:
            self.file.free_notes()
            self._call_on_durable(synced)

    async def finish(self) -> None:
        """Write and sync the remaining lines. Nothing can be written afterwards.

        A cancellation is raised at the end. After the first one, a write or a sync may still take 1.5 seconds.

        Raises:
            ReportError: lines could not be written or synced. A resumed run sends the tasks that have no line.
        """
        self._finishing = True
        if self._wait_seconds is not None:
            self.finish_within(self._wait_seconds)
        if self._group_timer is not None:
            self._group_timer.cancel()
        error = self._write_rest()
        cancelled = await self._until_idle()
        if self._regular and self.running is None:
            self._sync()
            cancelled = await self._until_idle() or cancelled
        for timer in filter(None, (self._sync_timer, *self._deadlines)):
            timer.cancel()
        self._thread.stop()
        if self.running is not None:
            # Keep the error, so that a later error of the thread is not reported as well.
            error = self._error = self._described(OSError(errno.ETIMEDOUT, "it does not accept data any more"))
        elif not self._regular:
            error = self._error
        error = error or self._sync_error
        if cancelled is not None:
            raise cancelled
        if error is not None:
            lost = f"; {len(self._outcomes)} outcomes have no line" if self._outcomes else ""
            if lost and self._regular:
                lost += ", and --resume sends their tasks again"
            raise ReportError(f"{error}{lost}") from error.__cause__

    def _write_rest(self) -> ReportError | None:
        if not self._regular:
            if self._error is None:
                self._write_in_thread()
            return None
        if self._torn:
            return self._error
        try:
            self._write_out()
        except OSError as error:
            return self._described(error)
        return None

    async def _until_idle(self) -> asyncio.CancelledError | None:
        """Wait until no write or sync is in progress, or the time is up. Return the last cancellation, or None."""
        cancelled = None
        while (running := self.running) is not None and not self._waiting_over.done():
            try:
                await asyncio.wait((running, self._waiting_over), return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError as error:
                cancelled = error
                self.finish_within(_LONGEST_LAST_WAIT_SECONDS)
        return cancelled
