"""``stopcast enqueue``: puts the rows of lists into a queue, each task once."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from stopcast.cli.errors import report_errors
from stopcast.cli.options import ListOptions, OutputOptions
from stopcast.cli.options.option import Whole, option, queue_option, takes
from stopcast.cli.output import EXIT_BAD_ROWS, EXIT_GOOD, log, write_json
from stopcast.cli.standard_streams import can_be_typed_on
from stopcast.cli.user import User
from stopcast.errors import InterruptedRunError
from stopcast.i18n import _, ngettext

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from stopcast.cli.lists import Lists
    from stopcast.fleet.queue import RedisQueue
    from stopcast.tasks.intake import Accepted, Intake
    from stopcast.tasks.outcome import Outcome

#: Rows whose tasks are put into the queue at once.
_BATCH_TASKS: Final = 500


@click.command()
@click.argument("tasks", nargs=-1, type=click.Path(readable=False), metavar="[TASKS]...")
@queue_option()
@option("--dead-letters", is_flag=True, help="The queue's dead letters, instead of lists.")
@option("--again", is_flag=True, help="Also tasks that were put in within the last day or two.")
@option(
    "--max-length",
    type=Whole(1),
    default=1_000_000,
    metavar="N",
    help="Wait while the queue holds N tasks.",
)
@takes("lists", ListOptions)
@takes("output", OutputOptions, without=("verbose",))
@report_errors
def enqueue(
    tasks: tuple[str, ...],
    *,
    queue: str,
    dead_letters: bool,
    again: bool,
    max_length: int,
    lists: ListOptions,
    output: OutputOptions,
) -> None:
    """Put the tasks of these lists into a queue, for workers to stop; - is standard input.

    A task that was put in within the last day (two at most) is not put in again, unless it ended badly since. So after
    any error the same command may be run again: no task is lost, and none is put in twice.

    With --dead-letters the tasks that were delivered too often go back into the queue, in doubt.

    Exit status: 0 every task is in the queue, or had been put in before; 1 some rows name no task; 2 wrong usage, or a
    list that cannot be read; 3 the queue cannot be used.
    """
    from stopcast.cli import event_loop

    if dead_letters:
        if tasks:
            raise click.UsageError("--dead-letters takes no list")
        try:
            sys.exit(event_loop.run(_put_dead_letters_back(queue, output)))
        except InterruptedRunError as error:
            text = _(
                "stopcast: interrupted. Some dead letters may be back in the queue. For the others run the same "
                "command again: none is put back twice."
            )
            log(text, event="interrupted")
            sys.exit(128 + error.signal_number)
    if not tasks and can_be_typed_on():
        raise click.UsageError("name a list, or pipe one into standard input")
    lists = replace(lists, tasks=tasks or ("-",))
    counts = {"rows": 0, "queued": 0, "queued_before": 0}
    try:
        sys.exit(event_loop.run(_put_lists(lists, queue, output, counts, again=again, max_length=max_length)))
    except InterruptedRunError as error:
        log(_interrupted(counts["queued"]), event="interrupted", queued=counts["queued"])
        sys.exit(128 + error.signal_number)


def _interrupted(queued: int) -> str:
    # The batch in hand may be in the queue as well.
    return ngettext(
        "stopcast: interrupted. At least 1 task was put in. For the others run the same command again: no task is put "
        "in twice.",
        "stopcast: interrupted. At least {number:,} tasks were put in. For the others run the same command again: no "
        "task is put in twice.",
        queued,
    )


async def _put_dead_letters_back(url: str, output: OutputOptions) -> int:
    from stopcast.cli.display import queue_messages
    from stopcast.fleet.queue import RedisQueue

    async with RedisQueue(url) as queue:
        number = await queue.put_dead_letters_back()
    text = queue_messages.dead_letters_back(number, queue.name)
    User(output).log(text, event="dead_letters_back", queue=queue.name, number=number)
    if output.as_json:
        write_json({"dead_letters": number})
    return EXIT_GOOD


async def _put_lists(
    options: ListOptions, url: str, output: OutputOptions, counts: dict[str, int], *, again: bool, max_length: int
) -> int:
    from contextlib import aclosing

    from stopcast.cli.display import queue_messages
    from stopcast.cli.lists import Lists
    from stopcast.cli.lists.exclusions import read_exclusions
    from stopcast.errors import StopcastError
    from stopcast.fleet.queue import RedisQueue
    from stopcast.tasks.intake import Intake

    user = User(output)

    def log_full() -> None:
        user.log(f"The queue holds {max_length:,} tasks; waiting for its workers.", event="queue_full")

    lists = Lists.of(options)
    intake = Intake(limit=options.limit, excluded=await read_exclusions(options))
    invalid: list[Outcome] = []
    async with (
        RedisQueue(url, max_length=max_length, on_full=log_full) as queue,
        aclosing(_batches(lists, intake, invalid)) as batches,
    ):
        try:
            async for rows in batches:
                await _put(queue, rows, counts, again=again)
            length = (await queue.status()).length
        except StopcastError as error:
            text = ngettext(
                "1 task was put in. After you have fixed the cause, run the same command again: no task is put in "
                "twice.",
                "{number:,} tasks were put in. After you have fixed the cause, run the same command again: no task is "
                "put in twice.",
                counts["queued"],
            )
            error.add_note(text)
            raise
    counts |= _counts_of(intake) | {"length": length}
    user.log(queue_messages.enqueued(counts, invalid, queue.name), event="enqueued", counts=counts)
    if output.as_json:
        write_json(counts)
    return EXIT_BAD_ROWS if intake.invalid else EXIT_GOOD


def _counts_of(intake: Intake) -> dict[str, int]:
    return {
        "rows": intake.rows,
        "duplicates": intake.duplicates,
        "excluded": intake.excluded,
        "invalid": intake.invalid,
        "left_out": intake.left_out,
        "not_chosen": intake.not_chosen,
    }


async def _put(queue: RedisQueue, rows: Sequence[Accepted], counts: dict[str, int], *, again: bool) -> None:
    """Put rows into the queue, and count them."""
    for in_doubt in (False, True):
        tasks = [row.task for row in rows if row.in_doubt is in_doubt]
        put = await queue.put(tasks, again=again, in_doubt=in_doubt)
        counts["queued"] += put.new
        counts["queued_before"] += put.known


async def _batches(lists: Lists, intake: Intake, invalid: list[Outcome]) -> AsyncGenerator[list[Accepted], None]:
    """Yield the rows of the lists that name tasks, and collect the first invalid rows."""
    from contextlib import aclosing

    from stopcast.cli.display.list_messages import INVALID_SHOWN
    from stopcast.tasks.outcome import Status

    rows: list[Accepted] = []
    async with aclosing(lists.batches()) as batches:
        async for batch in batches:
            taken = intake.take(batch, 0.0)
            rows += taken.accepted
            if len(invalid) < INVALID_SHOWN:
                invalid += [outcome for outcome in taken.outcomes if outcome.status is Status.INVALID]
            # The next row of a pipe may come much later.
            if len(rows) >= _BATCH_TASKS or batch.source == "-":
                yield rows
                rows = []
            if intake.full:
                break
    yield rows
