from __future__ import annotations

import asyncio

import pytest

from stopcast import ConfigurationError, HaltAfter, Outcome, Status, Stopper, Task, TooManyFailuresError, Unlimited
from stopcast.engine.halting import Failures
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from support.processes import Shell, lines_by_task, settled_by, statuses, tasks, write_csv

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"
TASK = Task("a", "r", "t")


def ended(status: Status, *, attempts: int = 1) -> Outcome:
    return Outcome(TASK, status, attempts, code="InvalidParameter" if status is Status.FAILED else None)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1", HaltAfter(tasks=1)),
        (" 50 ", HaltAfter(tasks=50)),
        ("5%", HaltAfter(share=0.05)),
        ("2.5 %", HaltAfter(share=0.025)),
        ("100%", HaltAfter(share=1.0)),
    ],
)
def test_a_number_is_tasks_and_a_percentage_is_a_share(text: str, meant: HaltAfter) -> None:
    assert HaltAfter.parse(text) == meant


@pytest.mark.parametrize("text", ["", "0", "-1", "0%", "101%", "5 tasks", "%", "1e3", "nan%", "\u0665", "5%%"])
def test_what_is_neither_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        HaltAfter.parse(text)


def test_only_failed_and_given_up_tasks_count_as_bad() -> None:
    failures = Failures(HaltAfter(tasks=2))
    good = [ended(status) for status in (Status.STOPPED, Status.ALREADY_STOPPED, Status.PRESUMED_STOPPED)]
    unsent = [ended(status, attempts=0) for status in (Status.INVALID, Status.DUPLICATE, Status.SET_ASIDE)]
    assert [failures.count(outcome) for outcome in (good + unsent) * 50] == [None] * 300
    assert failures.count(ended(Status.FAILED)) is None
    error = failures.count(ended(Status.GAVE_UP))
    assert "2 of 152 tasks" in str(error)


def test_a_share_says_nothing_before_a_hundred_tasks_have_ended() -> None:
    failures = Failures(HaltAfter(share=0.05))
    halted = [failures.count(ended(Status.FAILED)) is not None for _ in range(100)]
    assert halted.index(True) == 99


def test_a_share_is_of_the_tasks_that_have_ended() -> None:
    failures = Failures(HaltAfter(share=0.05))
    assert not any(failures.count(ended(Status.STOPPED)) for _ in range(1000))
    assert [failures.count(ended(Status.FAILED)) is None for _ in range(53)] == [True] * 52 + [False]


async def test_the_library_sends_no_further_call_once_too_many_tasks_ended_badly() -> None:
    listed = tasks(300)
    async with Emulator(quota_per_second=None, faults=Faults({"parameter": listed})) as emulator:
        settings = {"endpoint": emulator.url, "limiter": Unlimited(), "max_at_once": 4}
        async with Stopper(SANDBOX_CREDENTIALS, halt_after=HaltAfter(tasks=10), **settings) as stopper:  # type: ignore[arg-type]
            outcomes = []
            try:
                async for outcome in stopper.stop_all(listed):
                    outcomes.append(outcome)  # noqa: PERF401 - those before the error are what is looked at
            except TooManyFailuresError as error:
                assert "InvalidParameter" in str(error)  # noqa: PT017 - as above
            assert len(outcomes) == emulator.calls
            with pytest.raises(TooManyFailuresError):
                await asyncio.wait_for(stopper.stop(TASK), 5)
        assert 10 <= emulator.calls <= 14


@pytest.mark.parametrize("halt_after", ["20", "10%"])
def test_a_run_is_given_up_with_status_3_and_says_what_to_look_at_and_how_to_go_on(
    shell: Shell, api: Emulator, at: At, halt_after: str
) -> None:
    good, bad = tasks(80), tasks(400, first=80)
    api.faults = Faults({"parameter": bad})
    name = write_csv(shell / "list.csv", [*good, *bad])
    run = shell.run("run", name, *at, "--max-at-once", "4", "--halt-after", halt_after)
    assert run.status == 3
    assert run.without_traceback
    assert "most often" in run.err.lower()
    assert "InvalidParameter" in run.err
    assert f"report: {REPORT}" in run.err
    assert "stopcast run --resume" in run.err
    assert 20 <= statuses(shell / REPORT)["failed"] <= 24
    assert api.calls == sum(lines_by_task(shell / REPORT).values()) < 480
    api.faults = Faults()
    assert shell.run("run", name, *at, "--halt-after", halt_after, "--resume").status == 1
    assert settled_by(shell / REPORT, "stopped") | settled_by(shell / REPORT, "failed") == {*good, *bad}
    assert set(lines_by_task(shell / REPORT).values()) == {1}


def test_rows_that_name_no_task_and_tasks_that_had_stopped_never_halt_a_run(
    shell: Shell, api: Emulator, at: At
) -> None:
    api.running = set()
    name = write_csv(shell / "list.csv", [*tasks(150), *tasks(150), *[Task("a", "", "t")] * 150])
    assert shell.run("run", name, *at, "--halt-after", "1").status == 1
    assert statuses(shell / REPORT) == {"already_stopped": 150, "duplicate": 150, "invalid": 150}


@pytest.mark.parametrize("given", ["0", "5 percent", "0%"])
def test_a_halt_that_makes_no_sense_is_wrong_usage(shell: Shell, at: At, given: str) -> None:
    run = shell.run("run", write_csv(shell / "list.csv", tasks(1)), *at, "--halt-after", given)
    assert (run.status, run.out) == (2, "")
    assert not (shell / REPORT).exists()


def test_more_tasks_than_there_can_be_are_refused_with_the_most() -> None:
    with pytest.raises(ConfigurationError, match="is too large: name at most 1,000,000,000 tasks"):
        HaltAfter.parse("9" * 23)
