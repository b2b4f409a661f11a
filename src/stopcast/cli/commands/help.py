"""``stopcast help TOPIC``: prints what a word names (``glossary``), formatted for the terminal."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Final

import click

from stopcast.cli.errors import report_errors
from stopcast.cli.manual import ENGLISH_ONLY
from stopcast.cli.wrapping import BREAKS
from stopcast.i18n import _

#: Longer lines are hard to read, however wide the terminal is.
_MAX_WIDTH: Final = 100
#: A link to a file, which leads somewhere only on the repository's site.
_LINK: Final = re.compile(r"([Ss]ee\s|参见)?\[([^\]]+)\]\((?!https?:)(?:\.\./)?([^)\s]+)\)")

#: A space for rich that takes no cell.
_BREAK: Final = "\x1f"


def _complete(context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    from stopcast.cli.glossary import entries

    names = dict.fromkeys(entry.name for entry in entries(context))
    return [name for name in names if name.lower().startswith(typed.lower())]


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("topic", nargs=-1, type=click.UNPROCESSED, shell_complete=_complete)
@click.pass_context
@report_errors
def help(context: click.Context, topic: tuple[str, ...]) -> None:  # noqa: A001 - the command's name
    """Explain a topic of the manual, a command, a status, an error code of the API, an option or a variable."""
    from stopcast.cli import glossary
    from stopcast.cli.output import write_stdout

    if not topic:
        _print(glossary.contents())
        return
    word, names = " ".join(topic), list(glossary.entries(context))
    entry = glossary.find(word, names)
    if entry is None:
        raise click.UsageError(_unknown(word, glossary.near(word, names)))
    if entry.formatted:
        write_stdout(entry.explanation())
    else:
        _print(entry.explanation())


def _unknown(word: str, near: list[str]) -> str:
    if near:
        return _(
            "{word} is unknown: no topic, command, status, error code, option or variable has this name. "
            "Did you mean: {names}?",
            word=word,
            names=_(", ").join(near),
        )
    return _(
        "{word} is unknown: no topic, command, status, error code, option or variable has this name. "
        "`stopcast help` lists the topics, `stopcast help codes` explains the error codes that are known",
        word=word,
    )


def _without_link(link: re.Match[str]) -> str:
    """Return a link's text, with the command for the page if the link leads to another page."""
    see, text, target = link.groups("")
    topic, page, _anchor = target.partition(".md")
    if not page or "/" in topic:
        return see + text
    if not see:
        return _("{text} (`stopcast help {topic}`)", text=text, topic=topic)
    return f"{see.rstrip()} `stopcast help {topic}`"


def _print(markdown: str) -> None:
    """Print Markdown, formatted for the terminal if rich is installed."""
    from stopcast.cli.output import write_stdout
    from stopcast.i18n import Language, speaking, visible

    # In an English page the links are English, too.
    with speaking(Language.EN) if markdown.startswith(_(ENGLISH_ONLY)) else nullcontext():
        text = _LINK.sub(_without_link, markdown)
    shown = "\n".join(map(visible, text.split("\n")))
    try:
        from io import StringIO

        from rich.console import Console

        from stopcast.cli.display.markdown import WholeTables
    except ImportError:
        write_stdout(shown)
        return
    import sys

    colours = sys.stdout is not None and sys.stdout.isatty()
    formatted = StringIO()
    console = Console(file=formatted, force_terminal=colours, width=min(Console().width, _MAX_WIDTH))
    console.print(WholeTables(BREAKS.sub(_BREAK, shown)))
    printed = formatted.getvalue().replace(_BREAK, "")
    write_stdout("\n".join(line.rstrip() for line in printed.strip("\n").split("\n")))
