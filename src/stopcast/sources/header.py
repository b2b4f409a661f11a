"""Where the rows of a table begin: its header, or the first row where it has none. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from stopcast.errors import ListError
from stopcast.sources.columns import IDS, IN_ORDER, KEYS, SPACES, Columns, Places, is_whole, shown
from stopcast.sources.names import are_names, is_decoration, may_be_names
from stopcast.tasks.task import ID_PATTERN

#: The rows in which a header is looked for. A title or two may stand above it.
HEADER_WITHIN: Final = 16
#: The name of a column that ``names`` does not know has at least this many letters.
_NAME_LETTERS: Final = 3
_NUMBER: Final = re.compile(r"\d+$")
#: The most cells of a title row.
_TITLE_CELLS: Final = 2


@dataclass(frozen=True, slots=True)
class Header:
    """Where the ids of a table stand.

    Attributes:
        width: the number of columns.
        places: of the three ids.
        named: whether a row of the list names the columns.
        above: rows above that row, which are titles and the like.
    """

    width: int
    places: Places
    named: bool = True
    above: int = 0


def named_header(cells: Sequence[str], columns: Columns) -> Header | None:
    """Return the header that this row is, None where it does not name the three columns.

    Raises:
        ListError: it names one of them twice.
    """
    app, room, task = columns.places(cells)
    if app is None or room is None or task is None:
        return None
    return Header(len(cells), (app, room, task))


def start_of(rows: Sequence[Sequence[str]], columns: Columns, *, ended: bool) -> Header | ListError | None:
    """Return where the rows of a table begin: its header, or the columns in the API's order where it has none.

    Args:
        rows: the first ones that are not blank.
        columns: what the user calls the columns.
        ended: whether no row follows these.

    Returns:
        An error that says what is wrong with the first row; None where that depends on rows that are still to come.
    """
    titles = 0
    for number, row in enumerate(rows[:HEADER_WITHIN]):
        cells = [cell.strip(SPACES) for cell in row]
        start = _start_at(cells, columns, number)
        if start is not None:
            return start
        if number == 0 and _may_be_a_row(cells):
            return _without_header(rows, columns, ended=ended)
        if not _may_be_a_title(cells):
            break
        titles += 1
    if titles == len(rows) < HEADER_WITHIN and not ended:
        return None
    return _no_header(rows[0], columns)


def _start_at(cells: Sequence[str], columns: Columns, above: int) -> Header | ListError | None:
    """Return the header that this row is, or what is wrong with it; None where it is none."""
    if (places := columns.by_place) is not None:
        return _start_by_place(cells, places)
    try:
        header = named_header(cells, columns)
    except ListError as error:
        return error
    if header is not None:
        return replace(header, above=above)
    return _no_header(cells, columns) if any(columns.every_place(cells)) else None


def _may_be_a_title(cells: Sequence[str]) -> bool:
    return sum(map(bool, cells)) <= _TITLE_CELLS or cells[0].startswith("#") or is_decoration(cells)


def _start_by_place(cells: Sequence[str], places: Places) -> Header | ListError:
    if max(places) >= len(cells):
        return ListError(
            f"--columns names column {max(places) + 1}, and the first row has {len(cells)}: {shown(cells)}"
        )
    ids = [cells[place] for place in places]
    named = are_names(ids) or not any(map(ID_PATTERN.fullmatch, ids))
    return Header(len(cells), places, named=named)


def _may_be_a_row(cells: Sequence[str]) -> bool:
    return len(_without_blank_end(cells)) == IDS and all(map(ID_PATTERN.fullmatch, cells[:IDS]))


def _without_blank_end(cells: Sequence[str]) -> Sequence[str]:
    end = len(cells)
    while end and not cells[end - 1]:
        end -= 1
    return cells[:end]


def _without_header(rows: Sequence[Sequence[str]], columns: Columns, *, ended: bool) -> Header | ListError | None:
    """Decide whether a first row that can be a task is one, or a header with other names."""
    cells = [cell.strip(SPACES) for cell in rows[0]]
    if columns != Columns() or may_be_names(cells[:IDS]):
        return _no_header(cells, columns)
    stems = _stems(cells)
    if all(Columns().every_place(stems)):
        if len(rows) == 1 and not ended:
            return None
        # Numbered names, such as app_id_1, and not ids that a person made up.
        if Columns().places(stems) != IN_ORDER or (len(rows) > 1 and _stems(rows[1]) != stems):
            return _no_header(cells, columns)
    if all(len(cell) >= _NAME_LETTERS and not _has_digit(cell) for cell in cells[:IDS]):
        if len(rows) == 1 and not ended:
            return None
        # Names, and below them ids.
        if len(rows) > 1 and any(map(_has_digit, rows[1][:IDS])):
            return _no_header(cells, columns)
    return Header(len(cells), IN_ORDER, named=False)


def _stems(cells: Sequence[str]) -> Sequence[str]:
    """Return the cells without a number at their ends."""
    return [_NUMBER.sub("", cell.strip(SPACES)) for cell in cells[:IDS]]


def _has_digit(cell: str) -> bool:
    return any(map(str.isdecimal, cell))


def _no_header(row: Sequence[str], columns: Columns) -> ListError:
    """Return the error about a first row, which shows it and says what to type."""
    names = [cell.strip(SPACES) for cell in row]
    places = columns.places(names)
    missing = [name for name, place in zip(columns.names, places, strict=True) if place is None]
    if len(missing) == IDS and not all(map(is_whole, names)):
        return ListError(
            f"the first row is not UTF-8, and names no column that is known: {shown(names)}. Name the encoding of the "
            f"list, such as --encoding gb18030, and its columns: --columns app=NAME,room=NAME,task=NAME"
        )
    if len(missing) < IDS or columns != Columns():
        unnamed = (key for key, place in zip(KEYS, places, strict=True) if place is None)
        return ListError(
            f"the header has no {' and no '.join(missing)}; it has {shown(names)}. "
            f"Name the columns to use: --columns {','.join(f'{key}=NAME' for key in unnamed)}"
        )
    if len(_without_blank_end(names)) == IDS:
        return ListError(
            f"the first row is neither a header with AppId, RoomId, TaskId nor a task: {shown(names)}. "
            f"Name the columns to use: --columns app=NAME,room=NAME,task=NAME, or their places: "
            f"--columns app=1,room=2,task=3"
        )
    return ListError(
        f"the first row is not a header with {', '.join(missing)}, and a list without a header must have "
        f"{IDS} columns, not {len(names)}: {shown(names)}. "
        "Name the columns to use: --columns app=NAME,room=NAME,task=NAME, or their places: "
        "--columns app=1,room=2,task=3; where the fields are cut wrongly: --delimiter C"
    )
