"""How an option is declared: once, as a field of its group. click's option and the group's value are made from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field, fields
from functools import wraps
from typing import Any, Final, ParamSpec

import click

from stopcast.i18n import _
from stopcast.marking import N_

P = ParamSpec("P")
_DECLARATION: Final = "click"


class Option(click.Option):
    """An option whose help shows its default, and that can be set as a variable: STOPCAST_ and its long name."""

    def __init__(self, param_decls: Sequence[str] | None = None, **attributes: Any) -> None:
        attributes.setdefault("show_default", attributes.get("default") not in (None, "", ()))
        if attributes.get("is_flag"):
            attributes.setdefault("type", YesNo())
        elif attributes.get("count"):
            attributes.setdefault("type", Whole(0))
        super().__init__(param_decls, **attributes)
        long_names = [name for name in self.opts if name.startswith("--")]
        if long_names and not self.envvar:
            self.envvar = "STOPCAST_" + long_names[0][2:].replace("-", "_").upper()

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, click.core.ParameterSource]:
        """Return the value and where it comes from.

        Raises:
            click.BadParameter: it was given and is empty. Without it, another endpoint could be called.
        """
        value, source = super().consume_value(ctx, opts)
        given = value if isinstance(value, tuple | list) else (value,)
        if source is click.core.ParameterSource.COMMANDLINE and any(
            isinstance(each, str) and not each.strip() for each in given
        ):
            raise click.BadParameter("the value is empty. Is a variable in the command not set?", ctx, self)
        return value, source

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return the option's name for a message, with the variable's name where the value came from there."""
        hint = super().get_error_hint(ctx)
        source = ctx.get_parameter_source(self.name) if ctx is not None and self.name else None
        if source is click.core.ParameterSource.ENVIRONMENT:
            return _("{option_name} (the environment variable {variable})", option_name=hint, variable=self.envvar)
        return hint


#: More of anything cannot be meant. Of seconds it is more than thirty years.
_MOST: Final = 1_000_000_000
_TOO_LARGE: Final = N_("it is too large: name at most {most:,}")


class Whole(click.IntRange):
    """A whole number. ``most`` is the largest, which the help does not show."""

    name = N_("whole number")

    def __init__(self, min: int | None = None, max: int | None = None, *, most: int = _MOST) -> None:  # noqa: A002 - click's names
        super().__init__(min, max)
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number.

        Raises:
            click.BadParameter: it is not a whole number, out of the range, or too large for anything.
        """
        number = int(super().convert(value, param, ctx))
        if number > self._most:
            self.fail(_TOO_LARGE.format(most=self._most), param, ctx)
        return number


class Number(click.FloatRange):
    """A finite number."""

    name = N_("number")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number.

        Raises:
            click.BadParameter: it is not a number, not finite, out of the range, or too large for anything.
        """
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} must be a finite number", param, ctx)
        if number > _MOST:
            self.fail(_TOO_LARGE.format(most=_MOST), param, ctx)
        return number


class YesNo(click.types.BoolParamType):
    """Whether a flag is set, as a variable says it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Return whether it is set.

        Raises:
            click.BadParameter: the text is none of those that click knows. Its own error lists them all, "" too.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is neither 1 (yes) nor 0 (no)", param, ctx)


class FileName(click.Path):
    """The name of a file, which need not exist yet."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name.

        Raises:
            click.BadParameter: it names a folder.
        """
        if str(value).endswith(("/", "/.")):
            self.fail(f"{value} names a folder. Name a file in it", param, ctx)
        return super().convert(value, param, ctx)


def option(*declarations: str, **attributes: Any) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Return ``click.option`` with the environment variable."""
    return click.option(*declarations, cls=Option, **attributes)


def _require_queue(ctx: click.Context, param: click.Parameter, value: str | None) -> str:  # noqa: ARG001 - click's signature
    if not value:
        raise click.UsageError("name the queue: --queue URL, or set STOPCAST_QUEUE", ctx)
    return value


def queue_option(*, required: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the option ``--queue`` to a command."""
    return option(
        "--queue",
        metavar="URL",
        callback=_require_queue if required else None,
        help="redis://host:6379/0/NAME; a password: better in STOPCAST_QUEUE.",
    )


def setting(*declarations: str, **attributes: Any) -> Any:
    """Declare a field of a group, and with it the option that sets it.

    The arguments are those of ``click.option``. Where a command does not have the option, the field has the default.
    """
    unset = False if attributes.get("is_flag") else 0 if attributes.get("count") else None
    return field(default=attributes.get("default", unset), metadata={_DECLARATION: (declarations, attributes)})


def options_that_set(group: object, names: Sequence[str]) -> list[str]:
    """Return what is typed to set these fields of a group, in their order: nothing for those that have the default."""
    return [word for name in names for word in _typed(group, name)]


def _typed(group: Any, name: str) -> Iterator[str]:
    (declared,) = (each for each in fields(group) if each.name == name)
    value, (declarations, attributes) = getattr(group, name), declared.metadata[_DECLARATION]
    if value == declared.default:
        return
    yield max(declarations, key=len)
    if not attributes.get("is_flag"):
        yield attributes.get("typed", "{:g}" if isinstance(value, float) else "{}").format(value)


def takes(
    name: str,
    group: type,
    *,
    only: Collection[str] = (),
    without: Collection[str] = (),
    **changes: Mapping[str, Any],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds a group's options to a command, which is called with the group's value.

    Args:
        name: of the command's argument that takes the value.
        group: a dataclass whose fields are settings.
        only: the fields whose options this command has, all if empty.
        without: fields whose options this command does not have.
        changes: by field, what ``click.option`` is given otherwise for this command.
    """
    #: The name of click's parameter by field. Two groups may have fields of the same name.
    parameters = {
        each.name: f"{name}_{each.name}"
        for each in fields(group)
        if _DECLARATION in each.metadata and each.name not in without and (not only or each.name in only)
    }

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def wrapped(**given: Any) -> None:
            value = group(**{each: given.pop(parameter) for each, parameter in parameters.items()})
            command(**given, **{name: value})

        decorated: Callable[..., None] = wrapped
        for each in reversed(fields(group)):
            if each.name in parameters:
                declarations, attributes = each.metadata[_DECLARATION]
                attributes = {**attributes, **changes.get(each.name, {})}
                decorated = option(*declarations, parameters[each.name], **attributes)(decorated)
        return decorated

    return decorate
