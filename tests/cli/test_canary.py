"""The canary: the first tasks are sent alone, and the others only if each of these ends well."""

from __future__ import annotations

from pathlib import Path

import pytest

from stopcast import CanaryError, Stopper
from stopcast.run import Run
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from stopcast.sources.iterables import batches_of
from support.processes import Shell, lines_by_task, statuses, tasks, write_csv

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"


def test_after_a_good_canary_the_other_tasks_are_sent(shell: Shell, api: Emulator, at: At) -> None:
    api.running = set(tasks(40, first=3))
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(40)), *at, "--canary", "5")
    assert ended.status == 0
    assert "Canary passed: the first 5 tasks ended well" in ended.err
    assert statuses(shell / REPORT) == {"stopped": 37, "already_stopped": 3}


@pytest.mark.parametrize(
    ("fault", "status", "how"),
    [
        ("parameter", "failed", "was refused (InvalidParameter"),
        ("app", "set_aside", "was set aside (InvalidParameter.NotExistAppId)"),
        ("internal", "gave_up", "was given up (InternalError)"),
    ],
)
def test_after_a_bad_canary_nothing_else_is_sent_and_the_status_is_3(
    shell: Shell, api: Emulator, at: At, *, fault: str, status: str, how: str
) -> None:
    api.faults = Faults({fault: [tasks(3)[2]]})
    name = write_csv(shell / "list.csv", tasks(500))
    ended = shell.run("run", name, *at, "--canary", "3", "--max-attempts", "1")
    assert ended.status == 3
    assert ended.without_traceback
    assert f"canary failed: app/room-2/task-2 {how}" in ended.err
    assert "Nothing beyond the first 3 tasks was sent" in ended.err
    # First why it ended, then the totals, then the command.
    assert (
        ended.err.index("canary failed") < ended.err.index("3 rows: 2 stopped") < ended.err.index("stopcast run --re")
    )
    assert "stopcast run --resume" in ended.err
    assert statuses(shell / REPORT) == {"stopped": 2, status: 1}
    assert api.calls == 3


def test_a_canary_of_one_task_and_a_halt_after_one_have_words_of_their_own(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": [tasks(1)[0], tasks(1)[0]]})
    name = write_csv(shell / "list.csv", tasks(5))
    ended = shell.run("run", name, *at, "--canary", "1", "-o", "one.jsonl")
    assert "Nothing beyond the first task was sent" in ended.err
    ended = shell.run("run", name, *at, "--halt-after", "1", "--max-at-once", "1", "-o", "two.jsonl")
    assert "the first task ended badly, too many to go on: InvalidParameter" in ended.err


def test_invalid_and_duplicate_rows_do_not_count_for_the_canary(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": [tasks(3)[1]]})
    listed = tasks(300)
    name = write_csv(shell / "list.csv", [listed[0]._replace(task_id=""), listed[0], listed[0], *listed[1:]])
    assert shell.run("run", name, *at, "--canary", "1").status == 1
    assert sum(lines_by_task(shell / REPORT).values()) == 302


def test_a_resumed_run_takes_its_canary_from_the_remaining_rows(shell: Shell, api: Emulator, at: At) -> None:
    api.faults = Faults({"parameter": tasks(1)})
    name = write_csv(shell / "list.csv", tasks(50))
    assert shell.run("run", name, *at, "--canary", "1").status == 3
    assert shell.run("run", name, *at, "--canary", "1", "--resume").status == 1
    assert statuses(shell / REPORT) == {"stopped": 49, "failed": 1}
    assert api.calls == 50


async def test_the_class_run_raises_canary_error(tmp_path: Path) -> None:
    async with Emulator(faults=Faults({"parameter": 1.0})) as emulator:
        async with Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url) as stopper:
            run = Run(stopper, tmp_path / "report", canary=2)
            with pytest.raises(CanaryError):
                await run.stop_lists(batches_of(tasks(100)))
        assert emulator.calls <= 2
