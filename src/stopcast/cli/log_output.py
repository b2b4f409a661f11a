"""The log on standard error: what the command prints, and what the library logs, as text or as JSON lines.

Without a terminal each line of a command that may take hours has its time, errors of usage included.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Final

from stopcast.cli.options.output import OutputOptions
from stopcast.cli.output import COMMAND_LOG
from stopcast.cli.standard_streams import may_be_drawn_on
from stopcast.cli.wrapping import STANDARD_ERROR, wrapped_for
from stopcast.i18n import Language, speaking, translate, values_given, visible

#: Not imported from stopcast.logs, which imports every event: a plan needs none of them.
_LOG: Final = logging.getLogger("stopcast")
#: The attributes of every record. Any others are fields of the event.
_COMMON: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: The library's level by ``--verbose``: warnings; what is out of the ordinary; every call and every task.
_LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
#: Events that the command itself reports at its end, once and with what to do.
_SAID_AT_THE_END: Final = frozenset({"calls_ended", "dead_lettered"})

#: They work through lists or a queue. That may take hours, and their log may be read next morning.
_LONG_COMMANDS: Final = frozenset({"run", "verify", "enqueue", "worker"})


@contextmanager
def log_output(options: OutputOptions, *, timed: bool = False) -> Iterator[None]:
    """Write the log on standard error while the block lasts: as JSON in English, or as text, perhaps with times."""
    in_json = options.log_format == "json"
    handler = _StandardError()
    handler.setFormatter(_Json() if in_json else _Text(timed=timed))
    if not in_json:
        handler.addFilter(lambda record: getattr(record, "event", None) not in _SAID_AT_THE_END)
    # At the root, so that a record of another library has the same form.
    logging.root.addHandler(handler)
    levels_before = _LOG.level, COMMAND_LOG.level
    _LOG.setLevel(logging.ERROR if options.quiet else _LEVELS[min(options.verbose, 2)])
    # The command's own messages are written at any level of the library's log.
    COMMAND_LOG.setLevel(logging.INFO)
    try:
        with speaking(Language.EN) if in_json else nullcontext():
            yield
    finally:
        for logger, level in zip((_LOG, COMMAND_LOG), levels_before, strict=True):
            logger.setLevel(level)
        logging.root.removeHandler(handler)


def logs_with_times(command: str | None, *, dry_run: bool) -> bool:
    """Return whether each line of a command's log has its time, because no person watches it on a terminal."""
    return command in _LONG_COMMANDS and not dry_run and not may_be_drawn_on()


def asks_for_a_log() -> bool:
    """Return whether the arguments ask for a log with times, or as JSON, before any option is read."""
    arguments = sys.argv[1:]
    return _asks_for_json(arguments) or logs_with_times(next(iter(arguments), None), dry_run="--dry-run" in arguments)


def _asks_for_json(arguments: list[str]) -> bool:
    return "json" in (values_given("--log-format", arguments) or [os.environ.get("STOPCAST_LOG_FORMAT", "")])


@contextmanager
def log_before_options() -> Iterator[None]:
    """Write the log as the arguments ask for it, where the options could not be read or do not count any more."""
    options = OutputOptions(log_format="json" if _asks_for_json(sys.argv[1:]) else "text")
    with log_output(options, timed=asks_for_a_log()):
        yield


class _StandardError(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # Not click.echo: it bypasses what stands in for sys.stderr, such as the live display, which makes room.
        if sys.stderr is not None:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()


class _Text(logging.Formatter):
    """The message. Control characters from outside are never written raw."""

    def __init__(self, *, timed: bool) -> None:
        super().__init__()
        self._timed = timed

    def format(self, record: logging.LogRecord) -> str:
        text = translate(super().format(record))
        ids = [str(id_) for name in ("app_id", "room_id", "task_id") if (id_ := getattr(record, name, None))]
        if hasattr(record, "task_id"):
            text = f"{'/'.join(ids)}: {text}"
        # Each line of a message, because logs are searched and cut by lines.
        time = f"{datetime.fromtimestamp(record.created):%Y-%m-%d %H:%M:%S} " if self._timed else ""  # noqa: DTZ006 - local
        shown = "\n".join(time + visible(line) for line in text.split("\n"))
        return shown if self._timed else wrapped_for(STANDARD_ERROR, shown)


class _Json(logging.Formatter):
    """One object on one line: time, level, logger, event, message, and the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": None,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _COMMON}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # Not orjson: text from outside may not be valid Unicode.
        return json.dumps(line, default=str)
