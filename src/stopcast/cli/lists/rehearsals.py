"""Reports of runs against the sandbox, which are no lists for a real run: nothing in them was really stopped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from stopcast.cli.lists.reports import unpacked
from stopcast.errors import ListError
from stopcast.i18n import _
from stopcast.report.line import LINE_BYTES, SANDBOX, read_line


def refuse_rehearsals(names: Sequence[str]) -> None:
    """Refuse a list that is the report of a rehearsal: it says of tasks that still run that they are stopped.

    Raises:
        ListError: one of the files is such a report.
    """
    for name in names:
        if SANDBOX in (_first_line(name) or {}):
            raise ListError(
                _(
                    "{path} is the report of a run with --sandbox: nothing in it was really stopped. Name the list "
                    "that it was run over",
                    path=name,
                )
            )


def _first_line(name: str) -> dict[str, Any] | None:
    """Return the values of a report's first line; None for any other file, and for what can be read only once."""
    if not os.path.isfile(name):  # noqa: PTH113 - it never raises an error
        return None
    # An error of reading is reported where the list is read.
    with suppress(OSError, ListError), open(name, "rb", buffering=0) as file:  # noqa: PTH123 - a name, not a path
        return read_line(unpacked(file, name).readline(LINE_BYTES))
    return None
