"""Checks, before the first call, of the files that options name besides lists and reports."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stopcast.errors import ConfigurationError
from stopcast.i18n import _
from stopcast.marking import N_
from stopcast.report.opening import own_stream

_OTHER_FILE: Final = N_("{option} {path}: {reason}. Name another file")
_MAKE_ROOM: Final = N_("{option} {path}: {reason}. Make room, or name a file on another file system")
_WAYS_OUT: Final[Mapping[int, str]] = {
    errno.ENOENT: N_("{option} {path}: {reason}. Name a file in a folder that exists"),
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.ENAMETOOLONG: N_("{option} {path}: {reason}. Give it a shorter name"),
}


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
        raise unusable(option, path, error) from None
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
        raise unusable(option, path, error) from None
    if start not in {b"", begins}:
        raise ConfigurationError(
            _(
                "{option} {path}: the file exists and was not written by stopcast; name another one",
                option=option,
                path=path,
            )
        )
    return os.path.realpath(path)


def unusable(option: str, path: str | Path, error: OSError) -> ConfigurationError:
    """Return the error for a file that an option names and that cannot be used, with what to do."""
    text = _WAYS_OUT.get(error.errno or 0, _OTHER_FILE)
    return ConfigurationError(_(text, option=option, path=path, reason=error.strerror))
