"""The options that end a run early, or keep it from starting."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from stopcast.cli.options.option import FileName, Number, Whole, setting
from stopcast.errors import ConfigurationError

if TYPE_CHECKING:
    from stopcast.engine.halting import HaltAfter

#: Python does not count with any number of digits.
_DURATION: Final = re.compile(r"(?a:(?:(\d{1,40})h)?(?:(\d{1,40})m)?(?:(\d{1,40})s)?)")
#: A time of day that passed less than this long ago may have been meant for today.
_JUST_PASSED_SECONDS: Final = 6 * 3600.0
_TIME: Final = re.compile(r"(?a:(\d{1,2}):(\d{2}))")


def _halt_after(ctx: click.Context, param: click.Parameter, value: str | None) -> HaltAfter | None:
    if value is None:
        return None
    from stopcast.engine.halting import HaltAfter

    try:
        return HaltAfter.parse(value)
    except ConfigurationError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@dataclass(frozen=True, slots=True)
class Deadline:
    """When no call may be in flight any more.

    Attributes:
        at: by the monotonic clock.
        passed_seconds: how long ago the same time of day was today; None if it was not yet, or if a duration was named.
    """

    at: float
    passed_seconds: float | None = None

    @property
    def left_seconds(self) -> float:
        """The seconds until then."""
        return self.at - time.monotonic()

    @property
    def just_passed(self) -> bool:
        """Whether today may be meant, where that time of day has passed already."""
        return self.passed_seconds is not None and self.passed_seconds < _JUST_PASSED_SECONDS


def _until(ctx: click.Context, param: click.Parameter, value: str | None) -> Deadline | None:
    if value is None:
        return None
    now = datetime.now()  # noqa: DTZ005 - local
    try:
        at = time.monotonic() + seconds_until(value, now)
    except ConfigurationError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if (match := _TIME.fullmatch(value.strip())) is None:
        return Deadline(at)
    passed = (now - now.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)).total_seconds()
    return Deadline(at, passed if passed >= 0 else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardOptions:
    """What ends a run early, or keeps it from starting."""

    halt_after: HaltAfter | None = setting(  # noqa: RUF009 - it makes a field
        "--halt-after",
        callback=_halt_after,
        metavar="N|P%",
        help="Give up after N tasks ended badly, or this share of at least 100 tasks.",
    )
    canary: int | None = setting(
        "--canary",
        type=Whole(1),
        metavar="N",
        help="Send the first N tasks alone, and the others only if each of those ends well.",
    )
    until: Deadline | None = setting(  # noqa: RUF009 - it makes a field
        "--until",
        callback=_until,
        metavar="WHEN",
        help="Have no call in flight any more at 06:00, or after 90m, 1h30m; what is left is for --resume.",
    )
    give_up_unanswered: float = setting(
        "--give-up-unanswered",
        type=Number(0),
        default=300,
        metavar="SECONDS",
        help="Give up if the API has answered no call at all for so long; 0 never.",
    )
    control: Path | None = setting(  # noqa: RUF009 - it makes a field
        "--control",
        type=FileName(path_type=Path),
        metavar="FILE",
        help="Follow this file during the run: pause, resume, rate N, one a line.",
    )
    expect: int | None = setting(
        "--expect", type=Whole(0), metavar="N", help="Refuse to start unless the lists hold N tasks."
    )
    yes: bool = setting("-y", "--yes", is_flag=True, help="Do not ask.")


_LONGEST_SECONDS: Final = 8760 * 3600


def seconds_until(text: str, now: datetime) -> float:
    """Return the seconds from ``now`` to the next such time of day there, or the seconds of a duration.

    Raises:
        ConfigurationError: it is neither "06:00" nor "2h", "90m", "1h30m", "45s".
    """
    words = text.strip().lower()
    if (match := _TIME.fullmatch(words)) and int(match[1]) < 24 and int(match[2]) < 60:  # noqa: PLR2004 - a clock's
        day, at = now.date(), time_of_day(int(match[1]), int(match[2]))
        # By way of UTC, because clocks may be put forward or back in between.
        moments = (datetime.combine(day + timedelta(days), at, now.tzinfo).astimezone(UTC) for days in (0, 1))
        return next(left for moment in moments if (left := (moment - now.astimezone(UTC)).total_seconds()) > 0)
    if (match := _DURATION.fullmatch(words)) and any(map(int, filter(None, match.groups()))):
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        if (left := 3600 * hours + 60 * minutes + seconds) > _LONGEST_SECONDS:
            raise ConfigurationError(f"{text!r} is too long: name at most 8760h, a year")
        return float(left)
    raise ConfigurationError(f"{text!r} is neither a time of day, such as 06:00, nor a duration, such as 90m or 1h30m")
