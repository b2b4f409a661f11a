"""Files that a command writes beside its report: none that it did not write itself is overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from stopcast.errors import ConfigurationError
from stopcast.i18n import _
from stopcast.report.opening import own_stream


def check_may_be_written(option: str, path: str | Path, *, begins: bytes) -> str:
    """Check before the first call that a file may be written under this name, and return it without symbolic links.

    Args:
        option: the option that names the file.
        path: the file.
        begins: how each such file begins.

    Raises:
        ConfigurationError: the file exists and was not written by stopcast, or it is a directory, a pipe or a device.
    """
    try:
        if own_stream(path) is not None or (Path(path).exists() and not Path(path).is_file()):
            raise ConfigurationError(
                _("{option} {path}: not a regular file. Name another one", option=option, path=path)
            )
        with Path(path).open("rb") as file:
            start = file.read(len(begins))
    except FileNotFoundError:
        return os.path.realpath(path)
    except OSError as error:
        raise ConfigurationError(
            _("{option} {path}: {cause}. Name another file", option=option, path=path, cause=error.strerror)
        ) from None
    if start not in {b"", begins}:
        raise ConfigurationError(
            _(
                "{option} {path}: the file exists and was not written by stopcast; name another one",
                option=option,
                path=path,
            )
        )
    return os.path.realpath(path)
