"""On a Chinese screen nothing is English but identifiers, commands, and what the API itself answers."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from stopcast.cli.group import group
from stopcast.sandbox import Emulator, Faults
from support.processes import Shell, tasks, write_csv

#: Three English words in a row are a sentence; "no task" and "ssl:default" are identifiers.
SENTENCE = re.compile(r"\b[A-Za-z][a-z']+(?: [a-z']{2,}){2,}")
#: What a person types, and what the emulator answers as the API does.
ALLOWED = re.compile(
    r"(?:stopcast|pip|mkdir|chmod|timedatectl|kill|echo|redis-cli|source|eval) [^\n\u4e00-\u9fff]*"
    r"|The signature of the request does not match\.|# in [^\n]*"
)
BAD_LIST = "AppId,RoomId,TaskId\napp,,t\napp,r r,t\napp,r,t,u\napp,null,t\napp,r,\\N\n"
COMMANDS = group.list_commands(click.Context(group))


def english_in(*texts: str) -> list[str]:
    return [sentence for text in texts for sentence in SENTENCE.findall(ALLOWED.sub("", text))]


@pytest.fixture
def chinese(shell: Shell, api: Emulator) -> Shell:
    """A shell in a Chinese locale, with a list, a list of bad rows, a report, and options for the emulator."""
    shell.variables |= {"LANG": "zh_CN.UTF-8", "STOPCAST_ENDPOINT": api.url}
    write_csv(shell / "tasks.csv", tasks(3))
    (shell / "bad.csv").write_text(BAD_LIST)
    shell.run("run", "tasks.csv", "-o", "old.jsonl")
    shell.run("run", "bad.csv", "-o", "bad.jsonl")
    (shell / "accounts.toml").write_text('[accounts.a]\napps = ["*"]\nenvironment = "TEAM_A"\n')
    return shell


@pytest.mark.parametrize(
    "typed",
    [
        "run tasks.csv --dry-run",
        "run bad.csv --dry-run",
        "run tasks.csv",
        "run tasks.csv --verify --verify-after 0",
        "run tasks.csv --canary 1",
        "run tasks.csv -v",
        "run tasks.csv -o old.jsonl",
        "run tasks.csv -o old.jsonl --resume",
        "run tasks.csv -o nowhere/r.jsonl",
        "run tasks.csv -o home",
        "run missing.csv",
        "run task.csv",
        "run home",
        "run tasks.csv --expect 7",
        "run tasks.csv --until 1s",
        "run tasks.csv --until soon",
        "run tasks.csv --columns app=X",
        "run tasks.csv --only nothing",
        "run tasks.csv --accounts missing.toml",
        "run tasks.csv --accounts accounts.toml",
        "run tasks.csv --accounts accounts.toml --dry-run",
        "run tasks.csv --quota redis://127.0.0.1:9/0",
        "run tasks.csv --quota redis://127.0.0.1:9/0 --account a",
        "run tasks.csv --max-per-second many",
        "run tasks.csv --max-per-second -1",
        "run tasks.csv --endpoint http://example.com",
        "run tasks.csv --halt-after lots",
        "run tasks.csv --control missing/control",
        "run tasks.csv --metrics-file missing/metrics",
        "run tasks.csv --option",
        "run tasks.csv --resume=yes",
        "verify old.jsonl",
        "verify",
        "doctor",
        "run tasks.csv --proxy socks5://proxy",
        "run tasks.csv --proxy http://proxy/path",
        "doctor -o old.jsonl",
        "doctor -o nowhere/r.jsonl",
        "doctor --endpoint http://127.0.0.1:9",
        "doctor --accounts accounts.toml --app-id app",
        "doctor --account a",
        "summary old.jsonl bad.jsonl",
        "summary tasks.csv",
        "summary missing.jsonl",
        "enqueue tasks.csv --queue redis://127.0.0.1:9/0/q",
        "enqueue tasks.csv --queue nonsense",
        "enqueue tasks.csv",
        "worker --queue redis://127.0.0.1:9/0/q",
        "status --queue redis://127.0.0.1:9/0/q",
        "status",
        "sandbox --fault nonsense=5%",
        "sandbox --tls-cert missing.pem",
        "completion tcsh",
        "help",
        "help quickstart",
        "help statuses",
        "help credentials",
        "help codes",
        "help nonsense",
        "help --max-at-once",
        "rum tasks.csv",
        "--help",
    ],
)
def test_a_command_prints_no_english_sentence(chinese: Shell, typed: str) -> None:
    ended = chinese.run(*shlex.split(typed))
    assert ended.without_traceback
    assert ended.out + ended.err
    assert english_in(ended.out, ended.err) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_no_english_sentence(chinese: Shell, command: str) -> None:
    assert english_in(chinese.run(command, "--help").out) == []


def test_an_error_of_a_variable_names_it_in_chinese_without_stray_spaces(chinese: Shell) -> None:
    chinese.variables["STOPCAST_MAX_AT_ONCE"] = "x"
    assert "'--max-at-once'（环境变量 STOPCAST_MAX_AT_ONCE）的值无效：'x' 不是有效的整数。" in chinese.run("run").err


def test_names_stand_with_chinese_marks_between_them(chinese: Shell) -> None:
    assert "可用的命令有 run、verify、doctor、" in chinese.run("nonsense").err
    assert "不是以下之一：'bash'、'zsh'、'fish'。" in chinese.run("completion", "tcsh").err


@pytest.mark.parametrize("secret", ["wrong", ""])
def test_a_wrong_key_is_reported_without_an_english_sentence(chinese: Shell, secret: str) -> None:
    chinese.variables["VOLCENGINE_SECRET_KEY"] = secret
    ended = [chinese.run("doctor"), chinese.run("run", "tasks.csv")]
    assert english_in(*(each.out + each.err for each in ended)) == []


@pytest.mark.parametrize("fault", ["app", "parameter", "reset", "html_502"])
def test_a_run_that_goes_badly_prints_no_english_sentence_but_the_apis_own(
    chinese: Shell, api: Emulator, fault: str
) -> None:
    api.faults = Faults({fault: 1.0})
    ended = chinese.run("run", "tasks.csv", "-v", "--max-attempts", "2", "--halt-after", "2")
    assert english_in(re.sub(r"[（：][A-Z][a-z ]+[a-z]\b\.?", "", ended.err)) == []
