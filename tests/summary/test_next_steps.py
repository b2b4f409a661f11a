"""What is left to do after a run: the page says it first, the summary last, and both with the command."""

from __future__ import annotations

import pytest

from stopcast.summary.figures import ReportFigures
from stopcast.summary.next_steps import Step, Todo, next_steps
from stopcast.tasks.outcome import Outcome, Status
from stopcast.tasks.task import Task
from support.outcomes import outcome, page_of
from support.processes import Shell

RUN, VERIFY = "stopcast run r.jsonl -o again.jsonl", "stopcast verify r.jsonl -o verified.jsonl"
STOP = "stopcast run r.jsonl --only still_running -o again.jsonl"
ASK = "stopcast verify r.jsonl -o asked-again.jsonl"
FIX = "stopcast summary r.jsonl --list invalid"


def of(*statuses: Status, asked: bool = False) -> list[Step]:
    """Return the steps after a report with these statuses."""
    figures = ReportFigures()
    for number, status in enumerate(statuses):
        values = outcome(Task("a", "r", str(number)), status, http_status=200).as_json()
        figures.add([{**values, "status": status, **({"asked": True} if asked else {})}])
    return next_steps(figures, "r.jsonl")


def test_what_is_not_stopped_is_run_again_and_what_names_no_task_is_fixed() -> None:
    assert of(Status.STOPPED, Status.FAILED, Status.GAVE_UP, Status.SET_ASIDE, Status.INVALID) == [
        Step(Todo.FIX_ROWS, 1, FIX),
        Step(Todo.RUN_AGAIN, 3, RUN),
    ]


def test_of_a_good_run_nothing_is_left_but_to_make_sure() -> None:
    assert of(Status.STOPPED, Status.ALREADY_STOPPED, Status.DUPLICATE) == [Step(Todo.VERIFY, 2, VERIFY)]
    assert of(Status.DUPLICATE) == []


def test_of_tasks_that_were_asked_about_only_those_that_run_are_stopped() -> None:
    statuses = (Status.ENDED, Status.STILL_RUNNING, Status.UNKNOWN, Status.NOT_STARTED, Status.GAVE_UP)
    assert of(*statuses, asked=True) == [Step(Todo.STOP_RUNNING, 1, STOP), Step(Todo.ASK_AGAIN, 3, ASK)]
    assert of(Status.GAVE_UP, asked=True) == [Step(Todo.ASK_AGAIN, 1, ASK)], "nobody wanted to stop it"
    assert of(Status.ENDED, asked=True) == []


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (Status.STOPPED, ("Nothing. If you want to make sure", VERIFY)),
        (Status.FAILED, ("1 task is not stopped. Remove the cause below, then run it again:", RUN)),
        (Status.STILL_RUNNING, ("1 task still runs. Stop it:", STOP)),
        (Status.ENDED, ("Nothing.",)),
    ],
)
def test_the_page_says_what_to_do_before_anything_else(shell: Shell, status: Status, shown: tuple[str, ...]) -> None:
    page = page_of(shell, [outcome(Task("a", "r", "t"), status, http_status=200)])
    beginning = page[page.index("What to do now") : page.index("calls</h2>")]
    assert [text for text in shown if text not in beginning] == []


@pytest.mark.parametrize("message", ["RoomId is not valid: 16", "report the problem", "no answer for this app"])
def test_a_message_of_the_api_is_quoted_as_it_is_on_a_chinese_page_and_summary(shell: Shell, message: str) -> None:
    bad: list[Outcome] = [outcome(Task("a", "r", "t"), Status.FAILED, code="InvalidParameter", message=message)]
    assert page_of(shell, bad, "--lang", "zh").count(message) == 2
    assert message in shell.run("summary", "r.jsonl", "--lang", "zh").out


def test_a_rehearsal_is_called_one_and_no_command_is_proposed_that_would_be_refused(shell: Shell) -> None:
    (shell / "list.csv").write_text("AppId,RoomId,TaskId\na,r,t\n")
    assert shell.run("run", "list.csv", "-o", "r.jsonl", "--sandbox").status == 0
    ended = shell.run("summary", "r.jsonl", "--html", "page.html")
    assert (
        "1 line is of a rehearsal with --sandbox: its task was not really stopped"
        in shell.run("summary", "r.jsonl").out
    )
    assert "stopcast verify" not in ended.out
    page = (shell / "page.html").read_text()
    assert "<title>Rehearsal: The task is stopped · stopcast</title>" in page
    assert "To stop the tasks, run the same command without --sandbox." in page
    assert "stopcast verify" not in page
    assert shell.run("summary", "r.jsonl", "--json").summary["lines_rehearsed"] == 1
