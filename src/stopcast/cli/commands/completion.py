"""``stopcast completion``: the scripts that make a shell complete commands, options and files."""

from __future__ import annotations

import click

from stopcast.cli.output import write_stdout
from stopcast.marking import N_

#: By shell: the line for its start-up file.
_SET_UP = {
    "bash": N_('eval "$(stopcast completion bash)"   # in ~/.bashrc'),
    "zsh": N_('eval "$(stopcast completion zsh)"   # in ~/.zshrc, after compinit'),
    "fish": N_("stopcast completion fish | source   # in ~/.config/fish/config.fish"),
}

_HELP = "\n".join(
    [N_("Print the script that makes a shell complete commands, options and files."), "\n\b", *_SET_UP.values()]
)


@click.command(help=_HELP)
@click.argument("shell", type=click.Choice(list(_SET_UP)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print click's own script for the shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click knows all three
    write_stdout(kind(context.find_root().command, {}, "stopcast", "_STOPCAST_COMPLETE").source())
