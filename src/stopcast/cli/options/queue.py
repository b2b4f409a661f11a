"""The option that names a queue."""

from __future__ import annotations

from collections.abc import Callable

import click

from stopcast.cli.options.option import option


def _named(ctx: click.Context, param: click.Parameter, value: str | None) -> str:  # noqa: ARG001 - click's signature
    if not value:
        raise click.UsageError("name the queue: --queue URL, or set STOPCAST_QUEUE", ctx)
    return value


def queue_option(*, required: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the option ``--queue`` to a command."""
    return option(
        "--queue",
        metavar="URL",
        callback=_named if required else None,
        help="redis://host:6379/0/NAME; a password: better in STOPCAST_QUEUE.",
    )
