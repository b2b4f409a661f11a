"""The sentences about lists: how each was understood, what may be wrong with its rows, and which are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stopcast.i18n import _, ngettext, translate
from stopcast.tasks.task import ID_NAMES

if TYPE_CHECKING:
    from stopcast.cli.lists import Beginning
    from stopcast.tasks.intake import Intake
    from stopcast.tasks.outcome import Outcome

_VALUE_CHARACTERS = 40
#: The rows that name no task are shown up to this many.
INVALID_SHOWN = 10


def understood(beginning: Beginning) -> Iterator[str]:
    """Yield how a list was read, and its first row as it was understood."""
    how = beginning.understood
    name = _("standard input") if beginning.name == "-" else beginning.name
    form = how.form.upper() if how.delimiter in {None, "\t"} else f"{how.form.upper()} ({how.delimiter})"
    read_as = " + ".join([form, translate(how.encoding), *how.compressions])
    if how.is_report:
        yield _("{name}: an earlier report", name=name)
    elif how.sheet is not None:
        yield _("{name}: an Excel workbook, sheet {sheet}", name=name, sheet=how.sheet)
    elif how.header_line is not None:
        yield _("{name}: read as {form}, header on line {line}", name=name, form=read_as, line=how.header_line)
    elif how.no_header:
        yield _("{name}: read as {form}, no header: columns taken as AppId, RoomId, TaskId", name=name, form=read_as)
    else:
        yield _("{name}: read as {form}", name=name, form=read_as)
    if (row := beginning.first_row) is not None:
        app_id, room_id, task_id = map(_shown, row[:3])
        yield "  " + _(
            "first row: AppId {app_id}, RoomId {room_id}, TaskId {task_id}",
            app_id=app_id, room_id=room_id, task_id=task_id,
        )  # fmt: skip


def as_json(beginning: Beginning) -> dict[str, Any]:
    """Return how a list was read, as a program reads it."""
    how, row = beginning.understood, beginning.first_row
    return {
        "list": beginning.name,
        "format": how.form,
        "report": how.is_report,
        "compression": list(how.compressions),
        "encoding": how.encoding,
        "line_ends": how.line_ends,
        "delimiter": how.delimiter,
        "sheet": how.sheet,
        "header_line": how.header_line,
        "first_row": None if row is None else dict(zip(ID_NAMES, map(_shown, row[:3]), strict=True)),
    }


def warnings(intake: Intake, *, unused_exclusions: bool) -> Iterator[str]:
    """Yield warnings about ids that a program may have changed, and about exclusions that excluded nothing."""
    if number := intake.numbers:
        yield ngettext(
            "1 row has a number as an id: a spreadsheet may have removed zeros at its beginning",
            "{number:,} rows have a number as an id: a spreadsheet may have removed zeros at its beginning",
            number,
        )
    if number := intake.rounded:
        yield ngettext(
            "1 row has an id such as 1001.0, which a program may have made of 1001",
            "{number:,} rows have an id such as 1001.0, which a program may have made of 1001",
            number,
        )
    if unused_exclusions:
        yield _("--except excluded no row: the lists name none of its tasks. Compare its ids with those of the lists")


def _shown(value: object) -> str:
    text = "" if value is None else str(value).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _VALUE_CHARACTERS else text[:_VALUE_CHARACTERS] + "…"


def invalid_rows(first: Sequence[Outcome], number: int) -> Iterator[str]:
    """Yield a line for each of the first rows that name no task, and one with the number of the others."""
    shown = first[:INVALID_SHOWN]
    for outcome in shown:
        place = f"{outcome.source}:{outcome.line}"
        yield "  " + _("{place}: {message}", place=place, message=outcome.message)
    if (rest := number - len(shown)) > 0:
        yield "  " + _("and {number:,} more", number=rest)


def left_out(number: int, not_chosen: int) -> Iterator[str]:
    """Yield why rows of an earlier report are left out; ``not_chosen`` of them only because of ``--only``."""
    if needless := number - not_chosen:
        yield ngettext(
            "1 row left out: an earlier report says that it needs nothing, or names no task of its own",
            "{number:,} rows left out: an earlier report says that they need nothing, or name no task of their own",
            needless,
        )
    if not_chosen:
        yield ngettext(
            "1 row left out: it has another status than --only names",
            "{number:,} rows left out: they have other statuses than --only names",
            not_chosen,
        )
