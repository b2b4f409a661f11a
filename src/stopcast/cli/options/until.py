"""When a run is to end: a time of day, or so long from now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Final

from stopcast.errors import ConfigurationError

_TIME: Final = re.compile(r"(?a:(\d{1,2}):(\d{2}))")
_DURATION: Final = re.compile(r"(?a:(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?)")


def seconds_until(text: str, now: datetime) -> float:
    """Return the seconds from ``now`` to the next such time of day there, or as many as the text says.

    Raises:
        ConfigurationError: it is neither "06:00" nor "2h", "90m", "1h30m", "45s".
    """
    words = text.strip().lower()
    if (match := _TIME.fullmatch(words)) and int(match[1]) < 24 and int(match[2]) < 60:  # noqa: PLR2004 - a clock's
        day, at = now.date(), time(int(match[1]), int(match[2]))
        # By way of UTC, because clocks may be put forward or back in between.
        moments = (datetime.combine(day + timedelta(days), at, now.tzinfo).astimezone(UTC) for days in (0, 1))
        return next(left for moment in moments if (left := (moment - now.astimezone(UTC)).total_seconds()) > 0)
    if (match := _DURATION.fullmatch(words)) and any(map(int, filter(None, match.groups()))):
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return 3600.0 * hours + 60.0 * minutes + seconds
    raise ConfigurationError(f"{text!r} is neither a time of day, such as 06:00, nor a duration, such as 90m or 1h30m")
