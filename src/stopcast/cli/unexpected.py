"""The last net of the command: an error that no code expected is one line and an exit status."""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback

from stopcast.errors import StopcastError
from stopcast.i18n import Language, speaking
from stopcast.marking import N_

_EXIT_GIVEN_UP = 3
_UNEXPECTED = N_(
    "stopcast: unexpected error: {error}. This is a fault of stopcast {version}. Please report it where you got "
    "stopcast from, with the output of the same command with -v. The lines that the report has are right: --resume "
    "continues with them."
)
_ENVIRONMENT = N_(
    "stopcast: {path}: {reason}. The environment variable {variable} names this path: unset it, or name another one."
)
_TOO_MANY_FILES = N_("stopcast: too many files are open. Raise the limit: ulimit -n 1024")
_NO_DIRECTORY = N_("stopcast: the working directory does not exist any more. Change to another one: cd DIR")


def report_unexpected(error: Exception) -> int:
    """Log the error in one line, with ``-v`` its traceback as well, and return the exit status."""
    text = _line(error)
    if _verbose():
        text = "".join([*traceback.format_exception(error), text])
    try:
        from stopcast.cli.log_output import log_before_options
        from stopcast.cli.output import log

        with speaking(Language.chosen(sys.argv[1:], os.environ)), log_before_options():
            log(text, event="unexpected_error", level=logging.ERROR, error=type(error).__name__)
    except Exception:  # noqa: BLE001 - the log itself may be what has failed
        if sys.stderr is not None:
            sys.stderr.write(text + "\n")
    return _EXIT_GIVEN_UP


def _line(error: Exception) -> str:
    if isinstance(error, StopcastError):
        return f"stopcast: {error}"
    if isinstance(error, FileNotFoundError) and not _has_working_directory():
        return _NO_DIRECTORY
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return _TOO_MANY_FILES
    if isinstance(error, OSError) and error.filename is not None:
        path = os.fsdecode(error.filename)
        for variable, value in os.environ.items():
            if value == path:
                return _ENVIRONMENT.format(path=path, reason=error.strerror, variable=variable)
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("stopcast")
    except PackageNotFoundError:
        installed = "unknown"
    # The text of the error may be long, and hold line ends.
    text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
    return _UNEXPECTED.format(error=text, version=installed)


def _has_working_directory() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - it alone asks the system
    except OSError:
        return False
    return True


def _verbose() -> bool:
    flags = [argument for argument in sys.argv[1:] if argument[:1] == "-" and argument[1:2] != "-"]
    return "--verbose" in sys.argv or any("v" in flag for flag in flags) or bool(os.environ.get("STOPCAST_VERBOSE"))
