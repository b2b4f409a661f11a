"""``stopcast help TOPIC``: the pages of the manual, the commands' own help, and what error codes mean."""

from __future__ import annotations

import re
from typing import Final

import click

from stopcast.cli.log_output import report_errors
from stopcast.i18n import Language, language
from stopcast.i18n import gettext as _

_CODES: Final = "codes"
#: Longer lines are hard to read, however wide the terminal is.
_MAX_WIDTH: Final = 100
#: A link to a file, which leads somewhere only on the repository's site.
_LINK: Final = re.compile(r"([Ss]ee\s|参见)?\[([^\]]+)\]\((?!https?:)(?:\.\./)?([^)\s]+)\)")

#: Where a line of Chinese may be broken. There are no spaces, and no line begins with a closing mark.
_BETWEEN_CHARACTERS: Final = re.compile(r"(?<=[\u4e00-\u9fff，。；：、）”])(?=[\u4e00-\u9fff（“`A-Za-z0-9-])")  # noqa: RUF001
#: A space for rich that takes no cell.
_BREAK: Final = "\x1f"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("topic", required=False)
@click.pass_context
@report_errors
def help(context: click.Context, topic: str | None) -> None:  # noqa: A001 - the command's name
    """Show a page of the manual, a command's options, or what an error code of the API means."""
    from stopcast.api.meanings import meanings
    from stopcast.api.verdict import CODES

    group = context.find_root().command
    command = group.get_command(context, topic) if topic and isinstance(group, click.Group) else None
    pages = manual()
    if topic is None:
        _print(_contents(pages))
    elif topic in pages:
        options = _("Options: `stopcast {topic} --help`", topic=topic) if command else ""
        _print(f"{_page(topic, pages[topic]).rstrip()}\n\n{options}")
    elif topic == _CODES:
        codes = dict.fromkeys((*CODES, *meanings().codes, "FlowLimitExceeded"))
        _print("\n\n".join(_code(code) for code in codes))
    elif command:
        with click.Context(command, info_name=topic, parent=context.parent) as inner:
            click.echo(command.get_help(inner))
    elif topic[:1].isupper():
        _print(_code(topic))
    else:
        topics = ", ".join(sorted((*pages, _CODES)))
        raise click.UsageError(
            _(
                "there is no topic {topic!r}. Topics: {topics}, the commands, and the API's error codes",
                topic=topic,
                topics=topics,
            )
        )


def manual() -> dict[str, str]:
    """Return the pages of the manual by topic: Markdown, with a title and a summary of one line at the top."""
    from importlib.resources import files

    pages = {page.name: page for page in (files("stopcast") / "manual").iterdir()}
    return {name.removesuffix(".md"): pages[name].read_text("utf-8") for name in sorted(pages) if name.endswith(".md")}


def _page(topic: str, english: str) -> str:
    """Return a page in the language of the command. Only the pages for the first hour are in Chinese."""
    from importlib.resources import files

    if language() is Language.EN:
        return english
    page = files("stopcast") / "manual" / "zh_CN" / f"{topic}.md"
    return page.read_text("utf-8") if page.is_file() else _("(This page is in English only.)") + f"\n\n{english}"


def summary(page: str) -> str:
    """Return the summary at the top of an English page."""
    return page.split("\n\n", 2)[1].replace("\n", " ")


def _contents(pages: dict[str, str]) -> str:
    """Return the list of topics, each with the summary at the top of its page."""
    summaries = {topic: _(summary(page)) for topic, page in pages.items()}
    summaries[_CODES] = _("What the API's error codes mean, and what to do about each.")
    lines = (
        _("- `stopcast help {topic}`: {summary}", topic=topic, summary=summaries[topic]) for topic in sorted(summaries)
    )
    return "\n".join([*lines, "", _("Commands and error codes are topics too: `stopcast help InvalidAccessKey`.")])


def _code(code: str) -> str:
    from stopcast.api.meanings import explain

    meaning, advice = explain(code)
    return _("**{code}**: {meaning} {advice}", code=code, meaning=meaning, advice=advice)


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
    from stopcast.i18n import visible

    shown = "\n".join(map(visible, _LINK.sub(_without_link, markdown).split("\n")))
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
    console.print(WholeTables(_BETWEEN_CHARACTERS.sub(_BREAK, shown)))
    printed = formatted.getvalue().replace(_BREAK, "")
    write_stdout("\n".join(line.rstrip() for line in printed.strip("\n").split("\n")))
