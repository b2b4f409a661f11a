"""The groups of options, and the values that are made from them."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from stopcast.cli.commands.run import run
from stopcast.cli.group import group
from stopcast.cli.options import CallOptions, GuardOptions, ListOptions, MetricsOptions, OutputOptions, ReportOptions
from stopcast.cli.options.option import Option, takes
from support.processes import Shell

GROUPS = [ListOptions, CallOptions, ReportOptions, GuardOptions, OutputOptions, MetricsOptions]


def value_of(kind: type, *arguments: str, **changes: Any) -> Any:
    """Return the group's value that a command with these options is called with."""
    values = []

    @click.command
    @takes("group", kind, **changes)
    def command(group: object) -> None:
        values.append(group)

    CliRunner().invoke(command, arguments, catch_exceptions=False)
    (value,) = values
    return value


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_that_a_command_lacks_has_the_values_of_an_empty_command_line(group: type) -> None:
    assert value_of(group) == group()


def test_an_option_that_a_command_lacks_has_its_default() -> None:
    assert value_of(OutputOptions, "-q", without=("log_format",)) == OutputOptions(quiet=True)


def test_a_command_may_have_another_default() -> None:
    assert value_of(CallOptions, max_per_second={"default": 60}) == CallOptions(max_per_second=60)


@pytest.mark.parametrize(("text", "share"), [("stop", None), ("share:4", 4)])
def test_quota_lost_is_no_calls_or_a_part_of_the_cap(text: str, share: int | None) -> None:
    assert value_of(CallOptions, "--quota-lost", text).quota_lost == share


def test_a_value_that_is_given_and_is_empty_is_refused(shell: Shell) -> None:
    (shell / "list.csv").write_text("a,r,t\n")
    valued = [
        option.opts[-1] for option in run.params if isinstance(option, Option) and not (option.is_flag or option.count)
    ]
    assert {"--endpoint", "--quota", "--region", "--columns", "--except", "--canary"} <= set(valued)
    for name in valued:
        ended = shell.run("run", "list.csv", "--sandbox", name, " ")
        assert ended.status == 2
        assert f"{name}'" in ended.err
        assert "the value is empty. Is a variable in the command not set?" in " ".join(ended.err.split())


def test_a_variable_that_is_empty_is_as_good_as_none(shell: Shell) -> None:
    (shell / "list.csv").write_text("a,r,t\n")
    shell.variables |= {"STOPCAST_REGION": "", "STOPCAST_EXPECT": ""}
    assert shell.run("run", "list.csv", "--sandbox").status == 0


def test_a_variable_of_a_flag_that_is_neither_yes_nor_no_is_refused_with_what_may_stand_there(shell: Shell) -> None:
    (shell / "list.csv").write_text("a,r,t\n")
    flags = [option for option in run.params if isinstance(option, Option) and option.is_flag]
    for flag in flags:
        shell.variables = {str(flag.envvar): "maybe"}
        ended = shell.run("run", "list.csv", "--sandbox", "-o", "none.jsonl")
        assert ended.status == (0 if flag.opts == ["--sandbox"] else 2)
        assert ("'maybe' is neither 1 (yes) nor 0 (no)" in " ".join(ended.err.split())) == (ended.status == 2)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("STOPCAST_VERBOSE", "x", "'x' is not a valid whole number"),
        ("STOPCAST_ARRIVAL_JITTER", "60001", "not in the range 0<=x<=60000"),
    ],
)
def test_a_variable_with_another_value_is_refused_in_the_words_of_its_option(
    shell: Shell, variable: str, value: str, words: str
) -> None:
    (shell / "list.csv").write_text("a,r,t\n")
    shell.variables = {variable: value}
    ended = shell.run("run", "list.csv", "--sandbox")
    assert (ended.status, variable in ended.err) == (2, True)
    assert words in " ".join(ended.err.split())


def test_every_option_of_run_has_an_environment_variable() -> None:
    options = [parameter for parameter in run.params if isinstance(parameter, click.Option)]
    assert all(isinstance(each, Option) for each in options)
    assert all(str(each.envvar).startswith("STOPCAST_") for each in options)


CONTEXT = click.Context(group)
NUMBERS = [
    pytest.param(command, option, id=f"{name} {option.opts[-1]}")
    for name, command in ((name, group.get_command(CONTEXT, name)) for name in group.list_commands(CONTEXT))
    if command is not None
    for option in command.params
    if isinstance(option.type, click.IntRange | click.FloatRange) and not getattr(option, "count", False)
]


@pytest.mark.parametrize(("command", "option"), NUMBERS)
def test_a_number_that_is_too_large_for_anything_is_refused_with_the_most_that_there_may_be(
    command: click.Command, option: click.Option
) -> None:
    for text in ("9" * 23, "1" + "0" * 300):
        with pytest.raises(click.BadParameter, match=r"at most [\d,]+|in the range"):
            option.type.convert(text, option, click.Context(command))


def test_the_most_calls_in_flight_are_those_that_ports_allow(shell: Shell) -> None:
    (shell / "list.csv").write_text("a,r,t\n")
    ended = shell.run("run", "list.csv", "--sandbox", "--max-at-once", "9" * 23)
    assert (ended.status, "--max-at-once" in ended.err) == (2, True)
    assert "it is too large: name at most 65,535" in " ".join(ended.err.split())
