"""``stopcast completion``: prints the script with which a shell completes commands, options and files."""

from __future__ import annotations

import click

from stopcast.cli.output import write_stdout

#: The line that makes it permanent, in the file that the shell reads at its start.
_PERMANENT = {
    "bash": 'eval "$(stopcast completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(stopcast completion zsh)"   # in ~/.zshrc, after compinit',
    "fish": "stopcast completion fish | source   # in ~/.config/fish/config.fish",
}


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Print the script with which a shell completes commands, options and files.\n\n\b\n"
    + "\n".join(_PERMANENT.values()),
)
@click.argument("shell", type=click.Choice(list(_PERMANENT)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print click's own script for the shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click knows all three
    write_stdout(kind(context.find_root().command, {}, "stopcast", "_STOPCAST_COMPLETE").source())
