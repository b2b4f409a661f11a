"""``stopcast help TOPIC``: sections of the README, and what codes mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from stopcast.cli.log_output import report_errors
from stopcast.cli.options.option import option

if TYPE_CHECKING:
    from stopcast.i18n import Language

#: By topic: the heading of its section in the README, and what is found there.
TOPICS: Final = {
    "formats": ("Lists", "how a list may be written"),
    "report": ("The report", "what a run writes, and how it is gone on with"),
    "statuses": ("Statuses", "the words that rows end with"),
    "exit": ("Exit status", "what the command's exit status means"),
    "terminal": ("At a terminal", "the display, and how a run is slowed, paused or ended in time"),
    "credentials": ("Credentials", "where the key is looked for, and the regions"),
    "cap": ("How the cap works", "how the calls are kept within the quota"),
    "summary": ("The summary, and a page of it", "what a report adds up to, to read or to pass on"),
    "queue": ("Beyond one machine", "a queue that many workers share, and running its Redis"),
    "promises": ("What it promises", "what you can rely on"),
}
_CODES: Final = "codes"
_WIDEST: Final = 100


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("topic", required=False)
@option("--lang", type=click.Choice(["en", "zh"]), help="Of what codes mean: English or Chinese. [the locale's]")
@click.pass_context
@report_errors
def help(context: click.Context, topic: str | None, lang: str | None) -> None:  # noqa: A001 - the command's name
    """Tell about a topic, a command, or an error code of the API."""
    import os

    from stopcast.api.meanings import MEANINGS
    from stopcast.api.verdict import CODES
    from stopcast.i18n import Language

    group = context.find_root().command
    language = Language(lang) if lang else Language.of_locale(os.environ)
    if topic is None:
        _put(_contents())
    elif topic in TOPICS:
        _put(section(TOPICS[topic][0]))
    elif topic == _CODES:
        _put("\n\n".join(_code(code, language) for code in dict.fromkeys((*CODES, *MEANINGS, "FlowLimitExceeded"))))
    elif isinstance(group, click.Group) and (command := group.get_command(context, topic)):
        with click.Context(command, info_name=topic, parent=context.parent) as inner:
            click.echo(command.get_help(inner))
    elif topic[:1].isupper():
        _put(_code(topic, language))
    else:
        raise click.UsageError(f"there is no topic {topic!r}. {_listed()}")


def section(heading: str) -> str:
    """Return the README's section with this heading, the sections below it included."""
    lines = _readme().splitlines()
    start = next(at for at, line in enumerate(lines) if line.lstrip("#") == f" {heading}" and line.startswith("#"))
    depth = lines[start].index(" ")
    rest = lines[start + 1 :]
    ends = (at for at, line in enumerate(rest) if line.startswith("#") and 0 < line.find("# ") + 1 <= depth)
    return "\n".join(rest[: next(ends, len(rest))]).strip()


def _readme() -> str:
    """Return the README: the checkout's, or as the installed package's metadata has it."""
    from importlib.metadata import metadata
    from pathlib import Path

    checkout = Path(__file__).parents[4]
    if (checkout / "pyproject.toml").is_file() and (checkout / "README.md").is_file():
        return (checkout / "README.md").read_text("utf-8")
    return str(metadata("stopcast")["Description"])


def _contents() -> str:
    lines = [f"- `stopcast help {topic}`: {told}" for topic, (_, told) in TOPICS.items()]
    lines.append(f"- `stopcast help {_CODES}`: what the API's error codes mean, and what to do")
    return "\n".join(
        [*lines, "", "A command's name or an error code is a topic too: `stopcast help InvalidAccessKey`."]
    )


def _listed() -> str:
    return f"Topics: {', '.join((*TOPICS, _CODES))}, the commands, and the API's error codes"


def _code(code: str, language: Language) -> str:
    from stopcast.api.meanings import explain

    meaning, advice = explain(code, language)
    return f"**{code}**: {meaning} {advice}"


def _put(markdown: str) -> None:
    """Print Markdown, set for a terminal where rich is there to do it."""
    from stopcast.cli.output import write_stdout
    from stopcast.i18n import visible

    shown = "\n".join(map(visible, markdown.split("\n")))
    try:
        from io import StringIO

        from rich.console import Console
        from rich.markdown import Markdown
    except ImportError:
        write_stdout(shown)
        return
    import sys

    colours = sys.stdout is not None and sys.stdout.isatty()
    console = Console(file=StringIO(), force_terminal=colours, width=min(Console().width, _WIDEST))
    console.print(Markdown(shown))
    written = console.file
    assert isinstance(written, StringIO)  # noqa: S101 - it was made above
    write_stdout("\n".join(line.rstrip() for line in written.getvalue().strip("\n").split("\n")))
