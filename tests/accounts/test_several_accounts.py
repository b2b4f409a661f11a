"""A run over several accounts: one report, and no account's trouble that is another's."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from stopcast import Credentials, Task
from stopcast.sandbox import Emulator
from stopcast.sandbox.thread import serving
from support.accounts import mixed
from support.processes import Shell, lines_by_task, read_report, statuses, tasks, write_csv

SECRET = "hunter2"
REPORT = "stopcast-report.jsonl"


class Team:
    """Three accounts, each with its own server, and with its key in another kind of place."""

    def __init__(self, shell: Shell, emulators: dict[str, Emulator]) -> None:
        self.shell = shell
        self.emulators = emulators
        shell.variables.clear()
        for name in emulators:
            self.put_key(name, f"{SECRET}-{name}")
        self.write_accounts()

    def put_key(self, name: str, secret: str) -> None:
        """Put an account's key where its account says."""
        match name:
            case "a":
                path = self.shell.home / ".volcengine" / "config.json"
                text = json.dumps({"profiles": {"prod": {"access-key": "AKa", "secret-key": secret}}})
            case "b":
                path = self.shell / "b.ini"
                text = f"[default]\naccess_key_id = AKb\nsecret_access_key = {secret}\n"
            case _:
                self.shell.variables |= {"TEAM_C_ACCESS_KEY": "AKc", "TEAM_C_SECRET_KEY": secret}
                return
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)

    def write_accounts(self, *more: str) -> None:
        """Write the accounts file; account c claims ``more``, too."""
        urls = {name: emulator.url for name, emulator in self.emulators.items()}
        (self.shell / "accounts.toml").write_text(
            f'[accounts.a]\napps = ["app-a"]\nprofile = "prod"\nendpoint = "{urls["a"]}"\n'
            f'[accounts.b]\napps = ["app-b*"]\ncredentials_file = "b.ini"\nendpoint = "{urls["b"]}"\n'
            f'[accounts.c]\napps = {json.dumps(["app-c", *more])}\nenvironment = "TEAM_C"\nendpoint = "{urls["c"]}"\n'
        )

    @property
    def stopped(self) -> list[Task]:
        """The tasks that the servers stopped, each as often as one of them did."""
        return [task for emulator in self.emulators.values() for task in emulator.stopped]


@pytest.fixture
def team(shell: Shell) -> Iterator[Team]:
    with ExitStack() as stack:
        emulators = {
            name: Emulator(quota_per_second=None, credentials=Credentials(f"AK{name}", f"{SECRET}-{name}"))
            for name in "abc"
        }
        for emulator in emulators.values():
            stack.enter_context(serving(emulator))
        yield Team(shell, emulators)


RUN = ("--accounts", "accounts.toml", "--max-per-second", "100000")


def test_one_run_stops_the_tasks_of_each_account_with_its_own_key_and_writes_one_report(team: Team) -> None:
    given = mixed(200, "app-a", "app-b1", "app-c")
    finished = team.shell.run("run", write_csv(team.shell / "list.csv", given), *RUN, "--json")

    assert finished.status == 0, finished.err
    assert lines_by_task(team.shell / REPORT) == dict.fromkeys(given, 1)
    for name, emulator in team.emulators.items():
        assert emulator.stopped == {task for task in given if task.app_id.startswith(f"app-{name}")}
        assert finished.summary["accounts"][name]["calls"] == 200
        assert finished.summary["accounts"][name]["given_up"] is None
    assert finished.summary["calls"] == 600
    assert "account b: 200 calls" in finished.err
    assert SECRET not in finished.err + finished.out


def test_an_account_whose_key_is_refused_ends_alone_and_is_gone_on_with_later(team: Team) -> None:
    team.put_key("b", "wrong")
    given = mixed(300, "app-a", "app-b1", "app-c")
    name = write_csv(team.shell / "list.csv", given)
    finished = team.shell.run("run", name, *RUN)

    assert finished.status == 3
    assert finished.err.count("account b is given up: the API refuses the account's calls: SignatureDoesNotMatch") == 1
    assert f"stopcast run --resume {name} --accounts accounts.toml" in finished.err
    assert finished.without_traceback
    good = {line["TaskId"] for line in read_report(team.shell / REPORT) if line["status"] == "stopped"}
    assert len(good) == 300
    bad = [line for line in read_report(team.shell / REPORT) if line["AppId"] == "app-b1"]
    assert {line["status"] for line in bad} <= {"gave_up"}
    assert len(bad) <= 10 + 512
    assert team.emulators["b"].calls <= 10 + 512

    team.put_key("b", f"{SECRET}-b")
    again = team.shell.run("run", name, *RUN, "--resume")
    assert again.status == 0, again.err
    assert lines_by_task(team.shell / REPORT) == dict.fromkeys(given, 1)
    assert sorted(team.stopped) == sorted(given)


