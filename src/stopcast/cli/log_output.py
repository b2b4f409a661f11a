"""The log on standard error: what the command says itself, and what the library logs, as text or as JSON lines."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final, ParamSpec

from stopcast.cli.output import give_up, ignoring_closed_pipe
from stopcast.errors import (
    StopcastError,
)
from stopcast.i18n import visible
from stopcast.logs import LOG

FORMATS: Final = ("text", "json")
#: What every record has, so that the rest is what it was given.
_COMMON: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@contextmanager
def log_output(form: str = "text", *, verbose: int = 0, quiet: bool = False) -> Iterator[None]:
    """Write the log on standard error while the block lasts.

    Args:
        form: "text" for a person, "json" for one object a line.
        verbose: 0 for the library's warnings, 1 for what is out of the ordinary, 2 for every call and every task.
        quiet: nothing of the library's but errors.
    """
    handler = _StandardError()
    handler.setFormatter(_Json() if form == "json" else _Text())
    # At the root, so that another library's complaint is a line of the same form.
    logging.root.addHandler(handler)
    level_before = LOG.level
    LOG.setLevel(logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
    try:
        yield
    finally:
        LOG.setLevel(level_before)
        logging.root.removeHandler(handler)


class _StandardError(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # Not click.echo: that writes past whoever stands in for standard error, such as a display that makes room.
        if sys.stderr is not None:
            with ignoring_closed_pipe(sys.stderr):
                sys.stderr.write(self.format(record) + "\n")
                sys.stderr.flush()


class _Text(logging.Formatter):
    """The message. Control characters from outside are never raw."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        ids = [str(id_) for name in ("app_id", "room_id", "task_id") if (id_ := getattr(record, name, None))]
        if hasattr(record, "task_id"):
            text = f"{'/'.join(ids)}: {text}"
        return "\n".join(map(visible, text.split("\n")))


class _Json(logging.Formatter):
    """One object on one line: when, how grave, who, which event, what in words, and the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": None,
            "message": record.getMessage(),
        }
        told |= {name: value for name, value in vars(record).items() if name not in _COMMON}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        # Not orjson: what comes from outside may hold what is no Unicode.
        return json.dumps(told, default=str)


P = ParamSpec("P")


#: What ``log_output`` takes, by the options of the commands that have them.
_LOG_OPTIONS: Final[Mapping[str, str]] = {"form": "log_format", "verbose": "verbose", "quiet": "quiet"}


def report_errors(command: Callable[P, None]) -> Callable[P, None]:
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
