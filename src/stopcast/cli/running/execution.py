"""Executes a job: opens what its run needs, makes the calls, and runs the verification that follows."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Container
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stopcast.accounts.router import Router
from stopcast.cli import event_loop
from stopcast.cli.display import messages
from stopcast.cli.display.attempt_stats import AttemptStats
from stopcast.cli.display.monitor import RunMonitor
from stopcast.cli.display.next_commands import resume_command
from stopcast.cli.display.progress import Progress, screen_for
from stopcast.cli.errors import give_up
from stopcast.cli.lists.beginning import begun
from stopcast.cli.lists.exclusions import read_exclusions
from stopcast.cli.lists.remaining import rows_expected
from stopcast.cli.options import Options
from stopcast.cli.output import EXIT_GIVEN_UP, EXIT_USAGE, log, write_json
from stopcast.cli.running.answer_watch import AnswerWatch
from stopcast.cli.running.checks import check_start
from stopcast.cli.running.ending import Ended, conclude
from stopcast.cli.running.facts import log_opening, shown_facts
from stopcast.cli.running.guards import confirms_deadline, confirms_plan
from stopcast.cli.running.job import RunJob
from stopcast.cli.running.keys import keys_for
from stopcast.cli.running.metrics import metrics
from stopcast.cli.running.open_files import calls_within_limit
from stopcast.cli.running.session import Session
from stopcast.cli.running.steering import Steering
from stopcast.cli.running.targets import MakeCalls, ObserversOf, Target, find_target, shared_quotas
from stopcast.cli.running.verification import missing_report
from stopcast.cli.signals import Signals
from stopcast.cli.standard_streams import OutputError
from stopcast.cli.user import User
from stopcast.errors import InterruptedRunError, ReportExistsError, StopcastError
from stopcast.fleet.connection import without_secrets
from stopcast.i18n import _, duration
from stopcast.report.opening import is_file, is_terminal, recognising
from stopcast.run import Run
from stopcast.sources.chunks import STANDARD_INPUT
from stopcast.stopper.task_calls import TaskCalls

if TYPE_CHECKING:
    from stopcast.cli.display.screen import Screen


def execute(job: RunJob) -> int:
    """Run the job, print its summary, and return the exit status.

    Raises:
        SystemExit: with the exit status of the error that ended the job early.
    """
    with Signals() as signals:
        ended = event_loop.run_with_own_signals(run_job(job, User(job.options.output), signals))
    error = ended.error
    if job.options.output.as_json and ended.summary is not None:
        try:
            # After a signal the command ends, whether the summary's reader takes it or not.
            write_json(ended.summary, patience_seconds=None if signals.number is None else 1.5)
        except OutputError as output_error:
            if error is None:
                give_up(output_error)
            error.add_note(str(output_error))
    if error is not None:
        give_up(
            error,
            log_totals=ended.log_totals,
            advice=ended.advice,
            resume_with=ended.resume_with,
            from_stdin=STANDARD_INPUT in job.options.lists.tasks,
        )
    return ended.status


async def run_job(job: RunJob, user: User, signals: Signals) -> Ended:
    """Run the job, and its verification, and return how it ended.

    Raises:
        StopcastError: the job could not begin.
    """
    signals.cancel_task()
    ended: Ended | None = None
    try:
        async with AsyncExitStack() as stack:
            stack.callback(job.lists.close)
            try:
                ended = await _run_both(Session.begin(user, signals, stack), job)
            finally:
                # However it ended, what is left is to close what was opened.
                signals.shorten_closing(job.options.calls.grace_seconds)
    except asyncio.CancelledError:
        if signals.number is None:
            raise
        error = InterruptedRunError(signals.number)
        return ended or Ended(None, EXIT_GIVEN_UP, error, advice=_("Nothing was sent."))
    finally:
        signals.closed()
    return ended


async def _run_both(session: Session, job: RunJob) -> Ended:
    """Run the job, and then its verification."""
    options, stack = job.options, session.stack
    try:
        await check_start(options, job.calls.action)
    except ReportExistsError as error:
        can_continue = is_file(options.report.path)
        return Ended(None, EXIT_USAGE, error, resume_with=resume_command() if can_continue else None)
    excluded = await read_exclusions(options.lists, report=options.report.path)
    target = await find_target(options, stack)
    most = calls_within_limit(
        options.calls.max_at_once,
        sockets_per_call=2 if options.calls.sandbox else 1,
        accounts=len(target.accounts),
    )
    make_calls = await target.open_limiters(job.calls, _bounded(options, most), stack)
    confirmed = await confirms_deadline(options.guards, session.user)
    if job.ask and confirmed:
        confirmed = await confirms_plan(options, job.lists, target, session.user, excluded)
    if not confirmed:
        log("Nothing was sent.", event="not_confirmed")
        return Ended(None, EXIT_GIVEN_UP)
    ended = await _run_one(session, job, target, make_calls, excluded=excluded)
    # The report of a run over nothing is removed.
    if job.verification is None or ended.error is not None or ended.summary is None or not ended.summary["rows"]:
        return ended
    session.signals.cancel_task()
    try:
        return await _verify(session, job, job.verification, ended, target, most=most)
    except StopcastError as error:
        return replace(ended, error=error)
    except asyncio.CancelledError:
        if (number := session.signals.number) is None:
            raise
        return replace(ended, error=InterruptedRunError(number), resume_with=resume_command())


async def _verify(
    session: Session, job: RunJob, verification_job: Callable[[], RunJob], ended: Ended, target: Target, *, most: int
) -> Ended:
    """Run the verification of a job that has ended, and return how both ended.

    Raises:
        StopcastError: the verification could not begin.
    """
    if job.verify_after_seconds >= 1:
        text = _("In {duration} the API is asked whether they ended.", duration=duration(job.verify_after_seconds))
        session.user.log(text, event="verification_planned")
    path = job.options.report.path
    with recognising(path) as is_same:
        await asyncio.sleep(job.verify_after_seconds)
        if not (ended.has_report and is_same()):
            raise missing_report(path)
    verification = verification_job()
    make_calls = await target.open_limiters(verification.calls, _bounded(verification.options, most), session.stack)
    verified = await _run_one(session, verification, target, make_calls)
    summary = {**(ended.summary or {}), "verify": verified.summary}
    return replace(verified, summary=summary, status=max(ended.status, verified.status))


def _bounded(options: Options, most: int) -> Options:
    return replace(options, calls=replace(options.calls, max_at_once=min(options.calls.max_at_once, most)))


async def _run_one(
    session: Session,
    job: RunJob,
    target: Target,
    make_calls: MakeCalls,
    *,
    excluded: Container[bytes] = frozenset(),
) -> Ended:
    """Run the job alone: open what it needs, make the calls, and conclude."""
    options, user, stack = job.options, session.user, session.stack
    run: Run | None = None

    def expected() -> float:
        return math.nan if run is None else rows_expected(run, job.lists.rows_left(), limit=options.lists.limit)

    observers_of = await _open_metrics(session, job, target, expected)
    attempts = AttemptStats()
    stopper = make_calls(lambda account: (*observers_of(account), attempts.observe))
    await stack.enter_async_context(stopper)
    run = await _open_run(session, job, stopper, excluded)
    error: StopcastError | None = None
    async with AsyncExitStack() as block:
        rows = await block.enter_async_context(aclosing(job.rows(run)) if job.deliveries else begun(job.rows(run)))
        # Not before: lists and a queue that cannot be used are refused without any sign of a start.
        screen = _show_opening(user, job, target)
        steering = Steering(
            stopper, user, session.signals.end_now, options.guards.control, ending=lambda: run.ending is not None
        )
        watch = AnswerWatch(run, stopper, attempts, give_up_seconds=options.guards.give_up_unanswered)
        watching = session.supervisor.start(watch.watch(), name="watch over the answers")
        showing = Progress(RunMonitor(run, stopper, job.lists, attempts, options, steering=steering), screen)

        def end(number: int, first: bool) -> None:
            in_flight = stopper.dispatcher.in_flight
            run.interrupt(number)
            if first:
                steering.log_end()
            elif in_flight:
                text = messages.cut_off(in_flight, asked=not job.calls.action.stops_tasks)
                user.log(text, event="calls_cut_off", calls=in_flight)
            showing.show_change()

        session.signals.hand_over(end, steering.receive)
        block.enter_context(keys_for(steering, showing, screen, options.lists.tasks))
        if not options.output.quiet:
            await block.enter_async_context(showing)
        await block.enter_async_context(steering.following(session.supervisor))
        try:
            await run.stop_lists(rows)
        except StopcastError as caught:
            error = caught
    await session.supervisor.end(watching)
    watch.warn_of_ids()
    return conclude(run, job, user, error or watch.all_apps_refused, no_such_task_only=watch.no_such_task_only)


async def _open_metrics(session: Session, job: RunJob, target: Target, expected: Callable[[], float]) -> ObserversOf:
    """Return what makes an account's observers; ``expected`` returns how many rows the lists of the run hold."""
    options = job.options
    return await session.stack.enter_async_context(
        metrics(
            options.metrics,
            session.user,
            session.supervisor,
            by_account=options.calls.accounts is not None,
            queues=job.queues,
            quotas=shared_quotas(target, options.calls, job.calls.action.name),
            rows_expected=None if job.deliveries else expected,
        )
    )


