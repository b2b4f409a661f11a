"""What the commands print, and the exit statuses that they end with."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Final, NoReturn

import click

from stopcast.cli.standard_streams import OutputError, StandardOutput
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
    error: StopcastError, *, log_totals: Callable[[], None] = lambda: None, resume_with: str | None = None
) -> NoReturn:
    """Log the error, then the totals, then the command that continues, and exit with the status of the error."""
    if isinstance(error, InterruptedRunError):
        for note in getattr(error, "__notes__", ()):
            log(f"stopcast: {note}", event="report_incomplete", level=logging.ERROR)
        log_totals()
        if resume_with:
            log(f"stopcast: interrupted. Continue with:\n  {resume_with}", event="interrupted", resume_with=resume_with)
        raise SystemExit(128 + error.signal_number)
    text = "\n".join([_("stopcast: {error}", error=error), *map(translate, getattr(error, "__notes__", ()))])
    log(text, event="given_up", level=logging.ERROR, error=type(error).__name__)
    log_totals()
    if isinstance(error, ConfigurationError | ListError | ReportExistsError):
        raise SystemExit(EXIT_USAGE)
    time_is_up = isinstance(error, TimeIsUpError)
    if resume_with and not isinstance(error, OutputError):
        if time_is_up:
            text = _(
                "Continue, with a new --until if there is a deadline again:\n  {resume_with}", resume_with=resume_with
            )
        else:
            text = _("After you have fixed the cause, continue with:\n  {resume_with}", resume_with=resume_with)
        log(text, event="resumable", resume_with=resume_with)
    # After a queue's loss of its data the work has ended: what was at hand is done, and nothing else is left.
    raise SystemExit(EXIT_BAD_ROWS if time_is_up or isinstance(error, QueueDataLostError) else EXIT_GIVEN_UP)
