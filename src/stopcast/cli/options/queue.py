"""The options that name a queue, and those that a command of the queue has in common with ``stopcast run``."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, ParamSpec

from stopcast.cli.commands.run import run
from stopcast.cli.options.option import option

P = ParamSpec("P")

_QUEUE_HELP: Final = "redis://host:6379/0/NAME; a password: better in STOPCAST_QUEUE."

queue_option = option("--queue", required=True, metavar="URL", help=_QUEUE_HELP)
any_queue_option = option("--queue", metavar="URL", help=_QUEUE_HELP)


def options_of_run(names: Collection[str]) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Return a decorator that gives a command these options of ``stopcast run``."""

    def with_options(command: Callable[P, None]) -> Callable[P, None]:
        # click reads the options of a function from here, the last one first.
        shared = [parameter for parameter in reversed(run.params) if parameter.name in names]
        vars(command).setdefault("__click_params__", []).extend(shared)
        return command

    return with_options
