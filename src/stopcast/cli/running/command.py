"""What ``stopcast run`` does: puts the parts together, and tells the person what happens."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import AsyncExitStack, aclosing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import click
import orjson

from stopcast.cli.display import messages
from stopcast.cli.display.gauges import Gauges, Looking
from stopcast.cli.display.next_commands import doctor_command, resume_command
from stopcast.cli.display.progress import Progress, screen_for
from stopcast.cli.lists import Lists
from stopcast.cli.lists.remaining import rows_to_do
from stopcast.cli.options.values import Options
from stopcast.cli.output import EXIT_BAD_ROWS, EXIT_GIVEN_UP, EXIT_GOOD, give_up, log, write_stdout
from stopcast.cli.running import wakeup
from stopcast.cli.running.metrics import metrics
from stopcast.cli.running.planning import make_plan
from stopcast.cli.running.steering import Steering, check_control_file
from stopcast.cli.running.targets import MakeCalls, Target, find_target, shared_quotas
from stopcast.cli.running.verifying import ask_again, check_verify_report, has_lines, verifying, worth_asking_about
from stopcast.errors import (
    ClockRefusedError,
    ConfigurationError,
    CredentialsRefusedError,
    EndpointError,
    InterruptedRunError,
    StopcastError,
    TimeIsUpError,
    TooManyFailuresError,
)
from stopcast.ports import Deliveries
from stopcast.run import Run
from stopcast.sources.chunks import STANDARD_INPUT, Chunks
from stopcast.stopper import Stopper, Verifier
from stopcast.stopper.task_calls import TaskCalls
from stopcast.tasks.task import Batch

#: A run of more tasks against a vendor's host is confirmed where there is somebody to ask.
_ASK_ABOVE = 100


def execute(options: Options) -> int:
    """Run, and return the status that tells the truth."""
    return wakeup.run(Command(options).run())


@dataclass(frozen=True, slots=True)
class _Part:
    """Some lists, and what the API is asked for each task of theirs."""

    options: Options
    calls: type[TaskCalls]
    lists: Lists

    @classmethod
    def of(cls, options: Options, calls: type[TaskCalls]) -> Self:
        """Check the words of the command line."""
        return cls(options, calls, Lists.of(options, None if calls.action.changes else worth_asking_about(time.time())))


class _Ended(NamedTuple):
    """How a part ended: what ``--json`` tells of it, the exit status, and what ended it early."""

    told: dict[str, Any] | None
    status: int
    error: StopcastError | None


class Command:
    """``stopcast run``; with ``Verifier`` for its calls ``stopcast verify``, which asks about the tasks instead."""

    def __init__(self, options: Options, calls: type[TaskCalls] = Stopper, *, queues: Collection[str] = ()) -> None:
        self._options = options
        self._queues = queues
        self._part = _Part.of(options, calls)
        self._lists = self._part.lists
        if options.verify:
            check_verify_report(options)
        self._run: Run | None = None
        self._steering: Steering | None = None
        self._main: asyncio.Task[object] | None = None
        self._ends_heard = 0
        self._interrupted_by: int | None = None

    async def run(self) -> int:
        """Do it, and return the exit status.

        Raises:
            SystemExit: with the exit status of what ended it early.
        """
        self._main = asyncio.current_task()
        # Not the loop's own handlers: it takes them away when it closes, and then one more signal is a traceback.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, partial(self._hear_end, loop))
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, partial(self._hear, loop, self._steer))
        # A terminal that is closed ends the run well, and a run under nohup goes on.
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            signal.signal(signal.SIGHUP, partial(self._hear_end, loop))
        try:
            async with AsyncExitStack() as stack:
                stack.callback(self._lists.close)
                return await self._call_all(stack)
        except asyncio.CancelledError:
            if self._interrupted_by is None:
                raise
            give_up(InterruptedRunError(self._interrupted_by))

    def _hear_end(self, loop: asyncio.AbstractEventLoop, number: int, frame: object) -> None:
        self._ends_heard += 1
        if self._ends_heard > 1:
            # The second cuts everything off. Those after it have nothing to end, and a rain of them would be all that
            # is heard.
            for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(each, signal.SIG_IGN)
        self._hear(loop, self._interrupt, number, frame)

    def _hear(self, loop: asyncio.AbstractEventLoop, act: Callable[[int], None], number: int, _frame: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(act, number)

    def _steer(self, number: int) -> None:
        if self._steering is not None:
            self._steering.hear(number)

    def _interrupt(self, number: int) -> None:
        first, self._interrupted_by = self._interrupted_by is None, number
        if self._run is not None:
            self._run.interrupt(number)
            if first and not self._options.quiet:
                log("Letting the calls in flight finish; a second signal cuts them off.", event="interrupting")
        elif self._main is not None:
            self._main.cancel()

    async def _call_all(self, stack: AsyncExitStack) -> int:
        _check_steering(self._options)
        target = await find_target(self._options, stack)
        make_calls = await target.limited(self._part.calls, self._options, stack)
        if not await self._agreed(target):
            log("Nothing was sent.", event="not_confirmed")
            return EXIT_GIVEN_UP
        ended = await self._call_part(self._part, stack, target, make_calls)
        if self._options.verify and ended.error is None and ended.told is not None:
            ended = await self._verify(ended.told, ended.status, stack, target)
        self._run = self._main = self._steering = None  # a signal has nothing to end any more
        if self._options.as_json and ended.told is not None:
            write_stdout(orjson.dumps(ended.told))
        if ended.error is not None:
            give_up(ended.error, resume_with=self._go_on_with() if ended.told is not None else None)
        return ended.status

    async def _verify(
        self,
        told: dict[str, Any],
        status: int,
        stack: AsyncExitStack,
        target: Target,
    ) -> _Ended:
        """Ask about the tasks of the report, once those stopped last have had the time to end."""
        if not has_lines(self._options.report):
            return _Ended(told, status, None)
        self._run = self._steering = None
        await asyncio.sleep(self._options.verify_after)
        part = _Part.of(verifying(self._options), Verifier)
        make_calls = await target.limited(part.calls, part.options, stack)
        after = await self._call_part(part, stack, target, make_calls)
        return _Ended({**told, "verify": after.told}, max(status, after.status), after.error)

    async def _call_part(self, part: _Part, stack: AsyncExitStack, target: Target, make_calls: MakeCalls) -> _Ended:
        options = part.options
        observers_of = await stack.enter_async_context(
            metrics(
                host=options.metrics_host,
                port=options.metrics_port,
                path=options.metrics_file,
                quiet=options.quiet,
                by_account=options.accounts is not None,
                queues=self._queues,
                quotas=shared_quotas(target, options, part.calls.action.name),
            )
        )
        screen = screen_for(options, doing="Stopping" if part.calls.action.changes else "Asking about")
        gauges = Gauges()
        stopper = make_calls(lambda account: (*observers_of(account), *((gauges.observe,) if screen else ())))
        await stack.enter_async_context(stopper)
        run = self._run = Run(
            stopper,
            Path(options.report),
            resume=options.resume,
            limit=options.limit,
            grace_seconds=options.grace,
            canary=options.canary or 0,
            # The event loop's clock is monotonic too, but need not be the same.
            ends_at=options.until and asyncio.get_running_loop().time() + options.until - time.monotonic(),
            deliveries=await self._deliveries(stack),
        )
        steering = self._steering = Steering(stopper, quiet=options.quiet)
        showing = Progress(Looking(run, stopper, part.lists, gauges, options), screen)
        error: StopcastError | None = None
        async with (
            nullcontext() if options.quiet else showing,
            aclosing(self._batches(part.lists, run)) as batches,
            steering.obeying(options.control),
        ):
            try:
                await run.stop_lists(batches)
            except StopcastError as caught:
                error = caught
        return _end(part, run, error)

    async def _deliveries(self, stack: AsyncExitStack) -> Deliveries | None:  # noqa: ARG002 - a worker's needs it
        """Return the queue, where the tasks come from one."""
        return None

    def _batches(self, lists: Lists, run: Run) -> AsyncGenerator[Batch, None]:  # noqa: ARG002 - a worker's needs it
        """Return where the rows come from."""
        return lists.batches()

    def _go_on_with(self) -> str | None:
        """Return the command that goes on after an early end."""
        return resume_command()

    async def _agreed(self, target: Target) -> bool:
        """Look at the lists beforehand where that was asked for, or where there is somebody to ask."""
        options = self._options
        if not self._part.calls.action.changes:
            return True
        somebody = sys.stdin is not None and sys.stdin.isatty()
        ask = somebody and not (options.yes or target.loopback or "-" in options.tasks)
        if options.expect is None and not ask:
            return True
        await self._lists.make_replayable()
        plan = await make_plan(options, self._lists)
        if not ask or plan.intake.tasks <= _ASK_ABOVE:
            return True
        log(str(plan), event="plan")
        return await self._confirm(f"Stop them at {target.hosts}?")

    async def _confirm(self, question: str) -> bool:
        # Not click's own question: that blocks the event loop, and with it the signals.
        click.echo(f"{question} [y/N]: ", nl=False, err=True)
        with Chunks(STANDARD_INPUT) as typed:
            answer = await typed.next()
        return (answer or b"").strip().lower() in {b"y", b"yes"}


def _check_steering(options: Options) -> None:
    if options.control is not None:
        check_control_file(options.control)
    if options.until is not None and options.until - time.monotonic() <= options.timeout:
        raise ConfigurationError(
            f"--until leaves no time: the last call is begun {options.timeout:g} s earlier, because it may take so "
            f"long (--timeout)"
        )


def _end(part: _Part, run: Run, error: StopcastError | None) -> _Ended:
    options, summary = part.options, run.summary()
    if run.past.torn_bytes and not options.quiet:
        torn = f"The report ended in {run.past.torn_bytes} bytes of a line that was not whole; they were cut off."
        log(torn, event="report_mended")
    if not options.quiet and (error is None or summary.calls or summary.statuses):
        log(messages.totals(summary, options.report), event="summary", summary=summary.as_json())
    if summary.bad and not options.quiet and not part.calls.action.changes:
        log(ask_again(options), event="not_ended")
    if isinstance(error, TooManyFailuresError):
        error.add_note(
            f"Look at the lines of {options.report} whose status is failed or gave_up. --resume sends the latter "
            f"again, and the former only if you name the report as a list."
        )
    if isinstance(error, TimeIsUpError):
        to_do = rows_to_do(run, part.lists.rows_left(), limit=options.limit)
        error.add_note(messages.left(to_do, unfinished=summary.not_finished))
    if isinstance(error, CredentialsRefusedError | ClockRefusedError | EndpointError):
        error.add_note(f"See what is wrong, and what to mend:\n  {doctor_command(options)}")
    status = EXIT_BAD_ROWS if summary.bad else EXIT_GOOD
    return _Ended(summary.as_json() if run.opened else None, status, error)
