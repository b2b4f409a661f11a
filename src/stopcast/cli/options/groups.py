"""The options that ``stopcast run`` and ``stopcast verify`` share."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from typing import Any

import click

from stopcast.cli.options.option import Number, Whole, option
from stopcast.cli.output import log
from stopcast.fleet.connection import has_password

_FORMATS = ("auto", "csv", "tsv", "jsonl")

Command = Callable[..., Any]


def lists(command: Command) -> Command:
    """Add the options that say how the lists are to be read."""
    return _with(
        command,
        option(
            "--format", "form", type=click.Choice(_FORMATS), default="auto", show_default=True, help="Of the lists."
        ),
        option("--columns", metavar="app=A,room=R,task=T", help="Other names of the three columns or keys."),
        option("--limit", type=Whole(1), metavar="N", help="Only the first N tasks."),
        option(
            "--only", metavar="STATUS,...", help="Where a list is an earlier report: only its rows of these statuses."
        ),
    )


def calls(*, quota_per_second: int) -> Callable[[Command], Command]:
    """Return what adds the options that say how the API is called."""
    return lambda command: _with(
        quota_options(command),
        option(
            "--max-per-second",
            type=Number(0, min_open=True),
            default=quota_per_second,
            show_default=True,
            metavar="N",
            help="The cap on calls.",
        ),
        option(
            "--raised-quota",
            is_flag=True,
            help=f"The vendor has raised the account's quota above {quota_per_second} a second.",
        ),
        option(
            "--arrival-jitter",
            type=Number(0),
            metavar="MS",
            help="What the way to the API may vary by; comes off the rate. [3.3]",
        ),
        option(
            "--max-at-once",
            type=Whole(1),
            default=512,
            show_default=True,
            metavar="N",
            help="Calls in flight.",
        ),
        option("--max-attempts", type=Whole(1), default=20, show_default=True, metavar="N", help="For one task."),
        option(
            "--timeout",
            type=Number(0, min_open=True),
            default=15,
            show_default=True,
            metavar="SECONDS",
            help="For one call.",
        ),
        option(
            "--grace",
            type=Number(0),
            default=15,
            show_default=True,
            metavar="SECONDS",
            help="To finish after a signal.",
        ),
        option(
            "--accounts", metavar="FILE", help="Several accounts: whose each AppId is, and where their keys are (TOML)."
        ),
        option("--endpoint", metavar="URL", help="Where the calls go. Plain http only to loopback."),
        option("--region", metavar="R", help="The region that signatures name."),
        option("--api-version", metavar="V", default="2020-12-01", show_default=True, help="Of the API."),
    )


def _with(command: Command, *options: Callable[[Command], Command]) -> Command:
    for add in reversed(options):
        command = add(command)
    return command


def quota_options(command: Command) -> Command:
    """Return the command with the options of a shared quota: ``quota``, ``account``, ``quota_lost``."""
    for decorate in (
        option(
            "--quota-lost",
            default="stop",
            show_default=True,
            callback=_lost_share,
            metavar="stop|share:N",
            help="While that Redis is away: no calls, or one N-th of the cap.",
        ),
        option("--account", metavar="NAME", callback=_needs_quota, help="Whose cap it is; with --quota."),
        option(
            "--quota",
            metavar="URL",
            is_eager=True,
            help="Share the cap with all who name this Redis and account: redis://host:6379/0",
        ),
    ):
        command = decorate(command)
    return command


def warn_of_password(url: str, option_name: str) -> None:
    """Say so where the password in a URL came by the command line: every user of the machine can read that."""
    if has_password(url) and any(url in argument for argument in sys.argv):
        variable = "STOPCAST_" + option_name.removeprefix("--").replace("-", "_").upper()
        log(
            f"stopcast: others on this machine can see the password in {option_name}; "
            f"set {variable} in the environment instead",
            event="password_visible",
            level=logging.WARNING,
        )


def _needs_quota(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if ctx.params.get("quota") and not value:
        raise click.BadParameter("--quota needs it: whoever gives the same name shares the cap", ctx, param)
    return value


def _lost_share(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    if value == "stop":
        return None
    if not (share := re.fullmatch(r"share:([1-9]\d{0,5})", value)):
        raise click.BadParameter("it is stop, or share:N with the number of processes there are at most", ctx, param)
    return int(share[1])
