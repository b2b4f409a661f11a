"""Commands that must be refused as wrong usage."""

from __future__ import annotations

from support.processes import Shell

_DEFAULT_REPORT = "stopcast-report.jsonl"


def refused(shell: Shell, *arguments: str, given: bytes = b"") -> str:
    """Run a command that must be refused as wrong usage and leave no report; return its standard error."""
    ended = shell.run(*arguments, given=given)
    assert ended.status == 2, ended
    assert ended.without_traceback
    assert not (shell / _DEFAULT_REPORT).exists()
    return ended.err
