"""The command inside the test's own process: 20 ms instead of the 250 ms of a new process.

Use it for messages, usage errors, plans and outcomes. Start a real process (``support.processes``) for signals, pipes,
terminals, limits, crashes and the report on standard output.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from click.testing import CliRunner

import stopcast.cli.output  # noqa: F401 - sets the level of its logger, which ``keeping_logging`` has to find
from stopcast.cli.group import group


def without_times(log: str) -> str:
    """Return the text of a log without the times of its lines."""
    return re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", log, flags=re.MULTILINE)


class Finished(NamedTuple):
    """How a command ended, and what it printed.

    Attributes:
        log: standard error.
    """

    status: int
    out: str
    log: str

    @property
    def err(self) -> str:
        """Standard error without the times of its lines."""
        return without_times(self.log)

    @property
    def summary(self) -> dict[str, Any]:
        """What ``--json`` printed: one object on one line, and nothing else."""
        (line,) = self.out.splitlines()
        value: dict[str, Any] = json.loads(line)
        return value

    @property
    def without_traceback(self) -> bool:
        """Whether standard error holds no trace of a crash of Python's."""
        return not any(word in self.err for word in ("Traceback", "Exception ignored", "internal error", "never retr"))


def run_in_process(*arguments: str, directory: Path, environment: Mapping[str, str], given: bytes = b"") -> Finished:
    """Run the command in this process, with ``given`` on standard input, and return how it ended.

    The log is included: its handler writes to ``sys.stderr``. What the command raises, but for ``SystemExit``, is
    raised here. The working directory, the environment, signal handlers and logging are as before afterwards.
    """
    environment = {**environment, "COLUMNS": "80"}
    with (
        tempfile.TemporaryFile() as stdin,
        chdir(directory),
        patch.dict(os.environ, environment, clear=True),
        patch("sys.argv", ["stopcast", *arguments]),
        keeping_signals(),
        keeping_logging(),
    ):
        # A file, because the command reads from its descriptor.
        stdin.write(given)
        stdin.seek(0)
        result = CliRunner(catch_exceptions=False).invoke(group, arguments, input=stdin, prog_name="stopcast")
    return Finished(result.exit_code, result.stdout, result.stderr)


@contextmanager
def keeping_signals() -> Iterator[None]:
    """Restore the handlers of the signals that the command, run inside this process, handles."""
    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def keeping_logging() -> Iterator[None]:
    """Restore the handlers and levels of the root's and the library's loggers."""
    # Not the command's own: importing it sets its level, once.
    loggers = [logging.getLogger(name) for name in (None, "stopcast")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    try:
        yield
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers
