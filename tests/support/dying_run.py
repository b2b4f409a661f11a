"""The command in a process that kills itself at a chosen change of a file: ``python dying_run.py URL fresh|resumed``.

It tries every change, one after the other: before it, after it, and in the middle of a write. The run begins a report
(``fresh``), or continues one that has lines to replace (``resumed``). After each death the run is resumed. The reports
at the end are printed, one JSON object a line.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from stopcast.cli import main
from stopcast.cli.group import group

CHANGES = ("open", "write", "pwrite", "ftruncate", "truncate", "replace", "unlink")
HEADER = "AppId,RoomId,TaskId"
TASKS = 6
#: The kernel copies so few bytes of one page at once, and a kill waits for that.
NOTE_BYTES = 16
#: Rooms of the tasks that fail until their report is continued.
LATER = "later"


class Death:
    """Kills the process at a chosen instant."""

    def __init__(self, at: int) -> None:
        self._left = at

    def pass_by(self) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, name: str) -> None:
        """Put instants before, in and after each call of a function of ``os``."""
        real: Callable[..., Any] = getattr(os, name)

        def watched(*args: Any, **options: Any) -> Any:
            if not changes_a_file(name, args):
                return real(*args, **options)
            self.pass_by()
            if name in {"write", "pwrite"} and len(args[1]) > NOTE_BYTES:
                self._left -= 1
                if not self._left:
                    real(args[0], args[1][: len(args[1]) // 2], *args[2:])
                    os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **options)
            self.pass_by()
            return result

        setattr(os, name, watched)


def changes_a_file(name: str, args: tuple[Any, ...]) -> bool:
    if name == "open":
        return bool(args[1] & os.O_CREAT)
    return name not in {"write", "pwrite"} or stat.S_ISREG(os.fstat(args[0]).st_mode)


def run(*options: str, dies_at: int = 0) -> int:
    """Run the command in a forked process, and return its status, -9 if it was killed."""
    if (process := os.fork()) == 0:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 2)
        if dies_at:
            death = Death(dies_at)
            for name in CHANGES:
                death.watch(name)
        sys.argv = ["stopcast", "run", *options]
        try:
            main()
            os._exit(0)
        except SystemExit as ended:
            os._exit(int(ended.code or 0))
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def scenario(url: str, *, resumed: bool, at: int) -> dict[str, Any]:
    """Kill one run at one instant, resume it, and return its report."""
    app = f"{'resumed' if resumed else 'fresh'}-{at}"
    rows = [f"{app},{LATER if resumed and number in (1, 3) else 'room'},{number}" for number in range(TASKS)]
    listed, report = Path(f"{app}.csv"), Path(f"{app}.jsonl")
    options = (str(listed), "-o", str(report), "--endpoint", url, "--max-per-second", "100000", "--max-attempts", "1")
    if resumed:
        listed.write_text("".join(f"{row}\n" for row in [HEADER, *rows[:4]]))
        run(*options)
    listed.write_text("".join(f"{row}\n" for row in [HEADER, *rows, rows[0], f"{app},,x"]))
    died = run(*options, "--resume", dies_at=at)
    ended = run(*options, "--resume")
    left = sorted(path.name for path in Path().glob(f"{app}.jsonl?*"))
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    return {"app": app, "died": died, "ended": ended, "left": left, "lines": lines}


if __name__ == "__main__":
    # What the command imports late is imported once here, and not again after each fork.
    with Path(os.devnull).open("rb") as nothing:
        CliRunner(catch_exceptions=False).invoke(
            group, ["run", "-", "--sandbox", "-q", "-o", os.devnull], input=nothing
        )
    for at in count(1):
        result = scenario(sys.argv[1], resumed=sys.argv[2] == "resumed", at=at)
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
        if result["died"] != -signal.SIGKILL:
            break
