"""The doctor: the key, the clock and the report, and how its findings are printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stopcast.doctor import FindingState
from stopcast.doctor.key import IMPOSSIBLE_TASK
from stopcast.doctor.report import check_report
from stopcast.sandbox import Emulator, Faults
from stopcast.tasks.task import ID_PATTERN
from support.findings import SECRET, failed, findings
from support.processes import Shell, obey_permissions


@pytest.fixture
def watched(shell: Shell) -> Shell:
    """The shell, with a secret whose appearance in any output fails the test."""
    shell.variables["VOLCENGINE_SECRET_KEY"] = SECRET
    return shell


def test_the_only_call_of_stopwebcast_has_ids_that_no_task_can_have() -> None:
    assert not any(ID_PATTERN.fullmatch(value) for value in IMPOSSIBLE_TASK)


def test_without_a_problem_the_status_is_0_and_nothing_is_stopped(shell: Shell, api: Emulator) -> None:
    ended = shell.run("doctor", "--endpoint", api.url)
    assert (ended.status, ended.err) == (0, "")
    assert "A run would work" in ended.out
    assert "one call of StopWebcast with ids that cannot exist" in ended.out
    assert (api.calls, len(api.stopped)) == (1, 0)
    assert list(shell.directory.iterdir()) == [shell.home]


def test_the_key_in_use_and_every_place_of_keys_are_listed(watched: Shell, api: Emulator) -> None:
    watched.variables["VOLCENGINE_ACCESS_KEY"] = "AKLTmiddleofthekey9f3c"
    (watched.home / ".volc").mkdir()
    (watched.home / ".volc/config").write_text(json.dumps({"ak": "another", "sk": SECRET}))
    found = findings(watched.run("doctor", "--endpoint", api.url, "--json"))["credentials"]
    assert "AKLT…9f3c" in found["words"]
    assert "environment VOLCENGINE_ACCESS_KEY" in found["words"]
    assert len(found["details"]) == 5
    assert found["details"][-1] == "~/.volc/config: usable; not used, because an earlier place comes first"


def test_without_credentials_the_advice_says_what_to_set_and_the_rest_is_checked(shell: Shell, api: Emulator) -> None:
    shell.variables.clear()
    ended = shell.run("doctor", "--endpoint", api.url, "--json")
    assert failed(ended) == {"credentials"}
    found = findings(ended)
    assert "VOLCENGINE_ACCESS_KEY" in found["credentials"]["advice"]
    assert (found["clock"]["state"], found["key accepted"]["state"]) == ("ok", "not tried")
    assert api.calls == 0


def test_unusable_credentials_are_named_and_later_places_are_not_used(watched: Shell, api: Emulator) -> None:
    del watched.variables["VOLCENGINE_ACCESS_KEY"]
    watched.variables |= {"VOLC_ACCESSKEY": "sandbox", "VOLC_SECRETKEY": "sandbox-secret"}
    ended = watched.run("doctor", "--endpoint", api.url, "--json")
    assert failed(ended) == {"credentials"}
    assert "environment VOLCENGINE_ACCESS_KEY" in findings(ended)["credentials"]["words"]
    assert api.calls == 0


def test_a_key_file_open_to_others_is_a_warning_with_the_command_that_fixes_it(shell: Shell, api: Emulator) -> None:
    shell.variables.clear()
    path = shell.home / ".volc/credentials"
    path.parent.mkdir()
    path.write_text("[default]\naccess_key_id = sandbox\nsecret_access_key = sandbox-secret\n")
    path.chmod(0o644)
    ended = shell.run("doctor", "--endpoint", api.url, "--json")
    assert failed(ended) == set()
    found = findings(ended)["credentials"]
    assert (found["state"], f"chmod 600 {path}" in found["advice"]) == ("warning", True)


def test_a_wrong_secret_is_reported_with_the_code_and_the_request(watched: Shell, api: Emulator) -> None:
    ended = watched.run("doctor", "--endpoint", api.url, "--json")
    assert failed(ended) == {"key accepted"}
    words = findings(ended)["key accepted"]["words"]
    assert "SignatureDoesNotMatch" in words
    assert "request sandbox-" in words


@pytest.mark.parametrize("code", ["InvalidAccessKey", "LackPolicy", "AccessDenied", "InternalError", "html_502"])
def test_a_refusal_that_is_not_about_the_task_is_not_an_acceptance(shell: Shell, api: Emulator, code: str) -> None:
    # The emulator applies faults only to calls that pass its check of the ids.
    api.running = set()
    api.faults = Faults({code: 1.0})
    ended = shell.run("doctor", "--endpoint", api.url, "--app-id", "app", "--json")
    assert failed(ended) == {"AppId app"}


@pytest.mark.parametrize("seconds", [1200, -1200])
def test_a_clock_off_by_twenty_minutes_fails_and_the_key_is_still_checked(
    shell: Shell, api: Emulator, seconds: int
) -> None:
    api.clock_offset = seconds
    ended = shell.run("doctor", "--endpoint", api.url, "--json")
    assert failed(ended) == {"clock"}
    words = findings(ended)["clock"]["words"]
    assert ("behind" if seconds > 0 else "ahead of") in words
    assert words.startswith(("19 min 59 s ", "20 min 00 s ", "20 min 01 s "))
    assert findings(ended)["key accepted"]["state"] == "ok"


def test_a_clock_off_by_a_minute_is_a_warning(shell: Shell, api: Emulator) -> None:
    api.clock_offset = 60
    ended = shell.run("doctor", "--endpoint", api.url, "--json")
    assert failed(ended) == set()
    assert findings(ended)["clock"]["state"] == "warning"


def test_an_appid_of_another_account_fails_by_a_call_that_only_reads(shell: Shell, api: Emulator) -> None:
    api.refused_apps = {"theirs": "InvalidParameter.AccountIdMismatch"}
    ended = shell.run("doctor", "--endpoint", api.url, "--app-id", "theirs", "--json")
    assert failed(ended) == {"AppId theirs"}
    assert "AccountIdMismatch" in findings(ended)["AppId theirs"]["words"]
    assert failed(shell.run("doctor", "--endpoint", api.url, "--app-id", "ours", "--json")) == set()
    assert not api.stopped


def test_a_missing_folder_fails_with_the_command_that_makes_it(shell: Shell, api: Emulator) -> None:
    ended = shell.run("doctor", "--endpoint", api.url, "-o", "not there/r.jsonl", "--json")
    assert failed(ended) == {"report"}
    assert findings(ended)["report"]["advice"] == "mkdir -p 'not there'"


def test_a_folder_that_cannot_be_written_to_fails(shell: Shell, api: Emulator) -> None:
    (shell / "locked").mkdir(mode=0o555)
    ended = shell.run_process(
        "doctor", "--endpoint", api.url, "-o", "locked/r.jsonl", "--json", before=obey_permissions
    )
    assert failed(ended) == {"report"}


def test_an_existing_report_is_a_warning_and_is_not_changed(tmp_path: Path) -> None:
    report = tmp_path / "r.jsonl"
    report.write_text("x")
    assert check_report(report).state is FindingState.WARNING
    assert check_report(tmp_path / "new.jsonl").state is FindingState.OK
    assert {path.name for path in tmp_path.iterdir()} == {"r.jsonl"}


def test_json_is_english_in_every_language_and_the_screen_is_chinese(shell: Shell, api: Emulator) -> None:
    shell.variables["STOPCAST_LANG"] = "zh"
    assert {"credentials", "clock"} <= findings(shell.run("doctor", "--endpoint", api.url, "--json")).keys()
    assert shell.run("doctor", "--endpoint", api.url).out.startswith("正常     凭证")


def test_wrong_usage_is_status_2_and_not_a_finding(shell: Shell) -> None:
    ended = shell.run("doctor", "--endpoint", "ftp://x")
    assert (ended.status, ended.out) == (2, "")
    assert shell.run("doctor", "--app-id", "a b").status == 2
