"""``stopcast verify`` and ``stopcast run --verify``: which tasks are asked about, and what follows."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from stopcast import Status, TaskState
from stopcast.cli.options import CallOptions, ListOptions, Options, ReportOptions
from stopcast.cli.running.execution import run_job
from stopcast.cli.running.job import RunJob
from stopcast.cli.running.stopping import stop_job
from stopcast.cli.running.verification import verification_of
from stopcast.cli.signals import Signals
from stopcast.cli.user import User
from stopcast.errors import InterruptedRunError
from stopcast.sandbox import Emulator, Faults
from stopcast.stopper import Verifier
from stopcast.tasks.task import Task
from support.command import keeping_signals
from support.processes import Shell, end_of, read_report, statuses, tasks, until, write_csv

At = tuple[str, ...]
PROOF = "stopcast-verify.jsonl"


@pytest.fixture
def asked(api: Emulator) -> At:
    """Options that send a verification to the emulator at full speed."""
    return ("--endpoint", api.url, "--max-per-second", "100000")


def write_report(path: Path, listed: Iterable[Task], *, status: str = "stopped", hours_ago: float = 0.0) -> str:
    """Write a report whose tasks were finished this long ago, and return its name."""
    finished_at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - hours_ago * 3600))
    with path.open("a") as report:
        for task in listed:
            ids = dict(zip(("AppId", "RoomId", "TaskId"), task, strict=True))
            line = {**ids, "status": status, "attempts": 1, "code": None, "finished_at": finished_at}
            report.write(json.dumps(line, separators=(",", ":")) + "\n")
    return path.name


def test_after_a_run_every_task_has_ended_and_the_status_is_0(shell: Shell, api: Emulator, at: At, asked: At) -> None:
    assert shell.run("run", write_csv(shell / "list.csv", tasks(30)), *at, "-o", "report.jsonl").status == 0
    ended = shell.run("verify", "report.jsonl", *asked)
    assert (ended.status, ended.out) == (0, "")
    assert "30 rows: 30 ended" in ended.err
    lines = read_report(shell / PROOF)
    assert {line["StopReason"] for line in lines} == {"StopByAPI"}
    assert all(abs(line["EndTime"] / 1000 - time.time()) < 600 for line in lines)
    # Their places in the list of the run.
    assert sorted((line["source"], line["line"]) for line in lines) == [("list.csv", line) for line in range(2, 32)]
    assert not (shell / f"{PROOF}.inflight").exists()
    assert len(api.queries) == 30


def test_a_task_that_still_runs_gives_status_1_and_a_command_that_stops_it(
    shell: Shell, api: Emulator, at: At, asked: At
) -> None:
    listed = tasks(5)
    api.faults = Faults({"ignored": [listed[3]]})
    assert shell.run("run", write_csv(shell / "list.csv", listed), *at, "-o", "report.jsonl").status == 0
    ended = shell.run("verify", "report.jsonl", *asked)
    assert ended.status == 1
    assert "5 rows: 4 ended, 1 still running" in ended.err
    (command,) = [line.split() for line in ended.err.splitlines() if line.startswith("  stopcast run ")]
    assert shell.run(*command[1:]).status == 0
    assert api.stopped == set(listed)
    assert statuses(shell / "again.jsonl") == {"stopped": 1}


def test_no_command_that_stops_tasks_is_printed_where_no_task_still_runs(
    shell: Shell, api: Emulator, asked: At
) -> None:
    listed = tasks(2)
    api.states = {listed[0]: TaskState(3, "StopByAPI", 5), listed[1]: TaskState(1)}
    ended = shell.run("verify", write_csv(shell / "list.csv", listed), *asked)
    assert (ended.status, "1 not started" in ended.err) == (1, True)
    assert "stopcast verify list.csv -o" in ended.err
    assert "stopcast run" not in ended.err


def test_a_resumed_verification_skips_tasks_that_have_ended(shell: Shell, api: Emulator, asked: At) -> None:
    listed = tasks(4)
    name = write_csv(shell / "list.csv", listed)
    first = shell.run("verify", name, *asked, "--json")
    assert (first.status, first.summary["statuses"]["still_running"]) == (1, 4)
    assert "stopped" not in first.summary["statuses"]
    api.states = {task: TaskState(3, "ExceedMaxRunningTime", 7) for task in listed[:3]}
    second = shell.run("verify", name, *asked, "--resume", "--json")
    assert second.summary["statuses"] == {
        "failed": 0, "set_aside": 0, "gave_up": 0, "invalid": 0, "duplicate": 0,
        "ended": 3, "still_running": 1, "not_started": 0, "unknown": 0,
    }  # fmt: skip
    before = len(api.queries)
    api.states = {task: TaskState(3, "ExceedMaxRunningTime", 7) for task in listed}
    assert shell.run("verify", name, *asked, "--resume").status == 0
    assert len(api.queries) - before == 1
    assert statuses(shell / PROOF) == {"ended": 4}


def test_lines_older_than_72_hours_are_left_out_and_counted(shell: Shell, api: Emulator, asked: At) -> None:
    old, new = tasks(2), tasks(3, first=2)
    write_report(shell / "report.jsonl", old, hours_ago=72.1)
    write_report(shell / "report.jsonl", new, hours_ago=71.9)
    api.running = set()
    api.states = dict.fromkeys(new, TaskState(3, "StopByAPI", 5))
    ended = shell.run("verify", "report.jsonl", *asked)
    assert ended.status == 0
    assert "2 rows not asked about: finished more than 72 hours ago" in ended.err
    assert {line["TaskId"] for line in read_report(shell / PROOF)} == {task.task_id for task in new}
    assert len(api.queries) == 3


def test_where_all_lines_are_too_old_the_clock_that_says_so_is_named(shell: Shell, api: Emulator, asked: At) -> None:
    write_report(shell / "report.jsonl", tasks(2), hours_ago=200)
    text = " ".join(shell.run("verify", "report.jsonl", *asked).err.split())
    assert re.search(r"Nothing to ask about\. .*by the clock of this machine, 20\d\d-\d\d-\d\d \d\d:\d\d", text)
    assert len(api.queries) == 0


def test_a_verification_of_a_report_skips_rows_without_a_task_or_with_an_ended_one(
    shell: Shell, api: Emulator, asked: At
) -> None:
    for number, status in enumerate(Status):
        write_report(shell / "report.jsonl", tasks(1, first=number), status=status)
    assert shell.run("verify", "report.jsonl", *asked).status == 1
    left_out = {Status.INVALID, Status.DUPLICATE, Status.EXCLUDED, Status.ENDED}
    assert len(api.queries) == len(Status) - len(left_out)
    shell.run("verify", "report.jsonl", *asked, "--only", "failed,gave_up", "-o", "some.jsonl")
    assert len(read_report(shell / "some.jsonl")) == 2


def test_a_run_and_a_verification_refuse_to_continue_each_others_reports(
    shell: Shell, api: Emulator, at: At, asked: At
) -> None:
    name = write_csv(shell / "list.csv", tasks(2))
    assert shell.run("run", name, *at, "-o", "run.jsonl").status == 0
    refused = shell.run("verify", name, *asked, "-o", "run.jsonl", "--resume")
    assert (refused.status, "report of `stopcast run`" in refused.err) == (2, True)
    assert shell.run("verify", name, *asked, "-o", "proof.jsonl").status == 0
    refused = shell.run("run", name, *at, "-o", "proof.jsonl", "--resume")
    assert (refused.status, "report of `stopcast verify`" in refused.err) == (2, True)
    assert (len(api.queries), api.calls) == (2, 2)


def test_the_log_of_a_verification_can_be_json(shell: Shell, asked: At) -> None:
    ended = shell.run("verify", write_csv(shell / "t.csv", tasks(1)), *asked, "--log-format", "json")
    events = [json.loads(line)["event"] for line in ended.err.splitlines()]
    assert "summary" in events


def test_a_refused_key_ends_a_verification_with_3_and_names_the_missing_right(
    shell: Shell, api: Emulator, asked: At
) -> None:
    api.faults = Faults({"LackPolicy": 1.0})
    ended = shell.run("verify", write_csv(shell / "list.csv", tasks(50)), *asked)
    assert (ended.status, "rights for GetWebCastTask" in ended.err) == (3, True)
    assert len(api.queries) < 50 or len(read_report(shell / PROOF)) == 0


def test_a_cap_above_the_quota_of_queries_is_refused(shell: Shell) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    ended = shell.run("verify", name, "--max-per-second", "61")
    assert (ended.status, "quota of 60" in ended.err) == (2, True)


def test_run_with_verify_prints_both_summaries_in_one_object(shell: Shell, api: Emulator, at: At) -> None:
    listed = tasks(6)
    api.faults = Faults({"ignored": [listed[0]], "parameter": [listed[1]]})
    name = write_csv(shell / "list.csv", [*listed, listed[5]])
    ended = shell.run("run", name, *at, "--verify", "--verify-after", "0", "-o", "r.jsonl", "--json")
    assert ended.status == 1
    assert ended.summary["statuses"]["stopped"] == 5
    assert ended.summary["verify"]["statuses"]["ended"] == 4
    assert ended.summary["verify"]["statuses"]["still_running"] == 2
    assert statuses(shell / "r.verify.jsonl") == {"ended": 4, "still_running": 2}
    again = shell.run("run", name, *at, "--verify", "--verify-after", "0", "-o", "r.jsonl", "--resume", "--json")
    assert again.summary["verify"]["settled_earlier"] == 4


def test_the_canary_of_a_run_does_not_apply_to_its_verification(shell: Shell, api: Emulator, at: At) -> None:
    listed = tasks(6)
    api.faults = Faults({"ignored": listed})
    name = write_csv(shell / "list.csv", listed)
    assert shell.run("run", name, *at, "--canary", "1", "--verify", "--verify-after", "0", "-o", "r.jsonl").status == 1
    assert statuses(shell / "r.verify.jsonl") == {"still_running": 6}


def test_run_with_verify_is_refused_before_any_call_if_its_second_report_cannot_be_written(
    shell: Shell, api: Emulator, at: At
) -> None:
    name = write_csv(shell / "list.csv", tasks(2))
    (shell / "r.verify.jsonl").write_text("")
    ended = shell.run("run", name, *at, "--verify", "-o", "r.jsonl")
    assert (ended.status, "r.verify.jsonl exists already" in ended.err) == (2, True)
    ended = shell.run("run", name, *at, "--verify", "-o", "/dev/null")
    assert (ended.status, "/dev/null is not a file" in ended.err) == (2, True)
    assert api.calls == 0


def test_a_signal_during_the_verification_prints_the_command_that_continues(
    shell: Shell, api: Emulator, at: At
) -> None:
    listed = tasks(40)
    api.query_quota_per_second = 0
    name = write_csv(shell / "list.csv", listed)
    process = shell.start("run", name, *at, "--verify", "--verify-after", "0", "-o", "r.jsonl", "--grace", "0.1")
    until(lambda: api.throttled > 3)
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)
    assert ended.status == 143
    assert ended.without_traceback
    assert "stopcast run --resume list.csv" in ended.err
    assert statuses(shell / "r.jsonl") == {"stopped": 40}


def test_calls_that_only_ask_and_are_cut_off_leave_no_doubt_whether_tasks_were_stopped(
    shell: Shell, api: Emulator
) -> None:
    api.faults = Faults({"hang": 1.0})
    process = shell.start("verify", write_csv(shell / "list.csv", tasks(3)), "--endpoint", api.url)
    until(lambda: len(api.queries) == 3)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    while b"second signal" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGTERM)
    ended = end_of(process)
    assert (ended.status, "were stopped" in ended.err) == (143, False)
    assert "3 calls in flight were cut off: --resume asks about their tasks again." in ended.err


def test_a_sandbox_run_can_be_verified(shell: Shell) -> None:
    shell.variables.clear()
    name = write_csv(shell / "list.csv", tasks(3))
    ended = shell.run("run", name, "--sandbox", "--verify", "--verify-after", "0")
    assert (ended.status, "3 rows: 3 ended" in ended.err) == (0, True)


def test_a_report_that_is_moved_before_its_verification_is_named_and_gives_status_3(
    shell: Shell, api: Emulator, at: At
) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    process = shell.start("run", name, *at, "--verify", "--verify-after", "3", "-o", "r.jsonl", "--json")
    until(lambda: len(api.stopped) == 3 and not (shell / "r.jsonl.inflight").exists())
    (shell / "r.jsonl").rename(shell / "moved.jsonl")
    ended = end_of(process)
    assert (ended.status, "the report r.jsonl is not there any more" in ended.err) == (3, True)
    assert "--resume" not in ended.err
    assert ended.summary["statuses"]["stopped"] == 3
    assert len(api.queries) == 0


def replaced_by_another(report: Path) -> None:
    """Do what a person does who needs the report's name for another run."""
    lines = report.read_bytes()
    report.unlink()
    report.write_bytes(lines.replace(b"task-", b"other-"))


