"""What ends a run early, or keeps it from starting: a silent API, a list of unknown ids, a deadline that has passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stopcast.cli.display.next_commands import resume_command
from stopcast.sandbox import Emulator, Faults
from support.processes import Shell, end_of, statuses, tasks, write_csv

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"
CLOSED = ("--endpoint", "http://127.0.0.1:9")


@pytest.fixture
def noon(shell: Shell) -> datetime:
    """Let the local time of the command be in the hour after noon, and return it."""
    behind = datetime.now(UTC).hour - 12
    shell.variables["TZ"] = f"TST{behind}"
    return datetime.now(UTC) - timedelta(hours=behind)


# No answer, and only answers that know no task


def test_a_run_whose_calls_are_never_answered_ends_with_status_3_and_says_why(shell: Shell) -> None:
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), *CLOSED, "--give-up-unanswered", "0.5")
    assert ended.status == 3
    for words in ("did not answer any call", "ClientConnectorError", "stopcast doctor", "--resume"):
        assert words in ended.err
    assert statuses(shell / REPORT) == {"gave_up": 3}


def test_an_api_that_answers_with_errors_is_not_silent(shell: Shell, api: Emulator, at: At) -> None:
    api.fail_forever = set(tasks(3))
    options = ("--give-up-unanswered", "0.1", "--max-attempts", "3")
    assert shell.run("run", write_csv(shell / "list.csv", tasks(3)), *at, *options).status == 1


@pytest.mark.parametrize("number", [1, 150])
def test_a_run_to_which_every_answer_is_no_such_task_is_warned_of_once(
    shell: Shell, api: Emulator, at: At, number: int
) -> None:
    api.running = set()
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(number)), *at)
    assert ended.status == 0
    assert ended.err.count("the right region?") == 1


def test_tasks_that_an_earlier_run_may_have_stopped_are_no_sign_of_wrong_ids(
    shell: Shell, api: Emulator, at: At
) -> None:
    name = write_csv(shell / "list.csv", tasks(20))
    api.faults = Faults({"reset_after": 1.0})
    shell.run("run", name, *at, "--max-attempts", "1")
    api.faults = Faults()
    ended = shell.run("run", name, *at, "--resume", "--json")
    assert statuses(shell / REPORT) == {"presumed_stopped": 20}
    assert "right ids" not in ended.err
    assert not ended.summary["no_such_task_only"]


def test_one_task_that_was_known_is_enough_for_no_warning(shell: Shell, api: Emulator, at: At) -> None:
    api.running = set(tasks(1))
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(150)), *at)
    assert (ended.status, "the right region?" in ended.err) == (0, False)


# --until


def test_a_time_of_day_that_has_just_passed_is_refused_without_a_terminal(
    shell: Shell, api: Emulator, at: At, noon: datetime
) -> None:
    name = write_csv(shell / "list.csv", tasks(3))
    for passed, status in ((noon - timedelta(hours=2), 2), (noon - timedelta(hours=7), 0)):
        ended = end_of(shell.start("run", name, *at, "--until", f"{passed:%H:%M}", "-o", f"{status}.jsonl"))
        tomorrow = f"{passed + timedelta(days=1):%Y-%m-%d %H:%M}"
        assert ended.status == status
        assert f"ntil {tomorrow}, in " in ended.err
        assert ("it would mean tomorrow" in ended.err) == (status == 2)
        assert api.calls == (0 if status == 2 else 3)


def test_at_a_terminal_it_is_asked_whether_tomorrow_is_meant(
    shell: Shell, api: Emulator, at: At, noon: datetime
) -> None:
    name, passed = write_csv(shell / "list.csv", tasks(3)), noon - timedelta(minutes=30)
    for typed, status, calls in (("n\n", 3, 0), ("y\n", 0, 3)):
        ended, shown = shell.terminal("run", name, *at, "--until", f"{passed:%H:%M}", typed=typed, expect="meant?")
        assert (ended, api.calls) == (status, calls), shown


@pytest.mark.parametrize("hours", [3, 9])
def test_the_plan_shows_the_moment_of_the_deadline_and_the_time_until_it(
    shell: Shell, noon: datetime, hours: int
) -> None:
    ahead = noon + timedelta(hours=hours)
    name = write_csv(shell / "list.csv", tasks(3))
    ended = end_of(shell.start("run", name, "--dry-run", "--until", f"{ahead:%H:%M}"))
    assert f"Until {ahead:%Y-%m-%d %H:%M}, in " in ended.out


def test_a_deadline_is_never_shown_as_the_minute_before_it(shell: Shell, at: tuple[str, ...]) -> None:
    ahead = datetime.now().astimezone() + timedelta(hours=2)
    moment, name = f"{ahead:%Y-%m-%d %H:%M}", write_csv(shell / "list.csv", tasks(1))
    for number in range(20):
        ended = shell.run("run", name, *at, "--until", f"{ahead:%H:%M}", "-o", f"{number}.jsonl")
        assert moment in ended.err


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        (["run", "l.csv", "--until", "06:00", "-y"], "stopcast run --resume l.csv -y"),
        (["run", "--until=6:00", "--", "--until", "06:00"], "stopcast run --resume -- --until 06:00"),
        (["run", "l.csv", "--until", "90m"], "stopcast run --resume l.csv --until 90m"),
    ],
)
def test_when_a_time_of_day_has_come_the_command_that_continues_does_not_name_it(
    typed: list[str], printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["stopcast", *typed])
    assert resume_command(time_is_up=True) == printed
    assert "--until" in resume_command()
