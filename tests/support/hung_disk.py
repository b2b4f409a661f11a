"""The command on a machine with a disk that can hang: ``python hung_disk.py FOLDER ARGUMENTS...``.

Whatever reaches a file in the folder never returns, once the folder ``FOLDER.hangs`` exists.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from stopcast.cli import main

_OF_OS = [(os, name) for name in ("stat", "open", "replace", "rename", "unlink")]
_REACHING = [*_OF_OS, (io, "open"), (builtins, "open")]


def _hang(folder: str) -> None:
    stat = os.stat

    def hangs() -> bool:
        try:
            stat(f"{folder}.hangs")
        except FileNotFoundError:
            return False
        return True

    for module, name in _REACHING:
        real: Callable[..., Any] = getattr(module, name)

        def reach(path: Any, *arguments: Any, real: Callable[..., Any] = real, **options: Any) -> Any:
            if not isinstance(path, int) and os.fspath(path).startswith(f"{folder}/") and hangs():
                threading.Event().wait()
            return real(path, *arguments, **options)

        setattr(module, name, reach)


if __name__ == "__main__":
    _hang(sys.argv.pop(1))
    main()
