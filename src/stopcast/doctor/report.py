"""The check of the report that a run would write: its folder, the room there, and an earlier report of that name."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Final

from stopcast.doctor.findings import Finding, FindingState
from stopcast.i18n import _

#: The usual length of a report's line.
_LINE_BYTES: Final = 350
_LEAST_FREE_BYTES: Final = 50 << 20


def check_report(report: Path) -> Finding:
    """Check that the report's folder can be written to and has room."""
    folder, part = report.parent, _("report")
    try:
        if not folder.is_dir():
            words = _("the folder {folder} does not exist", folder=folder)
            return Finding(part, FindingState.FAILED, words, f"mkdir -p {shlex.quote(str(folder))}")
        probe = folder / f".{report.name}.doctor"
        try:
            probe.write_bytes(b"")
        finally:
            probe.unlink(missing_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        words = _("{folder} cannot be written to: {reason}", folder=folder.absolute(), reason=error.strerror)
        return Finding(part, FindingState.FAILED, words, _("Name a report elsewhere: -o PATH"))
    lines, gigabytes = free // _LINE_BYTES, free / (1 << 30)
    words = _(
        "{folder} has room for {lines:,} lines ({gigabytes:.1f} GB)",
        folder=folder.absolute(),
        lines=lines,
        gigabytes=gigabytes,
    )
    if free < _LEAST_FREE_BYTES:
        return Finding(part, FindingState.FAILED, words, _("Make room, or name a report elsewhere: -o PATH"))
    if report.exists():
        advice = _("Continue it with --resume, or name another one: -o PATH")
        return Finding(part, FindingState.WARNING, _("{report} exists; {room}", report=report, room=words), advice)
    return Finding(part, FindingState.OK, words)
