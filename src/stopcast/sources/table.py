"""Rows out of the cells of a table, whatever it is written in: what is a header, and which cells are the ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from stopcast.errors import ListError
from stopcast.marking import N_
from stopcast.sources.columns import SPACES, Columns
from stopcast.sources.header import Header, named_header
from stopcast.sources.names import are_types, is_decoration, looks_like_a_name
from stopcast.tasks.task import ID_PATTERN

HEADER_AGAIN: Final = N_("the header again")
_OTHER_HEADER: Final = N_("a header with other columns; the rows below it are read by it")
_UNKNOWN_HEADER: Final = N_("a header with other names; the rows below it cannot be read")
_JOINED: Final = N_("a row and a header that were joined without a line end between them")
_JOINED_OTHER: Final = N_(
    "a row and a header with other columns that were joined without a line end between them; the rows below it cannot "
    "be read"
)
_BELOW_IT: Final = N_("below a header with other names")
_SHIFTED: Final = N_(
    "one field more than the header, and the last one is empty: either the first one is the row's number, as R writes "
    "it without a name in the header, or the last delimiter is stray"
)
_APPS_KEPT: Final = 4096
#: Other names for the three columns, among names only.
_SHORT: Final = Columns("app", "room", "task")

Ids = tuple[Any, Any, Any]


class Table:
    """Reads the rows of one table. A later row that is a header says how the rows below it are read.

    Args:
        header: of the table.
        columns: what the user calls the columns.

    Attributes:
        header: of the next row.
    """

    def __init__(self, header: Header, columns: Columns) -> None:
        self.header = header
        self._columns = columns
        self._after_header = header.named
        self._unreadable = False

    @property
    def is_plain(self) -> bool:
        """Whether the next row is read by the header, as the rows before it were."""
        return not (self._after_header or self._unreadable)

    def row(self, cells: Sequence[Any]) -> Ids | str | None:
        """Return the ids of a row, why it is broken, or None for what is no row. A missing cell's value is None."""
        texts = [cell.strip(SPACES) if isinstance(cell, str) else "x" for cell in cells if cell is not None]
        if not any(texts) or (len(texts) == 1 and texts[0].isspace()):
            return None
        ids = self.ids(cells)
        if self._after_header or len(cells) < self.header.width:
            # A row of types, of dashes, or a border may stand below the header; a footer at the end.
            if is_decoration(texts) or (self._after_header and not isinstance(ids, str) and are_types(ids)):
                return None
            self._after_header = False
        is_odd = isinstance(ids, str) or any(map(looks_like_a_name, ids))
        if is_odd and (reason := self._why_header(cells, ids)) is not None:
            return reason
        return _BELOW_IT if self._unreadable else ids

    def ids(self, cells: Sequence[Any]) -> Ids | str:
        """Return the three ids, with None for each missing cell; or why it is not clear which cells they are."""
        width = self.header.width
        if len(cells) > width and any(cell.strip(SPACES) if isinstance(cell, str) else cell for cell in cells[width:]):
            return N_("{fields} fields in {width} columns").format(fields=len(cells), width=width)
        if len(cells) == width + 1 and self._may_be_shifted(cells):
            return _SHIFTED
        app, room, task = (_stripped(cells[place]) if place < len(cells) else None for place in self.header.places)
        return app, room, task

    def task(self, cells: Sequence[Any]) -> Ids | None:
        """Return the ids if they can name a task."""
        ids = self.ids(cells)
        if isinstance(ids, str) or not all(ID_PATTERN.fullmatch(id_ or "") for id_ in ids):
            return None
        return ids

    def _may_be_shifted(self, cells: Sequence[Any]) -> bool:
        """Return whether a row with an empty field more than the header may have its number before the first one.

        R writes the numbers of rows so, without a name in the header.
        """
        number, *shifted = (cell.strip(SPACES) if isinstance(cell, str) else "" for cell in cells)
        return number.isdecimal() and all(ID_PATTERN.fullmatch(shifted[place]) for place in self.header.places)

    def _why_header(self, cells: Sequence[Any], ids: Ids | str) -> str | None:
        """Return why a row is broken that is a further header, None for any other row.

        The lists that were concatenated may have their columns in another order.
        """
        texts = [cell.strip(SPACES) if isinstance(cell, str) else "" for cell in cells]
        if (reason := self._why_joined(texts)) is not None:
            return reason
        try:
            header = named_header(texts, self._columns)
        except ListError:
            header = None
        if header is not None:
            again = (header.width, header.places) == (self.header.width, self.header.places) and not self._unreadable
            self.header, self._after_header, self._unreadable = header, True, False
            return HEADER_AGAIN if again else _OTHER_HEADER
        if isinstance(ids, str) or not all(map(looks_like_a_name, ids)):
            return None
        if self._columns.by_place is not None:
            return HEADER_AGAIN
        self._unreadable = True
        return _UNKNOWN_HEADER

    def _why_joined(self, cells: Sequence[str]) -> str | None:
        """Return why a row is broken that goes on with the header of a further list, None for any other row.

        The last field of the row and the first name are one cell then.
        """
        width = self.header.width
        further = cells[width:]
        names = Columns() if self._columns.by_place is not None else self._columns
        places = names.every_place(further)
        if not any(places) and not (any(_SHORT.every_place(further)) and all(map(looks_like_a_name, further))):
            return None
        same = len(further) == width - 1 and all(
            place == 0 or place - 1 in found for place, found in zip(self.header.places, places, strict=True)
        )
        self._unreadable = self._unreadable or not same
        return _JOINED if same else _JOINED_OTHER


class KnownApps:
    """Finds rows that look like a header among many, at next to no cost: of one AppId only the first row is read."""

    def __init__(self) -> None:
        self._apps: set[str] = set()

    def are_no_names(self, ids: Sequence[Sequence[Any]]) -> bool:
        """Return whether no row has an id that looks like a name. Rows are given by column."""
        try:
            if self._apps.issuperset(ids[0]):
                return True
            fresh = set(ids[0]) - self._apps
        except TypeError:  # not even strings
            return False
        for app in fresh:
            at = ids[0].index(app)
            if any(looks_like_a_name(column[at]) for column in ids):
                return False
        if len(self._apps) > _APPS_KEPT:
            self._apps.clear()
        self._apps |= fresh
        return True


def _stripped(cell: Any) -> Any:
    return cell.strip(SPACES) if isinstance(cell, str) else cell
