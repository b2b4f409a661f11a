"""One run: lists in, a report out, and correct totals however it ends."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Container, Coroutine
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from stopcast.accounts.figures import figures_of
from stopcast.accounts.router import Router
from stopcast.background import cancellable
from stopcast.engine.contracts import RowSink, StreamOptions
from stopcast.engine.halting import Canary
from stopcast.engine.pump import pump
from stopcast.errors import InterruptedRunError, ReportError, StopcastError, TimeIsUpError
from stopcast.ports import Deliveries
from stopcast.report.blocking import is_name_of
from stopcast.report.history import ReportHistory, continue_history, tidy
from stopcast.report.in_flight import InFlightLog, open_in_flight_log
from stopcast.report.opening import is_file, open_report, own_stream, remove_if_empty, sync_folder
from stopcast.report.totals import Summary
from stopcast.report.writer import Report
from stopcast.stopper.task_calls import TaskCalls
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Batch

_T = TypeVar("_T")
#: How long a report that takes no lines may delay the end of a run.
_REPORT_SECONDS: Final = 1.5
#: A write or a sync of the report that takes longer than this after a signal counts as stuck.
_STUCK_SECONDS: Final = 1.0
#: Rows that may be in work beyond those of the dispatcher: the rest of a batch, and lines that are not written yet.
_READ_AHEAD: Final = 1024


class Run:
    """Stops the tasks of lists, or asks about them, and writes a report.

    Args:
        stopper: makes the calls. No one else may use it during the run.
        path: the report.
        resume: whether to continue a report that exists.
        limit: how many tasks are taken at most.
        grace_seconds: how long calls in flight may take to finish after the run is asked to end.
        canary: how many tasks are sent alone first. The others follow only if each of those ends well.
        ends_at: loop time at which no call may be in flight any more, None for no such time. The last call begins
            earlier by the timeout of a call.
        deliveries: the queue, where the rows come from one. It records itself what is in flight, and gets the outcomes
            that are durable.
        sandbox: whether the calls go to a sandbox. The report's lines are marked, and no other report is continued.
        excluded: identities of tasks that are never sent, whatever the lists say.

    Attributes:
        history: what the report says. ``history.statuses`` counts its old lines and the new ones together.
        intake: counts the rows.
        finished: outcomes of this run.
        opened: whether the report was opened.
        canary: the tasks that are sent alone first.
        ending: why the run ends early, None while it does not.
        reading: whether the report is being read, before the first call.
    """

    def __init__(
        self,
        stopper: TaskCalls | Router,
        path: Path,
        *,
        resume: bool = False,
        limit: int | None = None,
        grace_seconds: float = 15.0,
        canary: int = 0,
        ends_at: float | None = None,
        deliveries: Deliveries | None = None,
        sandbox: bool = False,
        excluded: Container[bytes] = frozenset(),
    ) -> None:
        self._stopper = stopper
        self._path = path
        self._resume = resume
        self._limit = limit
        self._grace_seconds = grace_seconds
        self.canary = Canary(canary)
        self._sink: RowSink | None = None
        self._ends_at = ends_at
        self._deliveries = deliveries
        self._sandbox = sandbox
        self._excluded = excluded
        self._timers: list[asyncio.TimerHandle] = []
        self.reading = False
        self._report: Report | None = None
        self._end_requested = asyncio.Event()
        self._started_at: float | None = None
        self._ended_at: float | None = None
        self._interrupted = False
        self.ending: StopcastError | None = None
        self.history = ReportHistory()
        self.intake = Intake(limit=limit)
        self.finished = 0
        self._unsent = 0
        self.opened = False
        self._file: os.stat_result | None = None

    async def stop_lists(self, batches: AsyncIterator[Batch]) -> None:
        """Run until every row has its line.

        Raises:
            StopcastError: the run ended early. The report holds every outcome that is known.
        """
        loop = asyncio.get_running_loop()
        self._started_at = loop.time()
        with ExitStack() as stack:
            stack.callback(self._ended)
            if self._ends_at is not None:
                last_call_at = self._ends_at - self._stopper.timeout_seconds
                time_is_up = TimeIsUpError("time is up: a further call might not end in time")
                self._timers.append(loop.call_at(last_call_at, self._end, time_is_up, self._ends_at))
            descriptor = await self._unless_ended(self._open(stack), name="report's opener")
            self.opened = True
            in_flight, self._file = None, os.fstat(descriptor)
            is_file = own_stream(self._path) is None and stat.S_ISREG(self._file.st_mode)
            if is_file:
                self.history = await self._read_history(descriptor)
                if self._deliveries is None and self._stopper.action.stops_tasks:
                    in_flight = stack.enter_context(closing(self._in_flight_log()))
            await self._send_rows(batches, descriptor, in_flight, may_tidy=is_file)

    async def _open(self, stack: ExitStack) -> int:
        descriptor = await open_report(self._path, resume=self._resume)
        # In the same step, because a cancellation may come before the caller has the descriptor.
        stack.callback(os.close, descriptor)
        if own_stream(self._path) is None:
            stack.callback(remove_if_empty, self._path, descriptor)
        return descriptor

    def _ended(self) -> None:
        self._ended_at = asyncio.get_running_loop().time()
        for timer in self._timers:
            timer.cancel()

    def _in_flight_log(self) -> InFlightLog:
        most = self._stopper.dispatcher.most_outstanding + _READ_AHEAD
        log = open_in_flight_log(self._path, most=most, settled=self.history.settled)
        self.history.settled.doubt(log.left, others_too=log.incomplete)
        return log

    async def _read_history(self, descriptor: int) -> ReportHistory:
        check = partial(
            ReportHistory.check_kind, path=self._path, changes=self._stopper.action.stops_tasks, sandbox=self._sandbox
        )
        self.reading = self._resume
        try:
            reading = continue_history(descriptor, self._path, check=check)
            return await self._unless_ended(reading, name="reader of the report")
        finally:
            self.reading = False

    async def _unless_ended(self, coroutine: Coroutine[Any, Any, _T], *, name: str) -> _T:
        """Return the coroutine's result, or raise what ends the run first."""
        return await cancellable(coroutine, name=name, unless=self._raise_ending())

    async def _raise_ending(self) -> NoReturn:
        await self._end_requested.wait()
        assert self.ending is not None  # noqa: S101 - it is set before that
        raise self.ending

    async def _send_rows(
        self, batches: AsyncIterator[Batch], descriptor: int, in_flight: InFlightLog | None, *, may_tidy: bool
    ) -> None:
        await self._unless_ended(sync_folder(self._path), name="sync of the report's folder")
        dispatcher = self._stopper.dispatcher
        self.intake = Intake(
            limit=self._limit,
            settled=self.history.settled if self._deliveries is None else None,
            excluded=self._excluded,
        )
        report = self._report = Report(
            descriptor,
            self._path,
            on_error=dispatcher.stop,
            on_durable=None if self._deliveries is None else self._deliveries.ack,
            calls=self._stopper,
            in_flight=in_flight,
            sandbox=self._sandbox,
            asked=not self._stopper.action.stops_tasks,
        )
        sink = self._sink = self._open_sink(report, in_flight)
        if self.ending is not None:
            report.finish_within(_REPORT_SECONDS)
            dispatcher.stop(self.ending)
        corrected = False
        try:
            await pump(batches, self.intake, sink, canary=self.canary.left)
            # Of lists that were not read to their ends it is not known which rows they still have.
            corrected = not self.intake.full and self.history.correct(self.intake)
        finally:
            try:
                await dispatcher.close()
            finally:
                sink.close()
                await self._finish(report)
            if may_tidy and (self.history.lines_replaced or corrected):
                self._file = await self._unless_ended(
                    tidy(descriptor, self._path, self.history), name="report's tidying"
                )

    def _open_sink(self, report: Report, in_flight: InFlightLog | None) -> RowSink:
        """Return what accepts the rows. Their outcomes are counted, and go to the report."""
        dispatcher = self._stopper.dispatcher

        def deliver(outcome: Outcome) -> None:
            report.write(outcome)
            self.history.add(outcome, comes_again=self._deliveries is not None)
            self.finished += 1
            self._unsent += outcome.unsent
            sink.consumed()
            if (error := self.canary.count(outcome)) is not None:
                dispatcher.stop(error)

        options = StreamOptions(
            flights=in_flight if self._deliveries is None else self._deliveries, ownership=self._deliveries
        )
        sink: RowSink = dispatcher.open_feed(deliver, options)
        return sink

    async def _finish(self, report: Report) -> None:
        try:
            await report.finish()
        except ReportError as error:
            self._file = report.file.status
            # An outcome without a line does not count in the totals either.
            for outcome in report.unwritten:
                self.history.statuses[outcome.status] -= 1
                self.finished -= 1
            if report.stuck and self.ending is not None:
                self.ending.add_note(str(error))
                raise self.ending from None
            raise

    def interrupt(self, signal_number: int) -> None:
        """End the run. The first time calls in flight may finish, the second time they are cut off."""
        if self._interrupted:
            self._stopper.dispatcher.cancel()
            return
        self._interrupted = True
        self.end(InterruptedRunError(signal_number))

    def end(self, error: StopcastError) -> None:
        """End the run early with this error. Calls in flight have ``grace_seconds`` to finish."""
        self._end(error, asyncio.get_running_loop().time() + self._grace_seconds)

    def _end(self, error: StopcastError, cut_off_at: float) -> None:
        self.ending = self.ending or error
        self._stopper.dispatcher.stop(self.ending)
        self._end_requested.set()
        if self._started_at is None or self._ended_at is not None:
            return  # nothing is in flight, and nothing would stop the timers
        loop = asyncio.get_running_loop()
        if self._report is not None:
            self._report.finish_within(_REPORT_SECONDS)
            if (running := self._report.running) is not None:
                self._timers.append(loop.call_later(_STUCK_SECONDS, self._cut_off_unless_done, running))
        self._timers.append(loop.call_at(cut_off_at, self._stopper.dispatcher.cancel))

    def _cut_off_unless_done(self, running: asyncio.Future[None]) -> None:
        """Cut off the calls in flight if the report takes nothing any more: their outcomes could not be written."""
        if not running.done():
            self._stopper.dispatcher.cancel()

    def has_report(self) -> bool:
        """Return whether the report's name is still that of the file with the run's lines."""
        return self._file is not None and is_file(self._path) and is_name_of(self._path, self._file)

    def summary(self) -> Summary:
        """Return the totals, up to now or to the end of the run."""
        meter, intake = self._stopper.meter, self.intake
        now = self._ended_at or asyncio.get_running_loop().time()
        seconds = 0.0 if self._started_at is None else now - self._started_at
        # Its source delivers such a row again, and then it counts again.
        given_back = 0 if self._sink is None else self._sink.given_back
        return Summary(
            statuses=+self.history.statuses,
            calls=meter.calls,
            unsent=self._unsent,
            worst_second=meter.worst_second,
            mean_per_second=meter.mean_per_second,
            seconds=seconds,
            settled_earlier=intake.settled,
            left_out=intake.left_out,
            not_chosen=intake.not_chosen,
            too_old=intake.too_old,
            asked=not self._stopper.action.stops_tasks,
            accounts=figures_of(self._stopper) if isinstance(self._stopper, Router) else {},
            not_finished=intake.rows - intake.settled - intake.reported_earlier - self.finished - given_back,
        )
