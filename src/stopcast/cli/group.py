"""The commands by name, each imported when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from stopcast.cli import HELP

#: Each is a module here, with an object of the same name.
_COMMANDS: Final = (
    "run",
    "verify",
    "doctor",
    "enqueue",
    "worker",
    "status",
    "summary",
    "sandbox",
    "help",
    "completion",
)


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"stopcast.cli.{cmd_name}"), cmd_name)
        return command

    def get_help(self, ctx: click.Context) -> str:  # noqa: ARG002 - click's signature
        return HELP.rstrip("\n")


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="stopcast")
def group() -> None:
    """Stop webcast tasks in bulk."""
