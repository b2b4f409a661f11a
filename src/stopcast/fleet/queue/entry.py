"""An entry of the stream: which task it names, how often it was delivered, and whether its task is in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from stopcast.tasks.checks import why_bad
from stopcast.tasks.task import ID_PATTERN, RawRow, Task

_IDS: Final = 3
_SHOWN_CHARACTERS: Final = 200


class Entry(NamedTuple):
    """An entry of the stream.

    Attributes:
        id: the id that Redis gave it.
        fields: its fields.
        earlier: how often it was delivered before.
    """

    id: bytes
    fields: Mapping[bytes, bytes]
    earlier: int = 0

    @property
    def text(self) -> bytes:
        """The field that names the task: three ids with commas between."""
        return self.fields.get(b"task", b"")

    @property
    def task(self) -> Task | None:
        """The task, whose ids are not checked yet; None if the entry names none."""
        ids = self.text.decode("utf-8", "backslashreplace").split(",")
        return Task(*ids) if len(ids) == _IDS else None

    @property
    def in_doubt(self) -> bool:
        """Whether a call of an earlier delivery may have stopped the task."""
        return self.earlier > 0 or b"in_doubt" in self.fields

    @property
    def why_bad(self) -> str:
        """Why no call can be made for it, with its id for XRANGE; "" if one can."""
        if b"task" not in self.fields:
            reason = "it has no field named task"
        elif (task := self.task) is None:
            reason = "the field task is not AppId,RoomId,TaskId"
        elif all(map(ID_PATTERN.fullmatch, task)):
            return ""
        else:
            reason = why_bad(RawRow(*task, 0))
        text = ascii(self.text.decode("utf-8", "backslashreplace")[:_SHOWN_CHARACTERS]) if self.text else "nothing"
        return f"entry {self.id.decode()} of the queue names no task: {reason} (found {text})"


def entry_of(entry_id: bytes, fields: Mapping[bytes, bytes], *, deliveries: int = 1) -> Entry:
    """Return an entry that was delivered this often, and before that as the entry whose place it took."""
    earlier = fields.get(b"earlier", b"0")
    return Entry(entry_id, fields, deliveries - 1 + (int(earlier[:9]) if earlier.isdigit() else 0))
