"""One run: lists in, a report out, and the truth about both, however it ends."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from stopcast.accounts.router import Router
from stopcast.engine.pump import pump
from stopcast.errors import (
    CanaryError,
    ConfigurationError,
    InterruptedRunError,
    ReportError,
    StopcastError,
    TimeIsUpError,
)
from stopcast.ports import Deliveries
from stopcast.report.history import Past, read_past, tidy
from stopcast.report.in_flight import FlightLog
from stopcast.report.totals import AccountFigures, Summary
from stopcast.report.writer import Report, open_report
from stopcast.stopper.task_calls import TaskCalls
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import ASKED, STOPPED, Outcome, Status
from stopcast.tasks.task import Batch

#: Rows that may be taken beyond the bound: the rest of a batch, and lines that are not written yet.
_READ_AHEAD: Final = 1024


class Run:
    """Stops the tasks of lists, or asks about them, and writes a report.

    Args:
        stopper: makes the calls; the run has it to itself.
        path: the report.
        resume: go on with a report that exists.
        limit: take only the first so many tasks.
        grace_seconds: how long calls in flight may take to finish once the run is asked to end.
        canary: send so many tasks alone, and the others only if each of those is stopped, or was already.
        ends_at: loop time at which no call may be in flight any more; None for any. The last one begins as much earlier
            as a call may take.
        deliveries: where the rows come from a queue, the queue: it keeps in mind itself what is in flight, and is told
            of the outcomes that are durable.

    Attributes:
        past: what the report tells: ``past.statuses`` counts its old lines and the new ones together.
        intake: counts the rows.
        finished: outcomes of this run.
        opened: whether there is a report to speak of.
        canary: tasks of the canary that have no outcome yet.
        ending: why the run ends before its time, None while it does not.
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
    ) -> None:
        self._stopper = stopper
        self._path = path
        self._resume = resume
        self._limit = limit
        self._grace_seconds = grace_seconds
        self._canary = self.canary = canary
        self._ends_at = ends_at
        self._deliveries = deliveries
        self._timers: list[asyncio.TimerHandle] = []
        self._reading: asyncio.Task[Past] | None = None
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._interrupted = False
        self.ending: StopcastError | None = None
        self.past = Past()
        self.intake = Intake(limit=limit)
        self.finished = 0
        self.opened = False

    async def stop_lists(self, batches: AsyncIterator[Batch]) -> None:
        """Take the lists to their end.

        Raises:
            StopcastError: the run ended early. Whatever is known is in the report all the same.
        """
        descriptor = open_report(self._path, resume=self._resume)
        self.opened = True
        if self._ends_at is not None:
            last_begins_at = self._ends_at - self._stopper.timeout_seconds
            self._timers.append(
                self._loop.call_at(last_begins_at, self._end, TimeIsUpError("time is up"), self._ends_at)
            )
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        try:
            if regular:
                self.past = await self._read_past(descriptor)
                self._check_kind()
            if regular and self._deliveries is None and self._stopper.action.changes:
                with closing(self._flight_log()) as flights:
                    await self._stop_lists(batches, descriptor, flights)
            else:
                await self._stop_lists(batches, descriptor, None)
        finally:
            for timer in self._timers:
                timer.cancel()
            if regular and not os.fstat(descriptor).st_size:
                # Nothing was done, so nothing stands in the way of doing it right.
                self._path.unlink(missing_ok=True)
            os.close(descriptor)

    def _check_kind(self) -> None:
        """Refuse to go on with the other kind of report: that a task was stopped is no answer to whether it runs."""
        changes = self._stopper.action.changes
        if (+self.past.statuses).keys() & (ASKED if changes else STOPPED):
            kind = "verify" if changes else "run"
            raise ConfigurationError(
                f"{self._path} is a report of `stopcast {kind}`, and cannot be gone on with here. "
                f"Name another report: -o PATH" + ("" if changes else f", and {self._path} as the list")
            )

    def _flight_log(self) -> FlightLog:
        earlier = self.past.earlier
        flights = FlightLog(
            self._path.with_name(f"{self._path.name}.inflight"),
            most=self._stopper.dispatcher.most_outstanding + _READ_AHEAD,
            settled=earlier.settled,
        )
        for digest in flights.left:
            earlier.in_doubt.add(digest)
        return flights

    async def _read_past(self, descriptor: int) -> Past:
        self._reading = asyncio.create_task(read_past(descriptor, self._path))
        try:
            return await self._reading
        except asyncio.CancelledError:
            if self.ending is None:
                raise
            raise self.ending from None
        except OSError as error:
            raise ReportError(f"the report {self._path} cannot be gone on with: {error.strerror}") from None

    async def _stop_lists(self, batches: AsyncIterator[Batch], descriptor: int, flights: FlightLog | None) -> None:
        await self._keep_names()
        dispatcher = self._stopper.dispatcher
        deliveries = self._deliveries
        self.intake = Intake(limit=self._limit, earlier=self.past.earlier if deliveries is None else None)
        report = Report(
            descriptor,
            self._path,
            on_error=dispatcher.stop,
            on_durable=None if deliveries is None else deliveries.ack,
            flights=flights,
        )

        def deliver(outcome: Outcome) -> None:
            report.write(outcome)
            self.past.replaced_by(outcome)
            self.past.statuses[outcome.status] += 1
            self.finished += 1
            feed.consumed()

        def deliver_canary(outcome: Outcome) -> None:
            deliver(outcome)
            self._judge(outcome)

        feed = dispatcher.open_feed(
            deliver_canary if self.canary else deliver, flights=flights if deliveries is None else deliveries
        )
        if self.ending is not None:
            dispatcher.stop(self.ending)
        try:
            await pump(batches, self.intake, dispatcher, feed, canary=self.canary)
        finally:
            await dispatcher.close()
            dispatcher.close_feed(feed)
            await self._finish(report)
            if self.past.lines_replaced:
                await self._tidy(descriptor)

    async def _finish(self, report: Report) -> None:
        try:
            await report.finish()
        except ReportError:
            # What has no line is not told in the totals either.
            for outcome in report.unwritten:
                self.past.statuses[outcome.status] -= 1
                self.finished -= 1
            raise

    async def _keep_names(self) -> None:
        """Put the files' names on the disk: without them a power cut leaves lines that nobody finds."""
        with suppress(OSError):  # not every file system can
            await asyncio.to_thread(_sync_directory, self._path.resolve().parent)

    async def _tidy(self, descriptor: int) -> None:
        try:
            await tidy(descriptor, self._path, self.past)
            await self._keep_names()
        except OSError as error:
            raise ReportError(
                f"no room to write {self._path} anew ({error.strerror}): {self.past.lines_replaced} tasks have an "
                f"older line in it as well, which the newer one replaces; --resume tries again"
            ) from None

    def _judge(self, outcome: Outcome) -> None:
        """Take note of an outcome of the canary, and send nothing else if it is not good."""
        if not self.canary or outcome.status in {Status.INVALID, Status.DUPLICATE}:
            return
        self.canary -= 1
        if not outcome.good:
            what = f"{'/'.join(outcome.task)} is {outcome.status}: {outcome.code or outcome.message}"
            self._stopper.dispatcher.stop(
                CanaryError(
                    f"of the first {self._canary:,} tasks, which were sent alone, {what}. Nothing else was sent"
                )
            )

    def interrupt(self, signal_number: int) -> None:
        """End the run: the first time let the calls in flight finish, the second time cut them off."""
        if self._interrupted:
            self._stopper.dispatcher.cancel()
            return
        self._interrupted = True
        self._end(InterruptedRunError(signal_number), self._loop.time() + self._grace_seconds)

    def _end(self, error: StopcastError, cut_off_at: float) -> None:
        self.ending = self.ending or error
        self._stopper.dispatcher.stop(self.ending)
        if self._reading is not None:
            self._reading.cancel()
        self._timers.append(self._loop.call_at(cut_off_at, self._stopper.dispatcher.cancel))

    @property
    def reading(self) -> bool:
        """Whether the report is being read, before anything is sent."""
        return self._reading is not None and not self._reading.done()

    def summary(self) -> Summary:
        """Return the totals as they stand."""
        meter = self._stopper.meter
        return Summary(
            statuses=+self.past.statuses,
            calls=meter.calls,
            worst_second=meter.worst_second,
            mean_per_second=meter.mean_per_second,
            seconds=self._loop.time() - self._started_at,
            settled_earlier=self.intake.settled,
            left_out=self.intake.left_out,
            too_old=self.intake.too_old,
            asked=not self._stopper.action.changes,
            accounts=_figures(self._stopper) if isinstance(self._stopper, Router) else {},
            not_finished=self.intake.rows - self.intake.settled - self.intake.told_earlier - self.finished,
        )


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _figures(router: Router) -> dict[str, AccountFigures]:
    given_up = {name: str(error) for name, error in router.given_up.items()}
    return {
        name: AccountFigures(meter.calls, meter.worst_second, meter.mean_per_second, given_up.get(name))
        for name, meter in router.meter.by_account.items()
    }
