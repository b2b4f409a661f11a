"""The group of commands. Each is imported only when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from stopcast.checks import near_names
from stopcast.cli.click_texts import Context, translated_errors
from stopcast.cli.interrupts import exiting_on_signals
from stopcast.cli.options.option import Option
from stopcast.cli.usage import HELP
from stopcast.i18n import Language, _, speaking

#: Each is a module of ``commands``, which holds a command of the same name.
_COMMANDS: Final = (
    "run",
    "verify",
    "doctor",
    "enqueue",
    "worker",
    "status",
    "configure",
    "summary",
    "sandbox",
    "help",
    "completion",
)


#: An option of every command. ``Language.chosen`` reads it before click does, so that it holds for errors of usage too.
_LANG: Final = Option(
    ["--lang"],
    type=click.Choice([language.value for language in Language]),
    expose_value=False,
    help="English or Chinese. [default: the locale's]",
)


class _LazyGroup(click.Group):
    context_class = Context

    def main(self, args: Sequence[str] | None = None, *further: Any, **options: Any) -> Any:
        """Run the command in the language that is chosen."""
        with speaking(Language.chosen(sys.argv[1:] if args is None else args, os.environ)):
            return super().main(args, *further, **options)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Return the context; errors of usage are translated."""
        with translated_errors(), exiting_on_signals():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors of usage are translated."""
        with translated_errors(), exiting_on_signals():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"stopcast.cli.commands.{cmd_name}"), cmd_name)
        if _LANG not in command.params:
            command.params.append(_LANG)
            command.context_class = Context
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of this name, or fail with a suggestion."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            ctx.fail(_suggestion(args))
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: click.Context) -> str:  # noqa: ARG002 - click's signature
        return _(HELP).rstrip("\n")


def _suggestion(args: list[str]) -> str:
    import shlex

    name, suggested = args[0], None
    # Not Path.is_file: it raises an error for a name that is too long.
    if os.path.isfile(name):  # noqa: PTH113
        suggested = shlex.join(["stopcast", "run", *args])
    elif close := near_names(name, _COMMANDS):
        suggested = shlex.join(["stopcast", close[0], *args[1:]])
    if suggested:
        return _("No such command {name!r}. Did you mean: {command}", name=name, command=suggested)
    return _("No such command {name!r}. The commands are {names}.", name=name, names=", ".join(_COMMANDS))


#: The commands inherit these settings.
@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stopcast")
def group() -> None:
    """Stop webcast tasks in bulk."""
