"""``stopcast enqueue``: the rows of lists into a queue, each task once."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from stopcast.cli.log_output import report_errors
from stopcast.cli.options.option import option
from stopcast.cli.options.queue import options_of_run, queue_option
from stopcast.cli.output import EXIT_BAD_ROWS, EXIT_GOOD, log, write_stdout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from stopcast.tasks.outcome import Outcome
    from stopcast.tasks.task import Task

_SHARED: Final = ("tasks", "form", "columns", "only", "limit", "as_json", "quiet", "log_format")
_INVALID_SHOWN: Final = 10
#: Tasks put in between two looks at the list.
_AT_ONCE: Final = 500


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@options_of_run(["tasks"])
@queue_option
@option("--again", is_flag=True, help="Also what was put in within the last day or two.")
@option(
    "--max-length",
    type=click.IntRange(1),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="Wait while the queue holds so many tasks.",
)
@options_of_run(set(_SHARED) - {"tasks"})
@report_errors
def enqueue(tasks: tuple[str, ...], *, queue: str, **options: Any) -> None:
    """Put the tasks of these lists into a queue, for workers to stop; - is standard input.

    A task that was put in within the last day (two at most) is not put in again, unless it ended badly meanwhile. So
    after an error, whatever it was, the same command may be run again: nothing is lost and nothing doubled.

    Exit status: 0 every task is in the queue, or had been put in before; 1 some rows name no task; 2 wrong usage, or a
    list that cannot be read; 3 the queue cannot be used.
    """
    if not tasks and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("name a list, or pipe one into standard input")
    from stopcast.cli.running import wakeup

    sys.exit(wakeup.run(_Enqueuing(_Options(tasks=tasks or ("-",), queue=queue, **options)).run()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    tasks: tuple[str, ...]
    queue: str
    again: bool
    max_length: int
    form: str
    columns: str | None
    only: str | None
    limit: int | None
    as_json: bool
    quiet: bool
    log_format: str
    report: str = ""


class _Enqueuing:
    def __init__(self, options: _Options) -> None:
        from stopcast.tasks.intake import Intake

        self._options = options
        self._intake = Intake(limit=options.limit)
        self._new = self._known = 0
        self._invalid: list[Outcome] = []

    async def run(self) -> int:
        from stopcast.errors import QueueError
        from stopcast.fleet.queue import RedisQueue

        options = self._options
        async with RedisQueue(options.queue, max_length=options.max_length, on_full=self._tell_full) as queue:
            try:
                async for tasks in self._tasks():
                    put = await queue.put(tasks, again=options.again)
                    self._new += put.new
                    self._known += put.known
                length = (await queue.status()).length
            except QueueError as error:
                error.add_note(f"{self._new:,} tasks were put in. Run the same again: nothing is doubled.")
                raise
        self._tell(queue.name, length)
        return EXIT_BAD_ROWS if self._intake.invalid else EXIT_GOOD

    async def _tasks(self) -> AsyncGenerator[list[Task], None]:
        from contextlib import aclosing

        from stopcast.cli.lists import Lists
        from stopcast.tasks.outcome import Status

        tasks: list[Task] = []
        async with aclosing(Lists.of(self._options).batches()) as batches:
            async for batch in batches:
                taken = self._intake.take(batch, 0.0)
                tasks += [row.task for row in taken.accepted]
                if len(self._invalid) < _INVALID_SHOWN:
                    self._invalid += [outcome for outcome in taken.outcomes if outcome.status is Status.INVALID]
                if len(tasks) >= _AT_ONCE or batch.source == "-":
                    yield tasks
                    tasks = []
                if self._intake.full:
                    break
        yield tasks

    def _tell_full(self) -> None:
        if not self._options.quiet:
            log(f"The queue holds {self._options.max_length:,} tasks; waiting for its workers.", event="queue_full")

    def _tell(self, name: str, length: int) -> None:
        import orjson

        from stopcast.cli.display import messages

        intake = self._intake
        counts = {
            "rows": intake.rows,
            "queued": self._new,
            "queued_before": self._known,
            "duplicates": intake.duplicates,
            "invalid": intake.invalid,
            "left_out": intake.left_out,
            "length": length,
        }
        if not self._options.quiet:
            words = messages.enqueued(counts, self._invalid[:_INVALID_SHOWN], name)
            log(words, event="enqueued", counts=counts)
        if self._options.as_json:
            write_stdout(orjson.dumps(counts))
