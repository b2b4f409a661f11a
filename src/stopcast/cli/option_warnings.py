"""Warnings about how options were given: passwords that others can see, and misspelt variables."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from typing import Final

import click
from click.core import ParameterSource

from stopcast.checks import near_names
from stopcast.cli.output import log
from stopcast.i18n import _

_PREFIX: Final = "STOPCAST_"


def warn_of_options(context: click.Context) -> None:
    """Warn of what may be wrong with the command line and the environment of a command."""
    _warn_of_passwords(context)
    _warn_of_unknown_variables(context)


def _warn_of_passwords(context: click.Context) -> None:
    """Warn if a URL on the command line holds a password, because every user of the machine can read it there."""
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if not isinstance(value, str) or "@" not in value or not isinstance(parameter, click.Option):
            continue
        from stopcast.fleet.connection import has_password

        source = context.get_parameter_source(parameter.name or "")
        if source is ParameterSource.COMMANDLINE and has_password(value):
            text = _(
                "stopcast: others on this machine can see the password in {option_name}; set {variable} in the "
                "environment instead",
                option_name=max(parameter.opts, key=len),
                variable=parameter.envvar,
            )
            log(text, event="password_visible", level=logging.WARNING)


def _warn_of_unknown_variables(context: click.Context) -> None:
    """Warn of variables that look like an option's and are none: a misspelt one would be ignored."""
    given = {name for name in os.environ if name.startswith(_PREFIX)}
    # Usually this command knows them all, and the others need not be imported.
    unknown = given - set(_variables([context.command]))
    group = context.find_root().command
    if not unknown or not isinstance(group, click.Group):
        return
    commands = (group.get_command(context, name) for name in group.list_commands(context))
    known = set(_variables(filter(None, commands)))
    short = [name.removeprefix(_PREFIX) for name in known]
    for name in sorted(unknown - known):
        if close := near_names(name.removeprefix(_PREFIX), short):
            text = _(
                "stopcast: the environment variable {name} is unknown, and ignored. Did you mean {known}?",
                name=name,
                known=_PREFIX + close[0],
            )
        else:
            text = _("stopcast: the environment variable {name} is unknown, and ignored", name=name)
        log(text, event="variable_unknown", level=logging.WARNING, variable=name)


def _variables(commands: Iterable[click.Command]) -> Iterator[str]:
    return (str(each.envvar) for command in commands for each in command.params if each.envvar)
