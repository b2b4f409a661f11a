"""Outcomes that were never those of a call, and reports of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from stopcast.report.line import line_of
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task
from support.processes import Shell

NOON: Final = 1_763_812_800.0
#: A list or an answer may contain this, and a page must show it as text.
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\x00\x1b\u202e\u2066"
)


def outcome(task: Task, status: Status = Status.STOPPED, **values: Any) -> Outcome:
    """Return an outcome of one attempt that ended at noon."""
    sent = {"attempts": 1, "finished_at": NOON, "seconds": 0.05}
    return Outcome(task, status, **{**sent, **values})


def write_report(path: Path, outcomes: Iterable[Outcome], *, torn: bytes = b"") -> str:
    """Write a report, and return its name for the command line. ``torn`` is the start of a line that has no end."""
    path.write_bytes(b"".join(map(line_of, outcomes)) + torn)
    return path.name


def page_of(shell: Shell, outcomes: Iterable[Outcome], *options: str) -> str:
    """Return the page of a report, which is in page.html too."""
    name = write_report(shell / "r.jsonl", outcomes)
    ended = shell.run("summary", name, "--html", "page.html", *options)
    assert ended.status in {0, 1}
    assert re.fullmatch(r"(The page is in|页面已写入) page\.html.\n", ended.err)
    return (shell / "page.html").read_text("utf-8")


def mixed(number: int, *, text: str = "") -> list[Outcome]:
    """Return outcomes with every status, ten in each second."""
    all_statuses = list(Status)
    return [
        outcome(
            Task(f"app-{n % 5}", f"room-{n}", f"task-{n}"),
            all_statuses[n % len(all_statuses)],
            attempts=1 + n % 4,
            seconds=0.02 * (1 + n % 9),
            code=f"Code{n % 7}{text}",
            message=f"message {n} {text}",
            request_id=f"request-{n}{text}",
            source=f"list{text}.csv",
            line=n + 1,
            finished_at=NOON + n // 10,
        )
        for n in range(number)
    ]
