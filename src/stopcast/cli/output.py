"""What the commands print, and the exit statuses that they end with."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Final, NoReturn

import click

from stopcast.cli.standard_streams import OutputError, StandardOutput
from stopcast.cli.wrapping import STANDARD_OUTPUT, wrapped_for
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

#: The command's own messages.
COMMAND_LOG: Final = logging.getLogger("stopcast.command")

EXIT_GOOD, EXIT_BAD_ROWS, EXIT_USAGE, EXIT_GIVEN_UP = range(4)


def log(text: str, *, event: str | None = None, level: int = logging.INFO, **fields: object) -> None:
    """Log a message for the user on standard error; ``event`` and ``fields`` are for ``--log-format json``."""
    # A file's name need not be UTF-8, and not every handler of a log can write one that is not.
    shown = text.encode("utf-8", "backslashreplace").decode()
    COMMAND_LOG.log(level, "%s", shown, extra={"event": event, **fields})


def write_stdout(data: str | bytes, *, patience_seconds: float | None = None) -> None:
    """Write data on standard output, which may take no data for at most this long.

    Raises:
        OutputError: it cannot be written, for example because its disk is full.
    """
    stream = getattr(sys.stdout, "buffer", None)
    if isinstance(stream, StandardOutput):
        stream.patience_seconds = patience_seconds
    click.echo(data)


def write_text(text: str) -> None:
    """Write a text on standard output, with lines that fit if it is a terminal.

    Raises:
        OutputError: it cannot be written.
    """
    write_stdout(wrapped_for(STANDARD_OUTPUT, text))


def write_json(value: object, *, patience_seconds: float | None = None) -> None:
    """Write a value as one JSON object on standard output, as ``write_stdout`` does."""
    import orjson

    try:
        data = orjson.dumps(value)
    except orjson.JSONEncodeError:
        # A file's name need not be UTF-8.
        data = json.dumps(value).encode()
    write_stdout(data, patience_seconds=patience_seconds)


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
