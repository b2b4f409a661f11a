"""An emulator in a process of its own, which notes every call in a file: ``python noting_api.py CALLS``.

A line of the file is the task of one call that has passed the checks. It is written before the call has its effect.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

from stopcast.sandbox import Emulator, Faults
from stopcast.tasks.task import Task

#: Room of the tasks that do not run when they are first asked for, and of those whose first calls fail.
GONE, STUBBORN = "gone", "stubborn"
#: Calls that a stubborn task takes before it is stopped.
FAILURES = 5
FAULTS = Faults(
    {"internal": 0.04, "reset": 0.02, "close": 0.02, "reset_after": 0.02, "close_after": 0.02, "cut_body": 0.02},
    latency_seconds=0.03,
    jitter_seconds=0.02,
)


class AllButTheGone(set[Task]):
    """The tasks that run."""

    def __contains__(self, task: object) -> bool:
        return isinstance(task, Task) and task.room_id != GONE


async def serve(calls: Path) -> None:
    """Serve until standard input ends."""
    made = Counter[Task]()
    with calls.open("a", buffering=1) as notes:

        def note(task: Task) -> bool:
            notes.write(json.dumps(task) + "\n")
            made[task] += 1
            return task.room_id == STUBBORN and made[task] <= FAILURES

        async with Emulator(quota_per_second=None, faults=FAULTS, fail_forever=note) as emulator:
            emulator.running = AllButTheGone()
            sys.stdout.write(f"{emulator.url}\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
