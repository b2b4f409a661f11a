"""What the commands print, and the exit statuses that they end with."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn, TextIO

import click

from stopcast.errors import (
    ConfigurationError,
    InterruptedRunError,
    ListError,
    ReportExistsError,
    StopcastError,
    TimeIsUpError,
)

#: What the command says is said, whatever of the library's log is wanted.
_LOG: Final = logging.getLogger("stopcast.command")


_LOG.setLevel(logging.INFO)


EXIT_GOOD, EXIT_BAD_ROWS, EXIT_USAGE, EXIT_GIVEN_UP = range(4)


def log(text: str, *, event: str | None = None, level: int = logging.INFO, **fields: object) -> None:
    """Say something to the person, on standard error; ``event`` and ``fields`` are for ``--log-format json``."""
    _LOG.log(level, "%s", text, extra={"event": event, **fields})


def write_stdout(data: str | bytes) -> None:
    """Write the data that was asked for on standard output, and take it that nobody may want to read it to its end."""
    with ignoring_closed_pipe(sys.stdout):
        click.echo(data)


@contextmanager
def ignoring_closed_pipe(stream: TextIO | None) -> Iterator[None]:
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
            log(f"stopcast: interrupted. Go on with:\n  {resume_with}", event="interrupted", resume_with=resume_with)
        raise SystemExit(128 + error.signal_number)
    words = "\n".join([f"stopcast: {error}", *getattr(error, "__notes__", ())])
    log(words, event="given_up", level=logging.ERROR, error=type(error).__name__)
    if isinstance(error, ConfigurationError | ListError | ReportExistsError):
        raise SystemExit(EXIT_USAGE)
    if isinstance(error, TimeIsUpError):
        if resume_with:
            log(f"Go on with:\n  {resume_with}", event="resumable", resume_with=resume_with)
        raise SystemExit(EXIT_BAD_ROWS)
    if resume_with:
        log(f"Once that is mended, go on with:\n  {resume_with}", event="resumable", resume_with=resume_with)
    raise SystemExit(EXIT_GIVEN_UP)
