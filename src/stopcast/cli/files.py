"""Checks, before the first call, of the files that options name besides lists and reports."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stopcast.errors import ConfigurationError
from stopcast.i18n import _
from stopcast.report.opening import own_stream


def check_is_file(option: str, path: str | Path) -> None:
    """Check that the file that an option names is a file, or does not exist yet.

    Raises:
        ConfigurationError: it is a directory, a pipe or a device, or cannot be reached.
    """
    try:
        is_file = own_stream(path) is None and stat.S_ISREG(Path(path).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _unusable(option, path, error) from None
    if not is_file:
        raise ConfigurationError(_("{option} {path}: not a regular file. Name another one", option=option, path=path))


def check_may_be_written(option: str, path: str | Path, *, begins: bytes) -> str:
    """Check that a file may be written under this name, and return the name without symbolic links.

    Args:
        option: the option that names the file.
        path: the file.
        begins: how each such file begins.

    Raises:
        ConfigurationError: the file exists and was not written by stopcast, or ``check_is_file`` refuses it.
    """
    check_is_file(option, path)
    try:
        with Path(path).open("rb") as file:
            start = file.read(len(begins))
    except FileNotFoundError:
        return os.path.realpath(path)
    except OSError as error:
        raise _unusable(option, path, error) from None
    if start not in {b"", begins}:
        raise ConfigurationError(
            _(
                "{option} {path}: the file exists and was not written by stopcast; name another one",
                option=option,
                path=path,
            )
        )
    return os.path.realpath(path)


def _unusable(option: str, path: str | Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        _("{option} {path}: {cause}. Name another file", option=option, path=path, cause=error.strerror)
    )
