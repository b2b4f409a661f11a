"""One option of the command line: its environment variable, and the kinds of values."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from typing import TYPE_CHECKING, Any, Final, ParamSpec

import click

from stopcast.errors import (
    ConfigurationError,
)

if TYPE_CHECKING:
    from stopcast.engine.halting import HaltAfter

P = ParamSpec("P")
_DURATION: Final = re.compile(r"(?a:(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?)")
_TIME: Final = re.compile(r"(?a:(\d{1,2}):(\d{2}))")


class Option(click.Option):
    """An option that can be set as an environment variable: STOPCAST_ and its long name."""

    def __init__(self, param_decls: Sequence[str] | None = None, **attributes: Any) -> None:
        super().__init__(param_decls, **attributes)
        long_names = [name for name in self.opts if name.startswith("--")]
        if long_names and not self.envvar:
            self.envvar = "STOPCAST_" + long_names[0][2:].replace("-", "_").upper()

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return what a message calls the option: by the variable's name where the value came from there."""
        hint = super().get_error_hint(ctx)
        source = ctx.get_parameter_source(self.name) if ctx is not None and self.name else None
        if source is click.core.ParameterSource.ENVIRONMENT:
            return f"{hint} (the environment variable {self.envvar})"
        return hint


class Whole(click.IntRange):
    """A whole number."""

    name = "whole number"


class Number(click.FloatRange):
    """A number that can be counted with: not nan, and not infinite."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail as click wants it."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no number that can be counted with", param, ctx)
        return number


def halt_after(ctx: click.Context, param: click.Parameter, value: str | None) -> HaltAfter | None:
    """Return what ``HaltAfter`` reads in an option's value, or fail as click wants it."""
    from stopcast.engine.halting import HaltAfter

    try:
        return None if value is None else HaltAfter.parse(value)
    except ConfigurationError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def until(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Return the moment that an option's value means, on the monotonic clock, or fail as click wants it."""
    try:
        return None if value is None else time.monotonic() + seconds_until(value, datetime.now())  # noqa: DTZ005 - local
    except ConfigurationError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def option(*declarations: str, **attributes: Any) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Return ``click.option`` with the environment variable."""
    return click.option(*declarations, cls=Option, **attributes)


def seconds_until(text: str, now: datetime) -> float:
    """Return the seconds from ``now`` to the next such time of day there, or as many as the text says.

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
        return 3600.0 * hours + 60.0 * minutes + seconds
    raise ConfigurationError(f"{text!r} is neither a time of day, such as 06:00, nor a duration, such as 90m or 1h30m")
