"""The program of a process that is the command: ``stopcast run``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from simulation.api import account_number
from simulation.process import Process
from simulation.world import World
from stopcast.cli.errors import give_up
from stopcast.cli.options import CallOptions, GuardOptions, ListOptions, Options, OutputOptions, ReportOptions
from stopcast.cli.options.guards import Deadline
from stopcast.cli.running.execution import run_job
from stopcast.cli.running.stopping import stop_job
from stopcast.cli.signals import Signals
from stopcast.cli.user import User
from stopcast.engine.halting import HaltAfter
from stopcast.errors import StopcastError

ENDPOINT = "http://127.0.0.1:8080"


class Command:
    """Runs the command over a list, as ``stopcast.cli.running.execution.execute`` does."""

    def __init__(self, options: Options) -> None:
        self._options = options

    async def __call__(self, process: Process) -> None:
        """Run the command, and set the process's status."""
        options = self._options
        process.until = None if options.guards.until is None else options.guards.until.at
        try:
            with Signals() as signals:
                process.ended = await run_job(stop_job(options), User(options.output), signals)
            process.status = process.ended.status if process.ended.error is None else _given_up(process.ended.error)
        except StopcastError as error:
            process.status = _given_up(error)


def _given_up(error: StopcastError) -> int:
    try:
        give_up(error)
    except SystemExit as ended:
        return int(ended.code or 0)


def output(world: World) -> OutputOptions:
    """Return what the command prints."""
    return OutputOptions(quiet=world.quiet, verbose=0 if world.quiet else 2)


def options_of(world: World, folder: Path, list_path: Path, number: int, *, until: float | None) -> Options:
    """Return the options of one life of the command. Only the first one is guarded."""
    return Options(
        lists=ListOptions(tasks=(str(list_path),)),
        calls=CallOptions(
            max_per_second=world.cap,
            max_at_once=world.max_at_once,
            max_attempts=world.max_attempts,
            timeout_seconds=world.timeout_seconds,
            grace_seconds=world.grace_seconds,
            endpoint=ENDPOINT,
            **_quota(world),
            accounts=_accounts_file(world, folder) if world.accounts > 1 else None,
        ),
        report=ReportOptions(path=str(folder / "report.jsonl"), resume=number > 0),
        guards=GuardOptions(
            yes=True,
            canary=None if number else world.canary,
            halt_after=None if number or world.halt_after is None else HaltAfter(tasks=world.halt_after),
            control=folder / "control",
            until=None if until is None else Deadline(until),
        ),
        output=output(world),
    )


def _quota(world: World) -> dict[str, Any]:
    if world.program != "runs":
        return {}
    lost_share = world.pick((None, 2), "lost_share") if world.cap >= 2 else None
    return {"quota": "redis://quota", "account": "account", "quota_lost": lost_share}


def _accounts_file(world: World, folder: Path) -> str:
    path = folder / "accounts.toml"
    apps: dict[int, list[str]] = {number: [f"none-{number}"] for number in range(world.accounts)}
    for number in range(world.apps):
        apps[account_number(f"app-{number}", world)].append(f"app-{number}")
    path.write_text(
        "".join(
            f'[accounts.team-{number}]\nenvironment = "TEAM{number}"\napps = {json.dumps(names)}\n'
            for number, names in apps.items()
        )
    )
    return str(path)
