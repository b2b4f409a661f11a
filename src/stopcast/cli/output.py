"""What the commands print, and the exit statuses that they end with."""

from __future__ import annotations

import json
import logging
import sys
from typing import Final

import click

from stopcast.cli.standard_streams import StandardOutput
from stopcast.cli.wrapping import STANDARD_OUTPUT, wrapped_for

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


def is_read() -> bool:
    """Return whether standard output still has a reader, as far as the last write could tell."""
    stream = getattr(sys.stdout, "buffer", None)
    return not (isinstance(stream, StandardOutput) and stream.reader_gone)


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
