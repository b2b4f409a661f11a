"""Whether the report can be written."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Final

from stopcast.doctor.findings import Finding, State

_LINE_BYTES: Final = 350
_LEAST_FREE: Final = 50 << 20


def room_for(report: Path) -> Finding:
    """Return whether a report can be written there: the folder, and how many lines it has room for."""
    folder = report.parent
    try:
        if not folder.is_dir():
            words = f"the folder {folder} does not exist"
            return Finding("report", State.FAILED, words, f"mkdir -p {shlex.quote(str(folder))}")
        probe = folder / f".{report.name}.doctor"
        try:
            probe.write_bytes(b"")
        finally:
            probe.unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        words = f"{folder.absolute()} cannot be written to: {error.strerror}"
        return Finding("report", State.FAILED, words, "Name a report elsewhere: -o PATH")
    words = f"{folder.absolute()} has room for {free // _LINE_BYTES:,} lines ({free / (1 << 30):.1f} GB)"
    if free < _LEAST_FREE:
        return Finding("report", State.FAILED, words, "Make room, or name a report elsewhere: -o PATH")
    if report.exists():
        return Finding("report", State.WARNING, f"{report} exists; {words}", "Go on with it: --resume. Or -o PATH")
    return Finding("report", State.OK, words)
