"""The options of a quota that is shared with other processes."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from typing import Any

import click

from stopcast.cli.options.option import option, say
from stopcast.fleet.connection import has_password

Command = Callable[..., Any]


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
        say(
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
