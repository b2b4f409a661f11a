"""`stopcast help TOPIC`."""

from __future__ import annotations

import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest

from stopcast.cli.commands.help import TOPICS, section
from support.processes import COMMAND, Shell, end_of

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("formats", "byte order mark"),
        ("report", "finished_at"),
        ("statuses", "presumed_stopped"),
        ("exit", "SIGTERM"),
        ("credentials", "VOLCENGINE_ACCESS_KEY"),
        ("cap", "token bucket"),
        ("summary", "worst second"),
        ("promises", "sliding second"),
        ("codes", "InvalidParameter.ErrorActiveTaskNotFound"),
        ("LackPolicy", "IAM"),
        ("run", "--max-at-once"),
    ],
)
def test_a_topic_is_told_on_standard_output(shell: Shell, topic: str, words: str) -> None:
    ended = shell.run("help", topic)
    assert (ended.status, ended.err) == (0, "")
    assert words in " ".join(ended.out.split())


def test_help_alone_lists_every_topic(shell: Shell) -> None:
    out = shell.run("help").out
    assert [topic for topic in (*TOPICS, "codes") if f"stopcast help {topic}" not in out] == []


def test_codes_are_told_in_the_language_asked_for(shell: Shell) -> None:
    assert "密钥" in shell.run("help", "InvalidAccessKey", "--lang", "zh").out


def test_an_unknown_topic_is_wrong_usage_and_names_the_topics(shell: Shell) -> None:
    ended = shell.run("help", "me")
    assert (ended.status, ended.out) == (2, "")
    assert "statuses" in ended.err


def test_without_rich_a_topic_is_told_as_it_is_written(shell: Shell) -> None:
    blocked = "import sys; sys.modules['rich.console'] = None; import stopcast.cli as c; c.main()"
    ended = end_of(shell.start("help", "exit", program=(sys.executable, "-c", blocked)))
    assert (ended.status, ended.err) == (0, "")
    assert "| 130, 143 |" in ended.out


def test_every_topic_is_a_section_of_the_readme_and_ends_with_it() -> None:
    for heading, _ in TOPICS.values():
        told = section(heading)
        assert told
        assert told in README
        assert not any(line.startswith("## ") for line in told.splitlines())
    assert "Looked for in this order" not in section("Statuses")
    assert "Exit" not in section("The report")


def test_an_installed_package_carries_the_readme() -> None:
    assert "## What it promises" in metadata("stopcast")["Description"]


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("run", "--help"), ("help", "exit"), ()])
def test_the_module_and_the_script_are_one_command(shell: Shell, arguments: tuple[str, ...]) -> None:
    script = str(Path(sys.executable).with_name("stopcast"))
    module, installed = (end_of(shell.start(*arguments, program=program)) for program in (COMMAND, (script,)))
    assert module == installed
