"""How a command ends by an error: what is logged about it, and the exit status."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec

import click

from stopcast.cli.interrupts import number_of
from stopcast.cli.log_output import log_output, logs_with_times
from stopcast.cli.option_warnings import warn_of_options
from stopcast.cli.options.output import OutputOptions
from stopcast.cli.output import EXIT_BAD_ROWS, EXIT_GIVEN_UP, EXIT_USAGE, log
from stopcast.cli.standard_streams import OutputError
from stopcast.errors import (
    ConfigurationError,
    InterruptedRunError,
    ListError,
    QueueDataLostError,
    ReportExistsError,
    StopcastError,
    TimeIsUpError,
)
from stopcast.i18n import _, translate

P = ParamSpec("P")


def report_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Return the command with its log on standard error, where each StopcastError is one line and an exit status."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        options = kwargs.get("output")
        options = options if isinstance(options, OutputOptions) else OutputOptions()
        context = click.get_current_context(silent=True)
        timed = logs_with_times(context.info_name if context else None, dry_run=bool(kwargs.get("dry_run")))
        with log_output(options, timed=timed):
            try:
                if context is not None:
                    warn_of_options(context)
                command(*args, **kwargs)
            except StopcastError as error:
                give_up(error)
            except KeyboardInterrupt as interrupt:
                # It came while there was no event loop that handles signals.
                give_up(InterruptedRunError(number_of(interrupt)))

    return wrapped


def give_up(
    error: StopcastError,
    *,
    log_totals: Callable[[], None] = lambda: None,
    advice: str | None = None,
    resume_with: str | None = None,
    from_stdin: bool = False,
) -> NoReturn:
    """Log the error, the totals, the advice, and the command that continues; exit with the status of the error."""
    if isinstance(error, InterruptedRunError):
        for note in getattr(error, "__notes__", ()):
            log(f"stopcast: {note}", event="report_incomplete", level=logging.ERROR)
        log_totals()
        if resume_with:
            text = _("stopcast: interrupted. Continue with:\n  {resume_with}", resume_with=resume_with)
            _log_command(text, resume_with, event="interrupted", from_stdin=from_stdin)
        else:
            name = signal.Signals(error.signal_number).name
            log(_("stopcast: ended by {signal} before its work was done.", signal=name), event="interrupted")
            if advice is not None:
                log(advice, event="advice")
        raise SystemExit(128 + error.signal_number)
    text = "\n".join([_("stopcast: {error}", error=error), *map(translate, getattr(error, "__notes__", ()))])
    log(text, event="given_up", level=logging.ERROR, error=type(error).__name__)
    log_totals()
    if advice is not None:
        log(advice, event="advice")
    time_is_up = isinstance(error, TimeIsUpError)
    if resume_with and not isinstance(error, OutputError | ConfigurationError | QueueDataLostError):
        if isinstance(error, ReportExistsError):
            text = _("To continue it:\n  {resume_with}", resume_with=resume_with)
        elif time_is_up:
            text = _(
                "Continue, with a new --until if there is a deadline again:\n  {resume_with}", resume_with=resume_with
            )
        else:
            text = _("After you have fixed the cause, continue with:\n  {resume_with}", resume_with=resume_with)
        _log_command(text, resume_with, event="resumable", from_stdin=from_stdin)
    if isinstance(error, ConfigurationError | ListError | ReportExistsError):
        raise SystemExit(EXIT_USAGE)
    # After a queue's loss of its data the work has ended: what was at hand is done, and nothing else is left.
    raise SystemExit(EXIT_BAD_ROWS if time_is_up or isinstance(error, QueueDataLostError) else EXIT_GIVEN_UP)


def _log_command(text: str, resume_with: str, *, event: str, from_stdin: bool) -> None:
    """Log a text with the command that continues."""
    if from_stdin:
        text = "\n".join([text, _("Give it the same list on standard input again.")])
    log(text, event=event, resume_with=resume_with)
