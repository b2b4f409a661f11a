"""Warnings about options and lists: misspelt variables, visible passwords, a rehearsal's report as a list."""

from __future__ import annotations

import gzip

import pytest

from stopcast.sandbox import Emulator
from support.processes import Shell, statuses, tasks, write_csv

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"


def test_a_misspelt_variable_is_warned_of_with_the_name_that_is_meant(shell: Shell) -> None:
    shell.variables |= {"STOPCAST_MAX_AT_ONEC": "5", "STOPCAST_ELEPHANT": "x", "STOPCAST_MAX_LENGTH": "7"}
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(1)), "--sandbox")
    assert ended.status == 0
    assert "STOPCAST_MAX_AT_ONEC is unknown, and ignored. Did you mean STOPCAST_MAX_AT_ONCE?" in ended.err
    assert "STOPCAST_ELEPHANT is unknown, and ignored\n" in ended.err
    assert "STOPCAST_MAX_LENGTH" not in ended.err  # an option of another command


@pytest.mark.parametrize("command", ["status", "enqueue"])
def test_a_password_in_the_url_of_a_queue_is_warned_of_where_others_can_see_it(shell: Shell, command: str) -> None:
    url = "redis://:geheim@127.0.0.1:1/0/q"
    for arguments, warned in ((("--queue", url), True), ((), False)):
        shell.variables["STOPCAST_QUEUE"] = url
        ended = shell.run(command, *arguments, given=b"a,r,t\n")
        assert ended.status == 3
        assert ("can see the password in --queue; set STOPCAST_QUEUE" in ended.err) == warned
        assert "geheim" not in ended.err


@pytest.mark.parametrize("compressed", [False, True])
def test_the_report_of_a_rehearsal_is_no_list_for_a_real_run(
    shell: Shell, api: Emulator, at: At, *, compressed: bool
) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    assert shell.run("run", name, "--sandbox", "-o", "rehearsed.jsonl").status == 0
    if compressed:
        (shell / "rehearsed.jsonl").write_bytes(gzip.compress((shell / "rehearsed.jsonl").read_bytes()))
    for options in ((), ("--dry-run",)):
        ended = shell.run("run", "rehearsed.jsonl", *at, *options)
        assert (ended.status, api.calls) == (2, 0)
        assert "Name the list that it was run over" in ended.err
    assert shell.run("run", "rehearsed.jsonl", "--sandbox").status == 0
    assert shell.run("enqueue", "rehearsed.jsonl", "--queue", "redis://127.0.0.1:1/0/q").status == 2


def test_a_report_whose_rows_are_all_good_says_that_there_is_nothing_to_stop(shell: Shell, at: At) -> None:
    assert shell.run("run", write_csv(shell / "list.csv", tasks(3)), *at).status == 0
    ended = shell.run("run", REPORT, *at, "-o", "again.jsonl")
    assert (ended.status, (shell / "again.jsonl").exists()) == (0, False)
    assert "\nNothing to stop.\n3 rows left out" in ended.err
    assert statuses(shell / REPORT) == {"stopped": 3}
