"""Wrong usage of ``stopcast run``: status 2, a message, and no report left behind."""

from __future__ import annotations

import gzip

import pytest

from stopcast.sandbox import Emulator
from support.processes import Shell, csv_of, lines_by_task, obey_permissions, statuses, tasks, write_csv
from support.usage import refused

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"
ELSEWHERE = "https://0.0.0.0:1"  # not loopback by its name, and no server listens there


def test_an_existing_report_is_never_overwritten(shell: Shell, api: Emulator, at: At) -> None:
    (shell / REPORT).write_text("precious\n")
    ended = shell.run("run", write_csv(shell / "list.csv", tasks(3)), *at)
    assert ended.status == 2
    assert "--resume" in ended.err
    assert (shell / REPORT).read_text() == "precious\n"
    assert api.calls == 0


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--expect", "1")])
def test_a_missing_list_is_reported_in_one_line(shell: Shell, options: At) -> None:
    message = refused(shell, "run", "none.csv", "--sandbox", *options)
    assert message.count("\n") == 1
    assert "none.csv" in message


def test_a_missing_list_after_a_good_one_is_refused_before_any_call(shell: Shell, api: Emulator, at: At) -> None:
    assert "none.csv" in refused(shell, "run", write_csv(shell / "list.csv", tasks(3)), "none.csv", *at)
    assert api.calls == 0


def test_a_directory_is_refused_as_a_list(shell: Shell) -> None:
    message = refused(shell, "run", ".", "--sandbox")
    assert message.count("\n") == 1
    assert "directory" in message


def test_a_list_without_read_permission_is_reported_in_one_line(shell: Shell) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    (shell / name).chmod(0)
    ended = shell.run_process("run", name, "--sandbox", before=obey_permissions)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert name in ended.err
    assert not (shell / REPORT).exists()


@pytest.mark.parametrize("name", [REPORT, f"./{REPORT}", f"home/../{REPORT}", "link"])
def test_the_report_itself_is_refused_as_a_list(shell: Shell, name: str) -> None:
    (shell / REPORT).write_text("")
    (shell / "link").symlink_to(shell / REPORT)
    ended = shell.run("run", name, "--sandbox", "--resume")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "report" in ended.err


def test_a_list_whose_first_row_is_neither_header_nor_task_is_reported_in_one_line(shell: Shell, api: Emulator) -> None:
    message = refused(shell, "run", "-", "--endpoint", api.url, given=b"name,phone,city,country\na,b,c,d\n")
    (error,) = message.splitlines()
    assert error.startswith("stopcast: ")
    assert api.calls == 0


def test_a_truncated_gzip_list_gives_status_2_and_keeps_the_outcomes(shell: Shell, api: Emulator, at: At) -> None:
    whole = gzip.compress(csv_of(tasks(200)).encode(), mtime=0)
    (shell / "list.csv.gz").write_bytes(whole[:-20])
    ended = shell.run("run", "list.csv.gz", *at)
    assert ended.status == 2
    assert ended.without_traceback
    assert "list.csv.gz" in ended.err
    assert set(lines_by_task(shell / REPORT)) == set(api.stopped)
    assert api.stopped <= set(tasks(200))


@pytest.mark.parametrize(
    "options",
    [
        ("--no-such-option",),
        ("--format", "xml"),
        ("--columns", "app=A,app=B"),
        ("--columns", "user=A"),
        ("--max-per-second", "0"),
        ("--max-per-second", "-1"),
        ("--max-per-second", "nan"),
        ("--max-per-second", "inf"),
        ("--max-per-second", "many"),
        ("--max-at-once", "0"),
        ("--max-attempts", "0"),
        ("--timeout", "0"),
        ("--timeout", "-1"),
        ("--timeout", "nan"),
        ("--grace", "-1"),
        ("--grace", "nan"),
        ("--arrival-jitter", "-1"),
        ("--arrival-jitter", "nan"),
        ("--limit", "0"),
        ("--expect", "-1"),
        ("--only", "gone"),
        ("--only", ""),
        ("--api-version", "newest"),
        ("--endpoint", "http://127.0.0.1:1"),
        ("-", "-"),
    ],
    ids=" ".join,
)
def test_an_invalid_setting_is_refused_before_any_call(shell: Shell, options: At) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    assert refused(shell, "run", name, "--sandbox", *options)


@pytest.mark.parametrize("region", ["a b", "cn/north", "x\r\ny"])
def test_a_region_that_could_inject_a_header_is_refused(shell: Shell, region: str) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    assert "region" in refused(shell, "run", name, "--endpoint", "http://127.0.0.1:1", "--region", region)


@pytest.mark.parametrize(
    "url", ["http://rtc.volcengineapi.com", "http://192.0.2.1", "http://127.0.0.1.nip.io", "http://localhost.evil"]
)
def test_plain_http_to_another_machine_is_refused(shell: Shell, url: str) -> None:
    assert "https" in refused(shell, "run", write_csv(shell / "list.csv", tasks(1)), "--endpoint", url)


@pytest.mark.parametrize("url", ["rtc.volcengineapi.com", "ftp://localhost", "https://u:geheim@localhost", "https://"])
def test_an_invalid_endpoint_is_refused_and_its_password_is_not_shown(shell: Shell, url: str) -> None:
    message = refused(shell, "run", write_csv(shell / "list.csv", tasks(1)), "--endpoint", url)
    assert "endpoint" in message
    assert "geheim" not in message


def test_a_cap_above_the_quota_is_refused_for_a_vendors_host_without_raised_quota(shell: Shell) -> None:
    name = write_csv(shell / "list.csv", tasks(1))
    assert "--raised-quota" in refused(shell, "run", name, "--max-per-second", "151")
    ended = shell.run(
        "run", name, "--max-per-second", "151", "--raised-quota", "--endpoint", ELSEWHERE, "--max-attempts", "1"
    )
    assert ended.status == 1
    assert statuses(shell / REPORT) == {"gave_up": 1}


def test_without_credentials_the_message_names_every_place_and_the_sandbox(shell: Shell) -> None:
    shell.variables.clear()
    message = refused(shell, "run", write_csv(shell / "list.csv", tasks(1)))
    for place in (
        "VOLCENGINE_ACCESS_KEY",
        "VOLC_ACCESSKEY",
        "~/.volcengine/config.json",
        "~/.volc/credentials",
        "~/.volc/config",
        "--sandbox",
    ):
        assert place in message


def test_a_run_without_a_list_at_a_terminal_prints_the_usage(shell: Shell) -> None:
    status, shown = shell.terminal("run", "--sandbox")
    assert status == 2
    assert "name a list" in shown
