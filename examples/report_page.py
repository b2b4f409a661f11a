"""Write the page of a report like that of a real run: 21,000 tasks, 30 s of faults, and a pause of 15 minutes."""

import heapq
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from subprocess import run
from tempfile import TemporaryDirectory

GONE, REFUSED = "InvalidParameter.ErrorActiveTaskNotFound", "AccessDenied.NoPermissionForApp"
MESSAGES = {"InternalError": "internal error, retry later", REFUSED: "no permission for this app"}
RATE, BEGAN = 148.9, datetime(2026, 11, 22, 20, tzinfo=UTC).timestamp()

chance, now, lines = Random(5), 0.0, []
waiting = [(BEGAN + n / RATE, n, 0, 0.0) for n in range(21_000)]  # ready at, number, calls so far, first call at
while waiting:
    ready, n, calls, first = heapq.heappop(waiting)
    unsent, calls = n % 3 == 2 and n > 16_100, calls + 1
    now = max(now, ready) + (0 if unsent else 1 / RATE) + (900 if n == 15_000 and calls == 1 else 0)
    ended, first = now + 0.02 + chance.expovariate(60) + chance.expovariate(60), first or now
    code, status = (GONE, "already_stopped") if chance.random() < 0.06 else (None, "stopped")
    if n % 3 == 2 and n > 16_000:
        code, status = REFUSED, "set_aside"
    elif BEGAN + 40 < now < BEGAN + 70 and chance.random() < 0.5:
        code, status = "InternalError", "gave_up"
        if calls < 4:
            heapq.heappush(waiting, (ended + chance.uniform(0, 2**calls / 2), n, calls, first))
            continue
    texts = {"status": status, "request_id": None if unsent else f"{chance.getrandbits(96):024X}", "code": code}
    texts["finished_at"] = datetime.fromtimestamp(ended, UTC).isoformat(timespec="milliseconds")
    texts["message"] = MESSAGES.get(code or "")
    counts = {"attempts": 0 if unsent else calls, "line": n + 2, "seconds": round(ended - first, 3)}
    ids = {"AppId": f"6{n % 3}a9f0c2b7d14e5f88", "RoomId": f"room-{n // 4}", "TaskId": f"record-{n}"}
    lines.append(json.dumps({**ids, **texts, **counts, "source": "tasks.csv"}, separators=(",", ":")) + "\n")

with TemporaryDirectory() as folder:
    report = Path(folder, "report.jsonl")
    report.write_text("".join(lines))
    # In China, an hour after the run.
    variables = os.environ | {"TZ": "Asia/Shanghai", "SOURCE_DATE_EPOCH": str(int(BEGAN) + 3600)}
    options = ["--lang=en", "--account=team-a", "--endpoint=https://rtc.volcengineapi.com", "--html", sys.argv[1]]
    run([sys.executable, "-m", "stopcast", "summary", report, *options], env=variables, check=False)
