"""`stopcast help TOPIC`, and what `--help` prints."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from stopcast.cli.group import group
from stopcast.cli.manual import pages
from stopcast.cli.usage import HELP
from stopcast.cli.wrapping import cells
from stopcast.tasks.outcome import Status
from support.processes import COMMAND, Shell, end_of

TOPICS = sorted((*pages(), "codes"))


def helped(*arguments: str, **variables: str) -> Result:
    """Return what ``stopcast help`` printed on a terminal of 80 columns."""
    return CliRunner().invoke(group, ["help", *arguments], env={"COLUMNS": "80", **variables})


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("formats", "byte order mark"),
        ("report", "finished_at"),
        ("statuses", "presumed_stopped"),
        ("exit", "SIGTERM"),
        ("terminal", "NO_COLOR"),
        ("credentials", "VOLCENGINE_ACCESS_KEY"),
        ("cap", "token bucket"),
        ("summary", "busiest second"),
        ("queue", "--claim-after"),
        ("promises", "sliding second"),
        ("doctor", "stopcast doctor --help"),
        ("codes", "InvalidParameter.ErrorActiveTaskNotFound"),
        ("LackPolicy", "IAM"),
        ("run", "--max-at-once"),
    ],
)
def test_a_topic_is_printed_on_standard_output(topic: str, words: str) -> None:
    result = helped(topic)
    assert (result.exit_code, result.stderr) == (0, "")
    assert words in " ".join(result.stdout.split())


def test_help_alone_lists_every_topic_with_the_summary_of_its_page() -> None:
    listed = " ".join(helped().stdout.split())
    for topic, page in pages().items():
        title, summary, _ = page.split("\n\n", 2)
        assert title.startswith("# ")
        assert f"stopcast help {topic}: {summary.replace('`', '')}" in listed


@pytest.mark.parametrize("topic", TOPICS)
def test_a_narrow_terminal_shows_each_page_whole(topic: str) -> None:
    # Rich ends a word with an ellipsis where its column of a table is too narrow for it.
    english, chinese = (helped(topic, COLUMNS="60", STOPCAST_LANG=name).stdout for name in ("en", "zh"))
    assert english.count("…") == pages().get(topic, "").count("…")
    assert chinese.count("…") == english.count("…")


def test_a_link_to_another_page_is_shown_as_the_command_for_it() -> None:
    shown = helped("quickstart").stdout
    assert "stopcast help credentials" in shown
    assert "credentials.md" not in shown


def test_a_page_is_shown_in_chinese_or_says_that_it_is_not() -> None:
    shown = helped("quickstart", "--lang", "zh").stdout
    assert "快速入门" in shown
    assert "参见 stopcast help" in shown
    assert "暂无中文版" in helped("cap", "--lang", "zh").stdout
    assert "(stopcast help exit)" in " ".join(helped("accounts", "--lang", "zh").stdout.split()), (
        "its links are English"
    )


def test_a_line_of_chinese_is_as_long_as_the_terminal_allows_and_begins_with_no_closing_mark() -> None:
    lines = helped("credentials", "--lang", "zh", COLUMNS="60").stdout.splitlines()
    assert max(map(cells, lines)) <= 60
    long = [line for line in lines if not line.startswith(" ") and cells(line) > 54]
    assert len(long) > 5
    assert not [line for line in lines if re.match(r"[，。；：、）”]", line)]  # noqa: RUF001 - Chinese marks


def test_codes_are_explained_in_the_chosen_language() -> None:
    assert "密钥" in helped("InvalidAccessKey", "--lang", "zh").stdout


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("InvalidAccessKey",), "InvalidAccessKey: "),
        (("invalidaccesskey",), "InvalidAccessKey: "),
        (("InvalidAccessKey.Anything",), "InvalidAccessKey.Anything: "),
        (("no answer",), "no answer: "),
        (("no", "answer"), "no answer: "),
        (("STATUSES",), "already_stopped"),
        (("stopped",), "the API answered ok"),
        (("Gave-Up",), "sent again by --resume: yes"),
        (("still", "running"), "the task runs"),
        (("--resume",), "Continue that report"),
        (("max-at-once",), "STOPCAST_MAX_AT_ONCE"),
        (("-o",), "The report that the run would write"),
        (("STOPCAST_MAX_AT_ONCE",), "--max-at-once"),
        (("stopcast_max_at_once",), "--max-at-once"),
        (("VOLCENGINE_ACCESS_KEY",), "stopcast help credentials"),
        (("no_color",), "stopcast help terminal"),
        (("Verify",), "stopcast verify --help"),
        (("worker",), "--queue"),
    ],
)
def test_help_explains_topics_statuses_codes_options_and_variables_however_they_are_spelled(
    words: tuple[str, ...], shown: str
) -> None:
    result = helped(*words)
    assert (result.exit_code, result.stderr) == (0, "")
    assert shown in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("Foo", "stopcast help codes"),
        ("me", "stopcast help codes"),
        ("NeverHeardOf.Anything", "stopcast help codes"),
        ("gaveup", "gave_up"),
        ("InvalidAcessKey", "InvalidAccessKey"),
        ("statusses", "statuses"),
        ("--resum", "--resume"),
        ("STOPCAST_MAX_AT_ONEC", "STOPCAST_MAX_AT_ONCE"),
        ("TaskNotFound", "InvalidParameter.ErrorActiveTaskNotFound"),
    ],
)
def test_an_unknown_word_is_called_unknown_and_its_neighbours_are_named(word: str, near: str) -> None:
    result = helped(word)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{word} is unknown" in result.stderr
    assert near in result.stderr


@pytest.mark.parametrize("status", [status.value for status in Status])
def test_each_status_is_explained_in_both_languages(status: str) -> None:
    english, chinese = helped(status, "--lang", "en").stdout, helped(status, "--lang", "zh").stdout
    assert not re.search("[\u4e00-\u9fff]", english)
    assert status in english
    assert re.search("[\u4e00-\u9fff]", chinese)


def test_without_rich_a_page_is_printed_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    result = helped("exit")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "| 130, 143 |" in result.stdout


def test_the_help_names_every_command_and_both_ways_to_print_it_agree(shell: Shell) -> None:
    for command in group.list_commands(click.Context(group)):
        assert f"\n  {command} " in HELP
    assert shell.run("--help").out == HELP
    assert CliRunner().invoke(group, ["--help"]).output == HELP


@pytest.mark.parametrize("arguments", [("--version",), ("run", "--help"), ("help", "exit"), ()])
def test_the_module_and_the_script_are_one_command(shell: Shell, arguments: tuple[str, ...]) -> None:
    script = str(Path(sys.executable).with_name("stopcast"))
    module, installed = (end_of(shell.start(*arguments, program=program)) for program in (COMMAND, (script,)))
    assert module == installed


@pytest.mark.parametrize("word", ["HTTP 502", "http 200"])
def test_a_reason_that_a_summary_shows_without_a_code_is_explained(word: str) -> None:
    result = helped(*word.split())
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{word.upper()}: HTTP status {word[-3:]} without a code of the API")
