"""How the log shows an event: the name, the level and the sentence that each class of event has."""

from __future__ import annotations

from typing import Final, NamedTuple

# The levels of ``logging``, which takes as long to import as all events.
DEBUG: Final = 10
INFO: Final = 20
WARNING: Final = 30
ERROR: Final = 40


class LogEntry(NamedTuple):
    """How the log shows an event.

    Attributes:
        name: the event's name in the log and in metrics; it does not change.
        level: of ``logging``. At INFO a long run logs little while all is well.
        sentence: with the event in place of ``{0}``.
    """

    name: str
    level: int
    sentence: str
