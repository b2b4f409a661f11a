"""Which of a list's columns, or of an object's keys, are the three ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Final, Self

from stopcast.errors import ConfigurationError, ListError
from stopcast.tasks.outcome import Status

_SHOWN_NAMES: Final = 12
_SHOWN_CHARACTERS: Final = 40
_IGNORED: Final = str.maketrans("", "", "_- ")


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the three columns or keys, compared without case, ``_``, ``-`` and spaces."""

    app: str = "AppId"
    room: str = "RoomId"
    task: str = "TaskId"

    @classmethod
    def parse(cls, text: str) -> Columns:
        """Read ``app=A,room=R,task=T``, any of the three.

        Raises:
            ConfigurationError: it is something else, or gives two ids one column.
        """
        known = [field.name for field in fields(cls)]
        names: dict[str, str] = {}
        for part in text.split(","):
            key, _, name = (piece.strip() for piece in part.partition("="))
            if key not in known or key in names or not _plain(name):
                raise ConfigurationError(
                    f"columns {text!r}: expected app=NAME,room=NAME,task=NAME or some of the three, "
                    f"such as --columns room=Room,task=Task"
                )
            names[key] = name
        columns = cls(**names)
        if len(set(map(_plain, columns.names))) < len(known):
            raise ConfigurationError(f"columns {text!r}: two ids in one column; name a column for each")
        return columns

    @property
    def names(self) -> tuple[str, str, str]:
        """The three names in the order of a Task."""
        return self.app, self.room, self.task

    def places(self, names: Sequence[str]) -> tuple[int | None, int | None, int | None]:
        """Return where among ``names`` each of the three stands, None for one that does not.

        Raises:
            ListError: two names stand for the same id, and not exactly one of them is spelled as asked for.
        """
        plain = [_plain(name) for name in names]
        app, room, task = (_place(name, names, plain) for name in self.names)
        return app, room, task


def _plain(name: str) -> str:
    return name.translate(_IGNORED).casefold()


def _place(name: str, names: Sequence[str], plain: list[str]) -> int | None:
    wanted = _plain(name)
    found = [place for place, other in enumerate(plain) if other == wanted]
    if len(found) > 1:
        exact = [place for place in found if names[place] == name]
        if len(exact) != 1:
            raise ListError(f"{name} is there {len(found)} times: {shown([names[place] for place in found])}")
        found = exact
    return found[0] if found else None


def shown(names: Sequence[str]) -> str:
    """Return the names for a message, however many and however long they are."""
    cut = [name if len(name) <= _SHOWN_CHARACTERS else name[:_SHOWN_CHARACTERS] + "…" for name in names[:_SHOWN_NAMES]]
    more = len(names) - len(cut)
    return ", ".join(map(repr, cut)) + (f" and {more} more" if more else "")


_NOT_GOOD: Final = frozenset(status for status in Status if not status.good)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which lines of an earlier report are taken. Of any other list, every row is.

    Attributes:
        statuses: of the lines to take; by default those that did not go well.
        reports_only: whether a list that is no report is refused.
        not_before: the ``finished_at`` of the oldest line to take, as a report words it; "" for any.
    """

    statuses: frozenset[Status] = _NOT_GOOD
    reports_only: bool = False
    not_before: str = ""

    @classmethod
    def only(cls, statuses: Iterable[Status]) -> Self:
        """Return the choice of somebody who names statuses, and so must mean a report."""
        return cls(frozenset(statuses), reports_only=True)
