"""The queue's commands in a shell that has the queue's address in its environment."""

from __future__ import annotations

from typing import Any, Final

from stopcast import Task
from support.processes import Shell, write_csv

#: A worker that is silent for half a second is taken for dead.
SOON: Final = ("--claim-after", "0.5")


def enqueued(queue: Shell, listed: list[Task]) -> None:
    assert queue.run("enqueue", write_csv(queue / "list.csv", listed)).status == 0


def work(queue: Shell, report: str, *options: str) -> Any:
    return queue.run("worker", "--until-empty", "-o", report, *SOON, *options)
