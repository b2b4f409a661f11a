"""What a report says about the rows of the lists when a run continues with it. Nothing is read from the report here."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final

from stopcast.tasks.identities import IdentityNumbers


class AlreadySettled:
    """What a report says about the rows of the lists when a run continues with it. An Intake only reads it.

    ``identity in already_settled`` says that a run does not send the task again.

    Attributes:
        tasks: the flags of each task: ``SETTLED``, ``IN_DOUBT`` and ``GOOD``. The bits above them belong to the
            report's reader.
        rows: how many lines the report has for each invalid row and each duplicate, by ``row_fingerprint``.
        invalid_places: the places of the invalid rows, by ``place_fingerprint``, each with the number 1.
        invalid_sources: the lists that these places are in.
        all_in_doubt: whether a call for any task may have been in flight when the earlier run ended.
    """

    SETTLED: Final = 1
    IN_DOUBT: Final = 2
    GOOD: Final = 4
    FLAG_BITS: Final = 3

    def __init__(self) -> None:
        self.tasks = IdentityNumbers()
        self.rows = IdentityNumbers()
        self.invalid_places = IdentityNumbers()
        self.invalid_sources: set[str | None] = set()
        self.all_in_doubt = False

    def __bool__(self) -> bool:
        return bool(self.tasks or self.rows or self.all_in_doubt)

    def __contains__(self, digest: object) -> bool:
        return isinstance(digest, bytes) and bool(self.tasks[digest] & self.SETTLED)

    @property
    def good(self) -> Container[bytes]:
        """The tasks that need nothing more, also where a queue delivers them again."""
        return _Good(self.tasks)

    def settle(self, digest: bytes) -> None:
        """Say that a task is not sent again."""
        self.tasks[digest] |= self.SETTLED

    def doubt(self, digests: Iterable[bytes], *, others_too: bool = False) -> None:
        """Say that calls for these tasks, or for any, may have been in flight when the earlier run ended."""
        self.all_in_doubt = self.all_in_doubt or others_too
        for digest in digests:
            self.tasks[digest] |= self.IN_DOUBT


class _Good:
    """The identities of tasks with a good line."""

    __slots__ = ("_tasks",)

    def __init__(self, tasks: IdentityNumbers) -> None:
        self._tasks = tasks

    def __contains__(self, digest: object) -> bool:
        return isinstance(digest, bytes) and bool(self._tasks[digest] & AlreadySettled.GOOD)
