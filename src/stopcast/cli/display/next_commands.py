"""The commands that messages suggest to type next, quoted for the shell and without secrets."""

from __future__ import annotations

import re
import shlex
import sys

from stopcast.cli.options import Options
from stopcast.fleet.connection import without_secrets


def resume_command(*, time_is_up: bool = False) -> str:
    """Return the command that was typed, with ``--resume``.

    Where the time is up, it is without a time of day for ``--until``, which would soon be that of another day.
    """
    text = "\0".join(without_secrets(argument) for argument in sys.argv[1:])
    if time_is_up:
        options, end, lists = text.partition("\0--\0")
        text = re.sub(r"\0--until[\0=][\d ]+:[\d ]+(?=\0|$)", "", options) + end + lists
    command, *arguments = text.split("\0")
    # Before the other arguments: after a lone -- it would be the name of a list.
    return shlex.join(["stopcast", command, *([] if "--resume" in arguments else ["--resume"]), *arguments])


def doctor_command(options: Options) -> str:
    """Return the command that checks the run's endpoint and credentials."""
    return shlex.join(["stopcast", "doctor", *_place(options)])


def ask_again_command(options: Options) -> str:
    """Return the command that asks again about the tasks that may not have ended."""
    return shlex.join(
        ["stopcast", "verify", *options.lists.tasks, "-o", options.report.path, "--resume", *_place(options)]
    )


def stop_again_command(options: Options) -> str:
    """Return the command that stops the tasks that a verification found running."""
    which = ["--only", "still_running", "-o", "again.jsonl"]
    return shlex.join(["stopcast", "run", options.report.path, *which, *_place(options)])


def _place(options: Options) -> list[str]:
    calls = options.calls
    given = {"--endpoint": calls.endpoint, "--region": calls.region, "--proxy": without_secrets(calls.proxy or "")}
    return [word for name, value in given.items() if value for word in (name, value)]
