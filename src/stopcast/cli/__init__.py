"""The command line. Commands are imported when they are called, so that ``stopcast --help`` answers at once."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

#: Command, and what it does in one line. Each is a module here, with an object of the same name.
_COMMANDS: Final = {
    "run": "Stop the tasks of these lists, and write what became of each.",
    "summary": "Tell the totals of a report.",
    "sandbox": "Serve an emulator of the API on this machine.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="stopcast")
def main() -> None:
    r"""Stop Volcengine RTC cloud-recording (webcast) tasks in bulk, within the account's 150 calls a second.

    \b
    Try it, with nothing real behind it:   stopcast run tasks.csv --sandbox
    Look before you leap:                  stopcast run tasks.csv --dry-run
    Stop the tasks:                        stopcast run tasks.csv -o report.jsonl
    Go on after a crash or Ctrl-C:         the same, and --resume
    """
