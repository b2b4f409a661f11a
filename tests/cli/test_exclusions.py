"""``--except``: tasks that are never sent, whatever the lists say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stopcast.sandbox import Emulator
from support.processes import Shell, read_report, settled_by, statuses, tasks, write_csv, write_jsonl

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"


def write_report(path: Path) -> str:
    """Write an earlier report of tasks 0 to 2: one stopped, one failed, one given up."""
    lines = (
        {
            "AppId": t.app_id,
            "RoomId": t.room_id,
            "TaskId": t.task_id,
            "status": status,
            "attempts": 1,
            "finished_at": "",
        }
        for t, status in zip(tasks(3), ("stopped", "failed", "gave_up"), strict=True)
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path.name


@pytest.mark.parametrize("write", [write_csv, write_jsonl], ids=["csv", "jsonl"])
def test_an_excluded_task_is_never_sent_and_has_one_line(shell: Shell, api: Emulator, at: At, write: object) -> None:
    excepted = write(shell / "keep.any", tasks(4))  # type: ignore[operator]
    name = write_csv(shell / "list.csv", tasks(10))
    ended = shell.run("run", name, *at, "--except", excepted, "--json")
    assert ended.status == 0
    assert api.stopped == set(tasks(10)) - set(tasks(4))
    assert statuses(shell / REPORT) == {"stopped": 6, "excluded": 4}
    assert settled_by(shell / REPORT, "excluded") == set(tasks(4))
    assert (ended.summary["statuses"]["excluded"], ended.summary["good"], ended.summary["bad"]) == (4, 10, 0)
    assert "4 excluded" in ended.err


def test_several_lists_of_exceptions_and_standard_input_count_together(shell: Shell, api: Emulator, at: At) -> None:
    first = write_csv(shell / "one.csv", tasks(1))
    name = write_csv(shell / "list.csv", tasks(4))
    ended = shell.run(
        "run", name, *at, "--except", first, "--except", "-", given=b"AppId,RoomId,TaskId\napp,room-2,task-2\n"
    )
    assert ended.status == 0
    assert api.stopped == {tasks(4)[1], tasks(4)[3]}


def test_of_an_earlier_report_every_line_is_an_exception(shell: Shell, api: Emulator, at: At) -> None:
    excepted = write_report(shell / "earlier.jsonl")
    assert shell.run("run", write_csv(shell / "list.csv", tasks(5)), *at, "--except", excepted).status == 0
    assert api.stopped == set(tasks(5)[3:])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,r,t\na,,t\n", "line 2: RoomId is empty"),
        (b"a,r,t\na,r,no id\n", "line 2: TaskId may not hold"),
        (b"a,r,t\na,r\n", "line 2"),
        (b'{"AppId":"a","RoomId":"r","TaskId":"t"}\n{"AppId":"a"\n', "line 2"),
        (None, "keep.any does not exist"),
    ],
    ids=["no room", "bad id", "two columns", "torn", "missing"],
)
def test_an_exception_that_cannot_be_understood_stops_everything_before_the_first_call(
    shell: Shell, api: Emulator, at: At, content: bytes | None, words: str
) -> None:
    if content is not None:
        (shell / "keep.any").write_bytes(content)
    name = write_csv(shell / "list.csv", tasks(3))
    for options in ((), ("--dry-run",), ("--expect", "3")):
        ended = shell.run("run", name, *at, "--except", "keep.any", *options)
        assert (ended.status, api.calls) == (2, 0)
        assert words in ended.err
        assert ended.without_traceback
        assert not (shell / REPORT).exists()


def test_standard_input_cannot_be_a_list_and_an_exception(shell: Shell, api: Emulator, at: At) -> None:
    for lists in ((), ("-",)):
        ended = shell.run("run", *lists, *at, "--except", "-", given=b"a,r,t\n")
        assert (ended.status, api.calls) == (2, 0)
        assert "only once" in ended.err


def test_an_exception_wins_over_what_the_report_says_and_stays_when_it_is_no_longer_given(
    shell: Shell, api: Emulator, at: At
) -> None:
    name = write_csv(shell / "list.csv", tasks(4))
    api.fail_forever = set(tasks(2))
    assert shell.run("run", name, *at, "--max-attempts", "1").status == 1
    api.fail_forever = ()
    excepted = write_csv(shell / "keep.csv", [*tasks(1), *tasks(1, first=3)])
    assert shell.run("run", name, *at, "--resume", "--except", excepted).status == 0
    # Task 3 had been stopped before it was excluded: its line stays.
    assert statuses(shell / REPORT) == {"stopped": 3, "excluded": 1}
    calls = api.calls
    assert shell.run("run", name, *at, "--resume").status == 0
    assert (api.calls, tasks(1)[0] in api.stopped) == (calls, False)
    assert len(read_report(shell / REPORT)) == 4


def test_the_plan_counts_what_is_excluded(shell: Shell) -> None:
    name, excepted = write_csv(shell / "list.csv", tasks(5)), write_csv(shell / "keep.csv", tasks(2))
    text = shell.run("run", name, "--dry-run", "--except", excepted).out
    assert "3 tasks to stop" in text
    assert "2 rows excluded by --except" in text
    plan = shell.run("run", name, "--dry-run", "--except", excepted, "--json", "--expect", "5").summary
    assert (plan["tasks"], plan["excluded"], plan["rows"]) == (3, 2, 5)


def test_a_limit_counts_an_excluded_task_whether_or_not_the_report_has_it_already(
    shell: Shell, api: Emulator, at: At
) -> None:
    name, excepted = write_csv(shell / "list.csv", tasks(9)), write_csv(shell / "keep.csv", tasks(2))
    for options in ((), ("--resume",)):
        assert shell.run("run", name, *at, "--limit", "5", "--except", excepted, *options).status == 0
        assert statuses(shell / REPORT) == {"stopped": 3, "excluded": 2}
    assert api.calls == 3


def test_exceptions_that_exclude_nothing_are_warned_of_in_the_plan_and_after_the_run(shell: Shell, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(2))
    (shell / "keep.csv").write_text(f"AppId,RoomId,TaskId\n{','.join(tasks(1)[0]).upper()}\n")
    words = "--except excluded no row: the lists name none of its tasks"
    assert words in shell.run("run", name, "--dry-run", "--except", "keep.csv").out
    assert words in shell.run("run", name, *at, "-q", "--except", "keep.csv").err
    for options in (("--limit", "1"), ("--except", write_csv(shell / "first.csv", tasks(1)))):
        assert words not in shell.run("run", name, "--dry-run", "--except", "keep.csv", *options).out
    assert shell.run("run", name, *at, "-o", "again.jsonl", "--except", "first.csv").status == 0
    assert words not in shell.run("run", name, *at, "-o", "again.jsonl", "--resume", "--except", "first.csv").err


def test_a_list_of_exceptions_without_any_is_warned_of(shell: Shell, at: At) -> None:
    (shell / "keep.csv").write_text("AppId,RoomId,TaskId\n")
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(2)), *at, "--except", "keep.csv")
    assert ended.status == 0
    assert "--except name no task: keep.csv" in ended.err


def test_excluded_rows_are_neither_run_again_nor_verified_and_are_summarised_as_good(
    shell: Shell, api: Emulator, at: At
) -> None:
    name, excepted = write_csv(shell / "list.csv", tasks(3)), write_csv(shell / "keep.csv", tasks(1))
    assert shell.run("run", name, *at, "--except", excepted, "--verify", "--verify-after", "0").status == 0
    assert len(api.queries) == 2
    assert shell.run("run", REPORT, *at, "-o", "again.jsonl").status == 0
    assert not (shell / "again.jsonl").exists()
    for reports in ((REPORT,), (REPORT, REPORT)):
        ended = shell.run("summary", *reports, "--html", "page.html")
        assert (ended.status, "1 excluded" in ended.out) == (0, True)
