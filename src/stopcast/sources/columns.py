"""Which of a list's columns, or of an object's keys, are the three ids; and where a table's rows begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from stopcast.errors import ConfigurationError, ListError
from stopcast.sources.names import are_names, is_decoration, may_be_names
from stopcast.tasks.task import ID_PATTERN

IDS: Final = 3
#: The places of the ids in a row without a header.
IN_ORDER: Final = (0, 1, 2)
_KEYS: Final = ("app", "room", "task")
#: The rows in which a header is looked for. A title or two may stand above it.
HEADER_WITHIN: Final = 16
#: The name of a column that ``names`` does not know has at least this many letters.
_NAME_LETTERS: Final = 3
#: The most cells of a title row.
_TITLE_CELLS: Final = 2
_SHOWN_NAMES: Final = 12
_SHOWN_CHARACTERS: Final = 40
_IGNORED: Final = str.maketrans("", "", "_- #`[]'\"\ufeff")
#: The words of the vendor's Chinese documentation.
_SAME_NAMES: Final = {"应用id": "appid", "房间id": "roomid", "任务id": "taskid"}
SPACES: Final = " \t"

Places = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the three columns or keys, compared without case, ``_``, ``-`` and spaces; or their places.

    Attributes:
        app: the name of the AppId, or its place.
        room: that of the RoomId.
        task: that of the TaskId.
        given: the names that a user gave. Of several columns, the one that is spelled like that counts.
    """

    app: str = "AppId"
    room: str = "RoomId"
    task: str = "TaskId"
    given: frozenset[str] = field(default=frozenset(), compare=False)

    @classmethod
    def parse(cls, text: str) -> Columns:
        """Read ``app=A,room=R,task=T``, any of the three, or ``app=1,room=2,task=3``.

        Raises:
            ConfigurationError: it is something else, or gives two ids one column.
        """
        names: dict[str, str] = {}
        for part in text.split(","):
            key, _, name = (piece.strip() for piece in part.partition("="))
            if key not in _KEYS or key in names or not _plain(name):
                raise ConfigurationError(
                    f"columns {text!r}: expected app=NAME,room=NAME,task=NAME or some of the three, "
                    f"such as --columns room=Room,task=Task, or the places of all three: app=1,room=2,task=3"
                )
            names[key] = name
        columns = cls(**names, given=frozenset(names.values()))
        if len(set(map(_plain, columns.names))) < IDS:
            raise ConfigurationError(f"columns {text!r}: two ids in one column; name a column for each")
        numbers = [name.isdecimal() for name in columns.names]
        if any(numbers) and not (all(numbers) and all(int(name) > 0 for name in columns.names)):
            raise ConfigurationError(f"columns {text!r}: name the places of all three, such as app=1,room=2,task=3")
        return columns

    @property
    def names(self) -> tuple[str, str, str]:
        """The three names in the order of a Task."""
        return self.app, self.room, self.task

    @property
    def by_place(self) -> Places | None:
        """The three places, counted from 0, None where the columns go by their names."""
        if not self.app.isdecimal():
            return None
        return int(self.app) - 1, int(self.room) - 1, int(self.task) - 1

    def places(self, names: Sequence[str]) -> tuple[int | None, int | None, int | None]:
        """Return where among ``names`` each of the three stands, None for one that does not.

        Raises:
            ListError: two names stand for the same id.
        """
        every = self.every_place(names)
        for name, places in zip(self.names, every, strict=True):
            if len(places) > 1:
                raise ListError(
                    f"{len(places)} columns are named {name}: {shown([names[place] for place in places])}. Name the "
                    f"one to use as it is spelled, such as --columns app=NAME, or the places of all three: "
                    f"--columns app=1,room=2,task=3"
                )
        app, room, task = (places[0] if places else None for places in every)
        return app, room, task

    def every_place(self, names: Sequence[str]) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """Return all the places among ``names`` at which each of the three stands."""
        plain = [_plain(name) for name in names]
        app, room, task = (self._places(name, names, plain) for name in self.names)
        return app, room, task

    def _places(self, name: str, names: Sequence[str], plain: Sequence[str]) -> Sequence[int]:
        wanted = _plain(name)
        found = [place for place, other in enumerate(plain) if other == wanted]
        exact = [place for place in found if names[place] == name] if name in self.given else []
        return exact or found


def _plain(name: str) -> str:
    plain = _decoded(name).translate(_IGNORED).casefold()
    return _SAME_NAMES.get(plain, plain)


def _decoded(name: str) -> str:
    """Return a column's name. Where it is not UTF-8, it is taken for GB18030, as Excel saves a CSV in China."""
    try:
        return name if _is_whole(name) else name.encode("utf-8", "surrogateescape").decode("gb18030", "replace")
    except UnicodeEncodeError:  # a program's own string
        return name


def _is_whole(text: str) -> bool:
    """Return whether the text holds no byte that is not UTF-8, which is kept as half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def shown(names: Sequence[str]) -> str:
    """Return the names for a message, however many and however long they are."""
    cut = [name if len(name) <= _SHOWN_CHARACTERS else name[:_SHOWN_CHARACTERS] + "…" for name in names[:_SHOWN_NAMES]]
    more = len(names) - len(cut)
    return ", ".join(map(repr, cut)) + (f" and {more} more" if more else "")


class DoubleKeysError(ListError):
    """An object has two keys for the same id, and they can mean different tasks."""


def check_equal(names: Sequence[str], values: Sequence[object], name: str) -> None:
    """Check that the values that an object has under several names for one id are equal.

    Raises:
        DoubleKeysError: they are not.
    """
    if any(value != values[0] for value in values[1:]):
        raise DoubleKeysError(f"{name} stands under several keys with different values: {shown(names)}")


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
        return Header(header.width, header.places, above=above)
    return _no_header(cells, columns) if any(place is not None for place in columns.places(cells)) else None


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
    if all(len(cell) >= _NAME_LETTERS and not _has_digit(cell) for cell in cells[:IDS]):
        if len(rows) == 1 and not ended:
            return None
        # Names, and below them ids.
        if len(rows) > 1 and any(map(_has_digit, rows[1][:IDS])):
            return _no_header(cells, columns)
    return Header(len(cells), IN_ORDER, named=False)


def _has_digit(cell: str) -> bool:
    return any(map(str.isdecimal, cell))


def _no_header(row: Sequence[str], columns: Columns) -> ListError:
    """Return the error about a first row, which shows it and says what to type."""
    names = [cell.strip(SPACES) for cell in row]
    places = columns.places(names)
    missing = [name for name, place in zip(columns.names, places, strict=True) if place is None]
    if len(missing) == IDS and not all(map(_is_whole, names)):
        return ListError(
            f"the first row is not UTF-8, and names no column that is known: {shown(names)}. Name the encoding of the "
            f"list, such as --encoding gb18030, and its columns: --columns app=NAME,room=NAME,task=NAME"
        )
    if len(missing) < IDS or columns != Columns():
        unnamed = (key for key, place in zip(_KEYS, places, strict=True) if place is None)
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
