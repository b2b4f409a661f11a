"""What becomes of a row before anything is sent: checked, told apart from earlier ones, held against an earlier report.

Batches flow in; tasks to stop and outcomes that are settled already flow out. Pure: the time is an argument.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Final, NamedTuple

from stopcast.identities import Identities, identity, told_identity
from stopcast.outcome import Outcome, Status
from stopcast.task import ID_PATTERN, Batch, BrokenRow, RawRow, Task

#: Under which name ``Intake.per_app`` counts the tasks of all further AppIds. No AppId has parentheses.
OTHERS: Final = "(others)"
_APPS_COUNTED: Final = 1000
#: No id holds a comma, so one match tells that all three are well formed.
_THREE_IDS: Final = re.compile(",".join([ID_PATTERN.pattern] * 3))


class Accepted(NamedTuple):
    """A task to stop, the row it came from, and whether a call that a crash cut off may have stopped it already."""

    task: Task
    source: str | None
    line: int | None
    in_doubt: bool


class Taken(NamedTuple):
    """What a batch came to: tasks to stop, and rows that have their outcome already."""

    accepted: list[Accepted]
    outcomes: list[Outcome]
