"""Checks and questions before the first call: the control file, the deadline, and the number of tasks."""

from __future__ import annotations

import os
from collections.abc import Container
from itertools import combinations, product
from pathlib import Path
from typing import Final

from stopcast.cli.display import messages
from stopcast.cli.files import check_is_file
from stopcast.cli.lists import Lists
from stopcast.cli.options import GuardOptions, Options
from stopcast.cli.output import log
from stopcast.cli.running.plan import make_plan
from stopcast.cli.running.targets import Target
from stopcast.cli.standard_streams import can_be_typed_on
from stopcast.cli.user import User
from stopcast.errors import ConfigurationError
from stopcast.i18n import _
from stopcast.report.opening import own_stream

#: A time of day that passed less than this long ago may have been meant for today.
_JUST_PASSED_SECONDS: Final = 6 * 3600.0
#: A run of more tasks against a vendor's host is confirmed at a terminal.
_ASK_ABOVE: Final = 100


def check_guards(guards: GuardOptions, *, timeout_seconds: float) -> None:
    """Check the options that can end a run early.

    Raises:
        ConfigurationError: the control file cannot be one, or the deadline leaves no time for a call.
    """
    if (control := guards.control) is not None:
        check_is_file("--control", control)
        if not control.parent.is_dir():
            raise ConfigurationError(f"--control {control}: there is no folder {control.parent}")
    if guards.until is not None and guards.until.left_seconds <= timeout_seconds:
        raise ConfigurationError(
            f"--until leaves no time: the last call begins {timeout_seconds:g} s earlier, because it may take that "
            f"long. Name a later time, or a shorter --timeout"
        )


def check_files(options: Options) -> None:
    """Check that no file is meant for two things, before anything is written into it.

    Raises:
        ConfigurationError: two options name one file, by whatever names.
    """
    report = options.report.path
    others = {
        "--metrics-file": options.metrics.file,
        "--control": options.guards.control,
        "--accounts": options.calls.accounts,
    }
    named = [(option, path) for option, path in others.items() if path is not None]
    written = [] if own_stream(report) is not None else [("--report", report), ("--report", f"{report}.inflight")]
    lists = [("TASKS", path) for path in options.lists.tasks] + [("--except", path) for path in options.lists.excepted]
    for (first, path), (second, other) in [*combinations(named, 2), *product(named, written + lists)]:
        if _are_one_file(path, other):
            raise ConfigurationError(
                _(
                    "{first} {path}: {second} names the same file. Name another one",
                    first=first,
                    second=second,
                    path=path,
                )
            )


def _are_one_file(first: str | Path, second: str | Path) -> bool:
    if os.path.realpath(first) == os.path.realpath(second):
        return True
    try:
        return Path(first).samefile(second)
    except OSError:  # one of them does not exist
        return False


async def confirms_deadline(guards: GuardOptions, user: User) -> bool:
    """Return whether the deadline means the day that it names. The user is asked where that is not sure.

    Raises:
        ConfigurationError: it is not sure, and there is no terminal to ask at.
    """
    deadline = guards.until
    if deadline is None or deadline.passed_seconds is None or deadline.passed_seconds >= _JUST_PASSED_SECONDS:
        return True
    meaning = messages.until(deadline.left_seconds)
    if not can_be_typed_on():
        raise ConfigurationError(
            _(
                "--until: this time of day has just passed, so it would mean tomorrow. {meaning} If that is meant, "
                "write the time that is left: --until {hours}h",
                meaning=meaning,
                hours=max(1, int(deadline.left_seconds // 3600)),
            )
        )
    if guards.yes:
        return True
    log(meaning, event="deadline")
    return await user.confirms(_("This time of day has just passed. Is tomorrow meant?"))


async def confirms_plan(options: Options, lists: Lists, target: Target, user: User, excluded: Container[bytes]) -> bool:
    """Check ``--expect``, and ask the user before a run of many tasks.

    Raises:
        ConfigurationError: the lists do not hold the expected number of tasks.
        ListError: a list cannot be read.
    """
    ask = can_be_typed_on() and not (options.guards.yes or target.loopback or "-" in options.lists.tasks)
    if options.guards.expect is None and not ask:
        return True
    await lists.make_replayable()
    plan = await make_plan(options, lists, excluded=excluded)
    if not ask or plan.intake.tasks <= _ASK_ABOVE:
        return True
    log(str(plan), event="plan")
    if target.routes is None:
        question = _("Stop them at {hosts}, with the key {key}?", hosts=target.hosts, key=target.accounts[0].key)
    else:
        question = _("Stop them at {hosts}?", hosts=target.hosts)
    return await user.confirms(question)
