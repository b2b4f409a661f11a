"""Telling each task once, although reports may hold several lines about it."""

from __future__ import annotations

from typing import Final, NamedTuple

from stopcast.tasks.identities import Identities
from stopcast.tasks.outcome import Status

#: The most settled word about a task counts, and among words as settled as each other the later one. What the API said
#: when it was asked whether the task runs goes before what it said when it was to stop it.
_RANK: Final = {
    Status.ENDED: 6,
    Status.STILL_RUNNING: 6,
    Status.STOPPED: 5,
    Status.PRESUMED_STOPPED: 4,
    Status.ALREADY_STOPPED: 3,
    Status.FAILED: 2,
    Status.GAVE_UP: 1,
    Status.SET_ASIDE: 1,
    Status.NOT_STARTED: 1,
    Status.UNKNOWN: 1,
}


class Word(NamedTuple):
    """What a line says of its task, and why."""

    status: Status
    reason: str | None


class ToldOnce:
    """Remembers what was said of which task.

    Args:
        everything: remember settled tasks too (20 to 100 bytes each). Within one report only those that are not can
            have a later line: a run that goes on with a report leaves settled tasks alone.
    """

    def __init__(self, *, everything: bool) -> None:
        self._everything = everything
        # Few words are said, of many tasks: a set for each word costs less than a word for each task.
        self._said: dict[Word, Identities] = {}

    def concerns(self, status: Status) -> bool:
        """Whether a line with this status has to be looked at: it may replace another one, or be replaced."""
        return self._everything or bool(self._said) or not status.settled

    def replaces(self, digest: bytes, word: Word) -> Word | None:
        """Take note of a line. Return the word about its task that does not count: an earlier one, this, or None."""
        for earlier, tasks in self._said.items():
            if digest in tasks:
                if _RANK[word.status] < _RANK[earlier.status]:
                    return word
                tasks.discard(digest)
                self._remember(digest, word)
                return earlier
        self._remember(digest, word)
        return None

    def _remember(self, digest: bytes, word: Word) -> None:
        if self._everything or not word.status.settled:
            self._said.setdefault(word, Identities()).add(digest)
