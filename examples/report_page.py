"""Write the page of a report like that of a real run: 21,000 tasks, 30 s of faults, and a pause of 15 minutes.

    python examples/report_page.py page.html

It needs stopcast[cli].
"""

import heapq
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from subprocess import run
from tempfile import TemporaryDirectory
from typing import NamedTuple

TASKS, RATE, MOST_CALLS = 21_000, 148.9, 4
BEGAN = datetime(2026, 11, 22, 20, tzinfo=UTC).timestamp()
PAUSED_AT, PAUSE_SECONDS = 15_000, 900
# One AppId of three is refused from this task on. A hundred tasks later the run has noticed, and sends no more of them.
REFUSED_FROM, NOTICED_FROM = 16_000, 16_100
GONE, REFUSED = "InvalidParameter.ErrorActiveTaskNotFound", "AccessDenied.NoPermissionForApp"
MESSAGES = {"InternalError": "internal error, retry later", REFUSED: "no permission for this app"}


class Waiting(NamedTuple):
    """A task that waits for its next call. The one that is ready first is the least."""

    ready: float
    number: int
    calls: int = 0
    first: float = 0.0


def answer(number: int, now: float, chance: Random) -> tuple[str | None, str]:
    """Return the code of a call's answer, and the status that its task then has."""
    is_gone = chance.random() < 0.06
    if number % 3 == 2 and number > REFUSED_FROM:
        return REFUSED, "set_aside"
    if BEGAN + 40 < now < BEGAN + 70 and chance.random() < 0.5:
        return "InternalError", "gave_up"
    return (GONE, "already_stopped") if is_gone else (None, "stopped")


def lines() -> Iterator[str]:
    chance, now = Random(5), 0.0
    waiting = [Waiting(BEGAN + number / RATE, number) for number in range(TASKS)]
    while waiting:
        ready, number, calls, first = heapq.heappop(waiting)
        unsent = number % 3 == 2 and number > NOTICED_FROM
        now = max(now, ready) + (0 if unsent else 1 / RATE)
        if number == PAUSED_AT and not calls:
            now += PAUSE_SECONDS
        calls, first = calls + 1, first or now
        ended = now + 0.02 + chance.expovariate(60) + chance.expovariate(60)
        code, status = answer(number, now, chance)
        if status == "gave_up" and calls < MOST_CALLS:
            ready = ended + chance.uniform(0, 2**calls / 2)
            heapq.heappush(waiting, Waiting(ready, number, calls, first))
            continue
        values = {
            "AppId": f"6{number % 3}a9f0c2b7d14e5f88",
            "RoomId": f"room-{number // 4}",
            "TaskId": f"record-{number}",
            "status": status,
            "request_id": None if unsent else f"{chance.getrandbits(96):024X}",
            "code": code,
            "finished_at": datetime.fromtimestamp(ended, UTC).isoformat(timespec="milliseconds"),
            "message": MESSAGES.get(code or ""),
            "attempts": 0 if unsent else calls,
            "line": number + 2,
            "seconds": round(ended - first, 3),
            "source": "tasks.csv",
        }
        yield json.dumps(values, separators=(",", ":")) + "\n"


with TemporaryDirectory() as folder:
    report = Path(folder, "report.jsonl")
    report.write_text("".join(lines()))
    # In China, an hour after the run.
    variables = os.environ | {"TZ": "Asia/Shanghai", "SOURCE_DATE_EPOCH": str(int(BEGAN) + 3600)}
    options = ["--lang=en", "--account=team-a", "--endpoint=https://rtc.volcengineapi.com", "--html", sys.argv[1]]
    run([sys.executable, "-m", "stopcast", "summary", report, *options], env=variables, check=False)
