"""Checks of the options before anything begins. None needs a key or a connection: a dry run makes them too."""

from __future__ import annotations

import os
from functools import partial
from itertools import combinations, product
from pathlib import Path

from stopcast.api.actions import Action
from stopcast.cli.display import messages
from stopcast.cli.files import check_is_file
from stopcast.cli.options import GuardOptions, Options, ReportOptions
from stopcast.cli.standard_streams import can_be_typed_on
from stopcast.errors import ConfigurationError, ReportExistsError
from stopcast.i18n import _, duration
from stopcast.report.history import check_beginning
from stopcast.report.opening import check_openable, check_unlocked, is_file, is_stream, own_stream
from stopcast.threads import in_thread


async def check_start(options: Options, action: Action, *, dry_run: bool = False) -> None:
    """Check the files that the options name, and the options that can end a run early.

    Args:
        options: of the command.
        action: what the calls do.
        dry_run: whether another run may be writing the report.

    Raises:
        ConfigurationError: an option, or the report, cannot be used.
        ReportError: the report exists, or cannot be opened.
    """
    _check_files(options)
    _check_guards(options.guards, timeout_seconds=options.calls.timeout_seconds)
    await in_thread(partial(_check_report, options, action, dry_run=dry_run), name="report's check")


def _check_report(options: Options, action: Action, *, dry_run: bool) -> None:
    path = Path(options.report.path)
    check_openable(path, resume=options.report.resume)
    if not dry_run:
        check_unlocked(path)
    if options.report.resume:
        check_beginning(path, changes=action.stops_tasks, sandbox=options.calls.sandbox)


def _check_guards(guards: GuardOptions, *, timeout_seconds: float) -> None:
    """Check the options that can end a run early.

    Raises:
        ConfigurationError: the control file cannot be one, or the deadline leaves no time for a call; or it may mean
            today or tomorrow, and there is no terminal to ask at.
    """
    if (control := guards.control) is not None:
        check_is_file("--control", control)
        if not control.parent.is_dir():
            raise ConfigurationError(f"--control {control}: there is no folder {control.parent}")
    if (deadline := guards.until) is None:
        return
    if deadline.left_seconds <= timeout_seconds:
        text = _(
            "--until leaves no time: the last call begins {duration} earlier, because it may take that long. Name a "
            "later time, or a shorter --timeout",
            duration=duration(timeout_seconds),
        )
        raise ConfigurationError(text)
    if deadline.just_passed and not can_be_typed_on():
        raise ConfigurationError(
            _(
                "--until: this time of day has just passed, so it would mean tomorrow. {meaning} If that is meant, "
                "write the time that is left: --until {hours}h",
                meaning=messages.until(deadline.left_seconds),
                hours=max(1, int(deadline.left_seconds // 3600)),
            )
        )


def _check_files(options: Options) -> None:
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


def check_verify_report(report: ReportOptions) -> None:
    """Check before the first call that the tasks can be asked about at the end.

    Raises:
        ConfigurationError: the run's report cannot be read as a list.
        ReportExistsError: there is a report of an earlier ``--verify``.
    """
    path = verify_report_of(report.path)
    if is_stream(report.path):
        raise ConfigurationError(f"--verify reads the report again, and {report.path} is not a file; name one: -o PATH")
    if not report.resume and is_file(path):
        raise ReportExistsError(f"the report {path} exists already, and --verify writes it. Name another one: -o PATH")
    check_openable(path, resume=report.resume)


def verify_report_of(report: str) -> Path:
    """Return the path of the verification's report, beside the run's own."""
    path = Path(report)
    return path.with_name(f"{path.stem}.verify{path.suffix}")
