"""A short run of ``benchmarks/chaos.py``: a queue whose workers and whose Redis are killed and stopped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).parents[2] / "benchmarks" / "chaos.py"


@pytest.mark.redis
def test_every_task_is_stopped_and_reported_while_workers_and_redis_are_killed_and_stopped() -> None:
    # With this seed the first two strikes kill Redis and a worker: how many follow depends on the machine.
    done = subprocess.run(
        [sys.executable, CHAOS, "--tasks", "700", "--cap", "400", "--strikes-every", "0.7", "--seed", "38"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "worker killed" in done.stdout
    assert "Redis killed" in done.stdout
