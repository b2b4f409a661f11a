"""Moments and short durations as people read them: in UTC as a report has them, and in this machine's local time."""

from __future__ import annotations

import time


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


def seconds(value: float) -> str:
    """Return a short duration with the precision that it was kept with: ``45 ms``, ``4.02 s``."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.3g} s"
