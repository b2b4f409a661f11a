"""Moments and short durations as people read them: in UTC as a report has them, and in this machine's local time."""

from __future__ import annotations

import time
from typing import Final

from stopcast.i18n import duration

#: Below this a duration is shown with three digits.
_SHORT_SECONDS: Final = 60


def utc(at: float) -> str | None:
    """Return Unix time in the form of a report, None for 0."""
    milliseconds = round(at * 1000)
    date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{date}.{milliseconds % 1000:03d}Z" if at else None


def zone(at: float) -> str:
    """Return the distance of local time to UTC at a moment: ``UTC+08:00``, "" where there is none."""
    minutes = time.localtime(at).tm_gmtoff // 60
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}" if minutes else ""


def clock(at: float, *, local: bool = False) -> str:
    """Return the time of day."""
    return time.strftime("%H:%M:%S", time.localtime(at) if local else time.gmtime(at))


def moment(at: float, *, local: bool = False) -> str:
    """Return the day and the time of day."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at) if local else time.gmtime(at))


def took(value: float) -> str:
    """Return a duration, a short one as precise as it was kept: ``45 ms``, ``4.02 s``, ``2 h 05 min``."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.3g} s" if value < _SHORT_SECONDS else duration(value)
