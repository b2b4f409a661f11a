"""Which of a list's columns, or of an object's keys, are the three ids."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from stopcast.errors import ConfigurationError, ListError

IDS: Final = 3
#: The places of the ids in a row without a header.
IN_ORDER: Final = (0, 1, 2)
KEYS: Final = ("app", "room", "task")
_SHOWN_NAMES: Final = 12
_SHOWN_CHARACTERS: Final = 40
_IGNORED: Final = str.maketrans("", "", "_- #*:`[]'\"\ufeff")
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
            if key not in KEYS or key in names or not _plain(name):
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
    # NFKC makes ASCII of the wide letters of Chinese and Japanese text.
    plain = unicodedata.normalize("NFKC", _decoded(name)).translate(_IGNORED).casefold()
    return _SAME_NAMES.get(plain, plain)


def _decoded(name: str) -> str:
    """Return a column's name. Where it is not UTF-8, it is taken for GB18030, as Excel saves a CSV in China."""
    try:
        return name if is_whole(name) else name.encode("utf-8", "surrogateescape").decode("gb18030", "replace")
    except UnicodeEncodeError:  # a program's own string
        return name


def is_whole(text: str) -> bool:
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
