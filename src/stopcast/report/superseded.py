"""Which of several lines about the same task counts, in one report and in several."""

from __future__ import annotations

from typing import Final

from stopcast.tasks.outcome import Status

#: What the API answered when it was asked whether the task runs is more reliable than its answer when the task was
#: stopped.
_RANK: Final = {
    Status.ENDED: 6,
    Status.STILL_RUNNING: 6,
    Status.STOPPED: 5,
    Status.PRESUMED_STOPPED: 4,
    Status.ALREADY_STOPPED: 3,
    Status.FAILED: 2,
    Status.GAVE_UP: 1,
    Status.SET_ASIDE: 1,
    Status.EXCLUDED: 1,
    Status.NOT_STARTED: 1,
    Status.UNKNOWN: 1,
}


def may_be_superseded(status: Status, *, several_reports: bool = False) -> bool:
    """Return whether another line about the task may count instead of a line with this status.

    Within one report ``--resume`` sends a task again only while it is not settled.
    """
    return several_reports or not status.settled


def supersedes(later: Status, earlier: Status, *, several_reports: bool = False) -> bool:
    """Return whether the later of two lines counts: in one report always, in several by rank, the later of equals."""
    return not several_reports or _RANK[later] >= _RANK[earlier]
