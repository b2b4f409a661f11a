"""What the commands share: options that are environment variables too, and errors told in one line."""

from __future__ import annotations

import errno
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NoReturn, ParamSpec, TextIO

import click

from stopcast.errors import (
    ConfigurationError,
    InterruptedRunError,
    ListError,
    ReportExistsError,
    StopcastError,
    TimeIsUpError,
)

if TYPE_CHECKING:
    from stopcast.engine.halting import HaltAfter

P = ParamSpec("P")

#: What the command says is said, whatever of the library's log is wanted.
_LOG: Final = logging.getLogger("stopcast.command")
_LOG.setLevel(logging.INFO)

EXIT_GOOD, EXIT_BAD_ROWS, EXIT_USAGE, EXIT_GIVEN_UP = range(4)


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
    from stopcast.cli.options.until import seconds_until

    try:
        return None if value is None else time.monotonic() + seconds_until(value, datetime.now())  # noqa: DTZ005 - local
    except ConfigurationError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def option(*declarations: str, **attributes: Any) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Return ``click.option`` with the environment variable."""
    return click.option(*declarations, cls=Option, **attributes)


def say(text: str, *, event: str | None = None, level: int = logging.INFO, **fields: object) -> None:
    """Say something to the person, on standard error; ``event`` and ``fields`` are for ``--log-format json``."""
    _LOG.log(level, "%s", text, extra={"event": event, **fields})


def put_out(data: str | bytes) -> None:
    """Write the data that was asked for on standard output, and take it that nobody may want to read it to its end."""
    with unheard(sys.stdout):
        click.echo(data)


@contextmanager
def unheard(stream: TextIO | None) -> Iterator[None]:
    """Take it that nobody is there any more to read the stream: a pipe is closed, a terminal gone."""
    try:
        yield
    except OSError as error:
        if stream is None or error.errno not in {errno.EPIPE, errno.EIO}:
            raise
        # What is left in the buffer would be tried again at the exit, and told as an error there.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def give_up(error: StopcastError, *, resume_with: str | None = None) -> NoReturn:
    """Say what went wrong, and exit with the status for it."""
    if isinstance(error, InterruptedRunError):
        if resume_with:
            say(f"stopcast: interrupted. Go on with:\n  {resume_with}", event="interrupted", resume_with=resume_with)
        raise SystemExit(128 + error.signal_number)
    words = "\n".join([f"stopcast: {error}", *getattr(error, "__notes__", ())])
    say(words, event="given_up", level=logging.ERROR, error=type(error).__name__)
    if isinstance(error, ConfigurationError | ListError | ReportExistsError):
        raise SystemExit(EXIT_USAGE)
    if isinstance(error, TimeIsUpError):
        if resume_with:
            say(f"Go on with:\n  {resume_with}", event="resumable", resume_with=resume_with)
        raise SystemExit(EXIT_BAD_ROWS)
    if resume_with:
        say(f"Once that is mended, go on with:\n  {resume_with}", event="resumable", resume_with=resume_with)
    raise SystemExit(EXIT_GIVEN_UP)


#: What ``log_output`` takes, by the options of the commands that have them.
_LOG_OPTIONS: Final[Mapping[str, str]] = {"form": "log_format", "verbose": "verbose", "quiet": "quiet"}


def telling_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Return the command with its log on standard error, and what it raises told in one line there."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        from stopcast.cli.log_output import log_output

        chosen: dict[str, Any] = {name: kwargs[option] for name, option in _LOG_OPTIONS.items() if option in kwargs}
        with log_output(**chosen):
            try:
                command(*args, **kwargs)
            except StopcastError as error:
                give_up(error)
            except KeyboardInterrupt:
                # Before there was a run that could end in its own way.
                raise SystemExit(128 + signal.SIGINT) from None

    return wrapped