def test_after_a_run_the_report_of_another_run_is_not_verified(shell: Shell, api: Emulator, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    process = shell.start("run", name, *at, "--verify", "--verify-after", "3", "-o", "r.jsonl")
    until(lambda: len(api.stopped) == 3 and not (shell / "r.jsonl.inflight").exists())
    replaced_by_another(shell / "r.jsonl")
    ended = end_of(process)
    assert (ended.status, "r.jsonl is another file now" in ended.err) == (3, True)
    assert len(api.queries) == 0


def test_a_run_whose_report_was_moved_verifies_and_names_no_other(shell: Shell, api: Emulator) -> None:
    slow = ("--endpoint", api.url, "--max-per-second", "20", "--verify", "--verify-after", "0")
    process = shell.start("run", write_csv(shell / "list.csv", tasks(40)), *slow, "-o", "r.jsonl")
    until(lambda: len(api.stopped) > 3)
    (shell / "r.jsonl").rename(shell / "moved.jsonl")
    (shell / "r.jsonl").write_bytes((shell / "moved.jsonl").read_bytes())
    ended = end_of(process)
    assert (ended.status, "r.jsonl is another file now" in ended.err) == (3, True)
    assert "report: r.jsonl" not in ended.err
    assert len(api.queries) == 0
    assert statuses(shell / "moved.jsonl") == {"stopped": 40}


async def test_a_signal_before_the_first_question_keeps_the_totals_and_the_command_that_continues(
    tmp_path: Path,
) -> None:
    write_csv(tmp_path / "list.csv", tasks(3))
    options = Options(
        lists=ListOptions(tasks=(str(tmp_path / "list.csv"),)),
        calls=CallOptions(sandbox=True),
        report=ReportOptions(path=str(tmp_path / "r.jsonl")),
    )
    job = stop_job(options, verify_after_seconds=0.0)

    class Opening(Verifier):
        async def __aenter__(self) -> Self:
            signal.raise_signal(signal.SIGTERM)
            await asyncio.Event().wait()
            return await super().__aenter__()

    def begin() -> RunJob:
        return replace(verification_of(options), calls=Opening)

    with keeping_signals(), Signals() as signals:
        ended = await run_job(replace(job, verification=begin), User(options.output), signals)
    assert isinstance(ended.error, InterruptedRunError)
    assert (ended.summary or {})["statuses"]["stopped"] == 3
    assert ended.resume_with is not None
