"""Words that are the same in all messages: the statuses, durations, and texts from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stopcast.i18n.translation import _, ngettext
from stopcast.marking import N_
from stopcast.tasks.outcome import Status

#: Each status as it reads in a sentence, in the order in which a summary lists them.
STATUS_WORDS: Final[Mapping[Status, str]] = {
    Status.STOPPED: N_("stopped"),
    Status.ALREADY_STOPPED: N_("already stopped"),
    Status.PRESUMED_STOPPED: N_("presumed stopped"),
    Status.DUPLICATE: N_("duplicate"),
    Status.EXCLUDED: N_("excluded"),
    Status.FAILED: N_("failed"),
    Status.SET_ASIDE: N_("set aside"),
    Status.GAVE_UP: N_("gave up"),
    Status.INVALID: N_("invalid"),
    Status.ENDED: N_("ended"),
    Status.STILL_RUNNING: N_("still running"),
    Status.NOT_STARTED: N_("not started yet"),
    Status.UNKNOWN: N_("unknown"),
}


def status_counts(statuses: Mapping[Status, int]) -> str:
    """Return the number of rows with each status: ``3 stopped, 1 failed``; "" for none."""
    return _(", ").join(
        _("{number:,} {status}", number=number, status=_(word))
        for status, word in STATUS_WORDS.items()
        if (number := statuses.get(status, 0))
    )


def duration(seconds: float) -> str:
    """Return ``under 1 s``, ``4 s``, ``3 min 20 s``, ``18 h 31 min``, ``5 days 2 h``."""
    if seconds < 1:
        return _("under 1 s")
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return _("{seconds} s", seconds=whole)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return _("{minutes} min {seconds:02d} s", minutes=minutes, seconds=rest)
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 24:  # noqa: PLR2004 - hours in a day
        return _("{hours} h {minutes:02d} min", hours=hours, minutes=minutes)
    days, hours = divmod(round(seconds / 3600), 24)
    return ngettext("1 day {hours} h", "{number:,} days {hours} h", days, hours=hours)


def visible(text: str) -> str:
    """Return a text from outside with escapes for characters that are invisible or change the direction of text."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