def test_an_app_without_an_account_is_not_sent_until_an_account_claims_it(team: Team) -> None:
    given = mixed(50, "app-a", "stranger")
    name = write_csv(team.shell / "list.csv", given)
    finished = team.shell.run("run", name, *RUN)

    assert finished.status == 1
    assert statuses(team.shell / REPORT) == {"stopped": 50, "set_aside": 50}
    lines = [line for line in read_report(team.shell / REPORT) if line["AppId"] == "stranger"]
    assert {(line["message"], line["attempts"]) for line in lines} == {("no account claims this AppId", 0)}
    assert finished.err.count("AppId stranger is claimed by no account") == 1

    team.write_accounts("stranger")
    again = team.shell.run("run", name, *RUN, "--resume")
    assert again.status == 0, again.err
    assert lines_by_task(team.shell / REPORT) == dict.fromkeys(given, 1)
    assert team.emulators["c"].stopped == {task for task in given if task.app_id == "stranger"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_over_accounts_that_was_cut_off_is_gone_on_with_to_one_line_a_row(
    team: Team, number: signal.Signals
) -> None:
    given = [*mixed(400, "app-a", "app-c"), *tasks(400, app="app-b")]
    name = write_csv(team.shell / "list.csv", given)
    calls = count(1)

    def cut_off_at_the_300th(_: Task) -> bool:
        if next(calls) == 300:
            running.send_signal(number)
        return False

    for emulator in team.emulators.values():
        emulator.fail_forever = cut_off_at_the_300th
    running = team.shell.start("run", name, *RUN)
    running.communicate()
    assert running.returncode in {143, -9}
    again = team.shell.run("run", name, *RUN, "--resume")

    assert again.status == 0, again.err
    assert lines_by_task(team.shell / REPORT) == dict.fromkeys(given, 1)
    assert sorted(team.stopped) == sorted(given)
    assert statuses(team.shell / REPORT)["already_stopped"] == 0


def test_an_error_in_an_account_is_reported_before_anything_is_sent(team: Team) -> None:
    del team.shell.variables["TEAM_C_SECRET_KEY"]
    name = write_csv(team.shell / "list.csv", mixed(5, "app-a", "app-c"))
    finished = team.shell.run("run", name, *RUN)

    assert finished.status == 2
    assert "account c: credentials in environment TEAM_C_ACCESS_KEY" in finished.err
    assert "TEAM_C_ACCESS_KEY without TEAM_C_SECRET_KEY" in finished.err
    assert not any(emulator.calls for emulator in team.emulators.values())


def test_a_dry_run_prints_the_tasks_of_each_account_and_needs_no_key(team: Team) -> None:
    team.shell.variables.clear()
    name = write_csv(team.shell / "list.csv", mixed(5, "app-a", "app-b1", "app-b2", "stranger"))
    finished = team.shell.run("run", name, *RUN, "--dry-run", "--json")

    assert finished.status == 1
    assert finished.summary["per_account"] == {"a": 5, "b": 10, "c": 0}
    assert finished.summary["claimed_by_no_account"] == 5
    assert "account b: 10" in team.shell.run("run", name, *RUN, "--dry-run").out


def test_the_first_tasks_of_several_accounts_are_sent_alone_where_that_is_asked_for(team: Team) -> None:
    team.emulators["b"].running = set()
    name = write_csv(team.shell / "list.csv", mixed(50, "app-a", "app-b1", "app-c"))
    finished = team.shell.run("run", name, *RUN, "--canary", "30")

    assert finished.status == 0, finished.err
    assert statuses(team.shell / REPORT) == {"stopped": 100, "already_stopped": 50}

    team.put_key("c", "wrong")
    again = team.shell.run("run", name, *RUN, "--canary", "30", "-o", "again.jsonl")
    assert again.status == 3
    assert len(read_report(team.shell / "again.jsonl")) <= 30
    assert sum(emulator.calls for emulator in team.emulators.values()) <= 150 + 30


def test_the_tasks_of_all_accounts_are_asked_about_afterwards(team: Team) -> None:
    given = mixed(20, "app-a", "app-b1", "app-c")
    name = write_csv(team.shell / "list.csv", given)
    finished = team.shell.run("run", name, *RUN, "--verify", "--verify-after", "0", "--json")

    assert finished.status == 0, finished.err
    assert finished.summary["verify"]["statuses"]["ended"] == 60
    assert finished.summary["verify"]["accounts"]["b"]["calls"] == 20


def test_accounts_are_rehearsed_in_the_sandbox_without_their_keys(team: Team) -> None:
    team.shell.variables.clear()
    name = write_csv(team.shell / "list.csv", mixed(20, "app-a", "app-b1"))
    path = team.shell / "accounts.toml"
    path.write_text(path.read_text().replace("[accounts.b]", "[accounts.b]\nmax_per_second = 15"))
    finished = team.shell.run("run", name, "--accounts", "accounts.toml", "--sandbox", "--json")

    assert finished.status == 0, finished.err
    assert statuses(team.shell / REPORT) == {"stopped": 40}
    assert finished.summary["accounts"]["b"]["worst_second"] <= 15
    assert not team.stopped