def _show_opening(user: User, job: RunJob, target: Target) -> Screen | None:
    """Return the screen that shows the run, or log what it does where there is none."""
    options, stops_tasks = job.options, job.calls.action.stops_tasks
    lists = messages.list_names(options.lists.tasks or [without_secrets(queue) for queue in job.queues])
    doing = _("Stopping {lists}", lists=lists) if stops_tasks else _("Asking about {lists}", lists=lists)
    screen = None
    # The lines of a report on the terminal and the drawing would overwrite each other.
    if not is_terminal(options.report.path):
        screen = screen_for(options.output, doing=doing, facts=shown_facts(target, options.calls))
    if (deadline := options.guards.until) is not None and (screen is not None or options.output.log_format == "json"):
        user.log(messages.until(deadline.left_seconds), event="deadline")
    if screen is None:
        log_opening(user, target, options, doing=doing, stops_tasks=stops_tasks)
    return screen


async def _open_run(session: Session, job: RunJob, stopper: TaskCalls | Router, excluded: Container[bytes]) -> Run:
    """Return the run, which a background task that fails ends."""
    options, user = job.options, session.user
    deadline = options.guards.until
    run = Run(
        stopper,
        Path(options.report.path),
        resume=options.report.resume,
        limit=options.lists.limit,
        grace_seconds=options.calls.grace_seconds,
        canary=options.guards.canary or 0,
        # The event loop's clock is monotonic too, but need not be the same.
        ends_at=None if deadline is None else asyncio.get_running_loop().time() + deadline.left_seconds,
        deliveries=await session.stack.enter_async_context(job.deliveries(user)) if job.deliveries else None,
        sandbox=options.calls.sandbox,
        excluded=excluded,
    )
    run.canary.when_passed(
        lambda tasks: user.log(messages.canary_passed(tasks), event="canary_passed", tasks=tasks),
    )
    session.failure.add_done_callback(lambda failure: run.end(failure.result()))
    return run
