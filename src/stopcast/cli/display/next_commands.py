"""The commands that messages suggest to type next: as this one was given, quoted for the shell, without secrets."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from stopcast.cli.options import Options
from stopcast.cli.options.option import options_that_set
from stopcast.fleet.connection import has_password, without_secrets

_UNTIL: Final = "STOPCAST_UNTIL"
#: What a command needs to reach the same API with the same key.
_PLACE: Final = ("accounts", "endpoint", "region", "api_version", "proxy")
#: What a command that stops tasks needs besides, to keep to the same cap.
_CAP: Final = ("sandbox", "max_per_second", "raised_quota", "arrival_jitter_ms", "quota", "account")
#: How lists are read.
_FORM: Final = ("form", "delimiter", "encoding", "columns", "only", "limit")


def resume_command(*, time_is_up: bool = False) -> str:
    """Return the command that was typed, with ``--resume`` and with the variables that set its options.

    Where the time is up, it is without a time of day for ``--until``, which would soon be that of another day.
    """
    variables, unset = _variables(), False
    text = "\0".join(sys.argv[1:])
    if time_is_up:
        options, end, lists = text.partition("\0--\0")
        text = re.sub(r"\0--until[\0=][\d ]+:[\d ]+(?=\0|$)", "", options) + end + lists
        unset = ":" in variables.get(_UNTIL, "")
    command, *arguments = text.split("\0")
    # Before the other arguments: after a lone -- it would be the name of a list.
    words = [command, *([] if "--resume" in arguments else ["--resume"]), *arguments]
    given = [f"{name}={shlex.quote(value)}" for name, value in variables.items() if not unset or name != _UNTIL]
    # The shell may have exported the variable.
    return " ".join([*(("env", "-u", _UNTIL) if unset else ()), *given, _typed(words)])


def doctor_command(options: Options) -> str:
    """Return the command that checks the run's endpoint and credentials."""
    return _typed(["doctor", *_options(options.calls, _PLACE)])


def summary_command(report: str) -> str:
    """Return the command that explains the rows of a report."""
    return _typed(["summary", _path(report)])


def ask_again_command(options: Options) -> str:
    """Return the command that asks again about the tasks that may not have ended."""
    report = ["-o", options.report.path, "--resume"]
    asked = (*_options(options.lists, _FORM), *_options(options.calls, _PLACE))
    return _typed(["verify", *map(_path, options.lists.tasks), *report, *asked])


def run_again_command(options: Options, *, only: str | None = None) -> str:
    """Return the command that stops the tasks of the report that are not good, or those ``only`` of a status."""
    which = [] if only is None else ["--only", only]
    again = "again.jsonl" if options.report.path != "again.jsonl" else "again-2.jsonl"
    return _typed([
        "run", _path(options.report.path), *which, "-o", again, *_options(options.calls, (*_PLACE, *_CAP)),
    ])  # fmt: skip


def dead_letters_command(queue: str) -> str:
    """Return the command that puts the dead letters of a queue back into it."""
    known = has_password(queue) or os.environ.get("STOPCAST_QUEUE") == queue
    return _typed(["enqueue", "--dead-letters", *([] if known else ["--queue", queue])])


def _typed(words: Iterable[str]) -> str:
    return shlex.join(map(without_secrets, [*_program(), *words]))


def _options(group: object, names: Iterable[str]) -> list[str]:
    """Return the options that set these fields; one that holds a password belongs in a variable, and is left out."""
    return options_that_set(group, [name for name in names if not has_password(str(getattr(group, name)))])


def _program() -> list[str]:
    """Return what starts this program: its name, or its path where the shell would not find it by its name."""
    program = sys.argv[0]
    if Path(program).name == "__main__.py":
        return [sys.executable, "-m", "stopcast"]
    found = shutil.which("stopcast")
    elsewhere = os.sep in program and (found is None or os.path.realpath(found) != os.path.realpath(program))
    return [program if elsewhere else "stopcast"]


def _variables() -> dict[str, str]:
    """Return the environment variables that set options of this command, without those that hold a secret."""
    context = click.get_current_context(silent=True)
    if context is None:
        return {}
    names = (
        str(parameter.envvar)
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") is ParameterSource.ENVIRONMENT
    )
    return {name: value for name in names if not has_password(value := os.environ.get(name, ""))}


def _path(name: str) -> str:
    """Return a path that cannot be taken for an option. A lone - is standard input."""
    return f"./{name}" if name.startswith("-") and name != "-" else name
