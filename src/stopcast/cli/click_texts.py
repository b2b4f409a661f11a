"""The help of commands and the errors of usage in the language of the command: click itself speaks English."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

import click

from stopcast.checks import near_names
from stopcast.cli.wrapping import cells, wrapped
from stopcast.i18n import Language, _, language, translate

#: The help of an option, and what click adds to it.
_HELP: Final = re.compile(r"(.*?)(?:  \[(.*)\])?", re.DOTALL)
#: The least space for the help of an option.
_LEAST_CELLS: Final = 10


class _Formatter(click.HelpFormatter):
    """Writes the help. Lines of Chinese are broken by the width of the characters, which have no spaces between."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(
            prog, args.replace("[OPTIONS]", _("[OPTIONS]"), 1), _("Usage: ") if prefix is None else prefix
        )

    def write_heading(self, heading: str) -> None:
        text = _("{heading}:", heading=_(heading))
        self.write(f"{'':{self.current_indent}}{text}\n")

    def write_text(self, text: str) -> None:
        if language() is Language.EN:
            super().write_text(text)
            return
        indent = " " * self.current_indent
        self.write("\n\n".join(self._paragraph(part, indent) for part in text.split("\n\n")) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        rows = list(rows)
        if language() is Language.EN:
            super().write_dl(rows, col_max, col_spacing)
            return
        column = min(max(cells(first) for first, _help in rows), col_max) + col_spacing
        indent = " " * self.current_indent
        for first, text in rows:
            lines = self._lines(text, indent + " " * column)
            if cells(first) + col_spacing <= column:
                lines[0] = f"{indent}{first}{' ' * (column - cells(first))}{lines[0].lstrip()}"
            else:
                lines.insert(0, indent + first)
            self.write("\n".join(lines) + "\n")

    def _paragraph(self, text: str, indent: str) -> str:
        before, mark, fixed = text.partition("\b\n")
        lines = (
            translate(fixed).split("\n") if mark else wrapped(translate(" ".join(before.split())), self._room(indent))
        )
        return "\n".join(indent + line for line in lines)

    def _room(self, indent: str) -> int:
        return max(self.width - len(indent), _LEAST_CELLS)

    def _lines(self, text: str, indent: str) -> list[str]:
        """Return the lines of an option's help. What click adds to it stays on one line."""
        match = _HELP.fullmatch(text)
        assert match is not None  # noqa: S101 - it fits every text
        own, added = match.groups()
        lines = [indent + line for line in wrapped(translate(own), self._room(indent))]
        if added is not None:
            added = f"[{_('; ').join(map(translate, added.split('; ')))}]"
            if cells(lines[-1]) + 2 + cells(added) <= self.width:
                lines[-1] += "  " + added
            else:
                lines.append(indent + added)
        return lines


class Context(click.Context):
    """The context of every command."""

    formatter_class = _Formatter


class _TranslatedError(click.UsageError):
    """An error of usage in the language of the command."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the usage, where to find help, and the error."""
        from stopcast.cli.log_output import asks_for_a_log, log_before_options
        from stopcast.cli.output import log

        context = self.ctx
        error = _("Error: {message}", message=translate(self.format_message()))
        usage, hint = "", ""
        if context is not None:
            usage = context.get_usage()
            hint = _("Try '{command} {option}' for help.", command=context.command_path, option="--help")
        if asks_for_a_log():
            with log_before_options():
                log("\n".join(filter(None, (error, hint))), event="wrong_usage", level=logging.ERROR)
            return
        lines = [usage, hint, "", error] if context is not None else [error]
        click.echo("\n".join(lines), file=file, err=True)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Translate the errors of usage that are raised in the block."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise  # it is the help
    except click.UsageError as error:
        if isinstance(error, click.NoSuchOption):
            near = near_names(error.option_name, error.possibilities or ())
            error = click.NoSuchOption(error.option_name, possibilities=near, ctx=error.ctx)
        raise _TranslatedError(error.format_message(), error.ctx) from None
