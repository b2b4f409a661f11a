"""The plan of a run, and the question at a terminal."""

from __future__ import annotations

import re

import pytest

from stopcast.sandbox import Emulator
from support.processes import Shell, read_report, statuses, tasks, write_csv
from support.usage import refused

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"
ELSEWHERE = "https://0.0.0.0:1"  # not loopback by its name, and no server listens there


# The plan


def test_a_dry_run_prints_the_plan_without_credentials_and_without_calls(shell: Shell, api: Emulator) -> None:
    shell.variables.clear()
    listed = [*tasks(298, app="one"), *tasks(150, app="two"), *tasks(2, app="one")]
    name = write_csv(shell / "list.csv", listed)
    with (shell / name).open("a") as rows:
        rows.writelines(f"one,room {n},t\n" for n in range(12))
    ended = shell.run("run", name, "--dry-run", "--endpoint", api.url)
    assert ended.status == 1
    assert ended.err == ""
    plan = ended.out
    assert "448 tasks" in plan
    assert "one: 298" in plan
    assert "two: 150" in plan
    assert re.search(r"\b2 rows given twice", plan)
    assert "12 rows without a valid task" in plan
    assert [f"list.csv:{line}:" in plan for line in range(452, 464)] == [True] * 10 + [False] * 2
    assert "3 s at 149 calls a second" in plan
    assert api.calls == 0
    assert not (shell / REPORT).exists()


def test_a_plan_counts_with_the_arrival_jitter(shell: Shell) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    assert "at 142 calls a second" in shell.run("run", name, "--dry-run", "--arrival-jitter", "50").out


def test_a_plan_and_a_run_show_a_rate_below_one(shell: Shell, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    assert "at 0.39 calls a second" in shell.run("run", name, "--dry-run", "--max-per-second", "0.4").out
    ended = shell.run("run", name, *at, "--max-per-second", "0.5")
    assert "1 call in" in ended.err
    assert "0.0 a second" not in ended.err


def test_a_plan_shows_invalid_rows_in_their_order(shell: Shell) -> None:
    (shell / "list.jsonl").write_text('["a","r","t"]\n["a","r",""]\n5\n["a","","t"]\nx\n')
    plan = shell.run("run", "list.jsonl", "--dry-run").out
    assert re.findall(r"list\.jsonl:(\d)", plan) == ["2", "3", "4", "5"]


def test_a_dry_run_of_good_rows_has_status_0(shell: Shell) -> None:
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), "--dry-run", "--json")
    assert ended.status == 0
    assert (ended.summary["tasks"], ended.summary["per_app"], ended.summary["invalid"]) == (3, {"app": 3}, 0)


def test_a_dry_run_with_resume_counts_the_rows_that_the_report_settles(shell: Shell, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(5))
    assert shell.run("run", name, *at, "--limit", "2").status == 0
    before = (shell / REPORT).read_bytes()
    ended = shell.run("run", name, "--dry-run", "--resume")
    assert ended.status == 0
    assert "3 tasks to stop" in ended.out
    assert "2 rows settled" in ended.out
    assert (shell / REPORT).read_bytes() == before


def test_resume_without_a_report_starts_one(shell: Shell, at: At) -> None:
    name = write_csv(shell / "list.csv", tasks(2))
    assert shell.run("run", name, "--dry-run", "--resume").status == 0
    assert shell.run("run", name, *at, "--resume", "--expect", "2").status == 0
    assert statuses(shell / REPORT) == {"stopped": 2}


@pytest.mark.parametrize("given", [True, False], ids=["standard input", "file"])
def test_a_run_that_expects_another_number_of_tasks_sends_nothing(
    shell: Shell,
    api: Emulator,
    at: At,
    given: bool,  # noqa: FBT001
) -> None:
    name = write_csv(shell / "list.csv", [*tasks(3), *tasks(1)])
    source, data = ("-", (shell / name).read_bytes()) if given else (name, b"")
    for wrong in ("2", "4", "0"):
        message = refused(shell, "run", source, *at, "--expect", wrong, given=data)
        assert message.count("\n") == 1
    assert api.calls == 0
    assert shell.run("run", source, *at, "--expect", "3", given=data).status == 0
    assert api.stopped == set(tasks(3))
    assert {line["source"] for line in read_report(shell / REPORT)} == {source}


def test_a_dry_run_reports_that_another_number_was_expected(shell: Shell) -> None:
    assert "4" in refused(shell, "run", write_csv(shell / "list.csv", tasks(3)), "--dry-run", "--expect", "4")


# At a terminal


def test_many_tasks_at_a_vendors_host_need_a_yes(shell: Shell) -> None:
    name = write_csv(shell / "list.csv", tasks(101))
    status, shown = shell.terminal("run", name, typed="n\n", expect="[y/N]")
    assert status == 3
    assert "101 tasks" in shown
    assert "Stop them at rtc.volcengineapi.com, with the key sa…?" in shown
    assert "othing was sent" in shown
    assert not (shell / REPORT).exists()


@pytest.mark.parametrize(("typed", "status"), [("\x03", 130), ("\x04", 3)], ids=["Control-C", "Control-D"])
def test_control_c_and_control_d_at_the_question_end_the_command_which_says_on_a_line_of_its_own_that_nothing_was_sent(
    shell: Shell, typed: str, status: int
) -> None:
    ended, shown = shell.terminal(
        "run", write_csv(shell / "list.csv", tasks(101)), "--endpoint", ELSEWHERE, typed=typed, expect="[y/N]"
    )
    assert ended == status
    assert "Traceback" not in shown
    assert shown.splitlines()[-1] == "Nothing was sent."
    assert not (shell / REPORT).exists()


@pytest.mark.parametrize(("number", "options"), [(101, ("--yes",)), (100, ())])
def test_there_is_no_question_with_yes_or_for_few_tasks(shell: Shell, number: int, options: At) -> None:
    name = write_csv(shell / "list.csv", tasks(number))
    status, shown = shell.terminal("run", name, "--endpoint", ELSEWHERE, "--max-attempts", "1", *options)
    assert status == 1
    assert "[y/N]" not in shown
    assert statuses(shell / REPORT) == {"gave_up": number}


def test_the_display_has_no_colours_with_no_color(shell: Shell, api: Emulator) -> None:
    shell.variables |= {"NO_COLOR": "1", "TERM": "xterm"}
    name = write_csv(shell / "list.csv", tasks(60))
    status, shown = shell.terminal("run", name, "--endpoint", api.url, "--max-per-second", "50")
    assert status == 0
    assert "in flight" in shown
    assert not re.search(r"\x1b\[[0-9;]*m", shown)


def test_the_display_is_not_drawn_without_a_terminal(shell: Shell, api: Emulator) -> None:
    name = write_csv(shell / "list.csv", tasks(60))
    ended = shell.run("run", name, "--endpoint", api.url, "--max-per-second", "50")
    assert ended.status == 0
    assert "\r" not in ended.err
    assert "\x1b" not in ended.err
    assert ended.out == ""


def test_control_characters_of_an_answer_never_reach_the_terminal(shell: Shell) -> None:
    (shell / "list.csv").write_bytes(b"a,r,t\na,r\x1b[2J\x07,u\n")
    status, shown = shell.terminal("run", "list.csv", "--sandbox", "--dry-run")
    assert status == 1
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
