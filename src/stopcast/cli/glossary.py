"""What a word names: a page of the manual, a command, a status, an error code, an option or a variable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import click

from stopcast.checks import near_names
from stopcast.cli.manual import localized, pages, summary
from stopcast.i18n import _

CODES: Final = "codes"
_NEAR: Final = 5
_SHORTEST_MENTION: Final = 3
#: A shorter word has to be at the beginning of a part of a name.
_LONG: Final = 6

#: How a summary names an answer without a code.
_HTTP_STATUS: Final = re.compile(r"http [1-5]\d\d", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A name, and its explanation as Markdown, or as plain text where that is formatted already."""

    name: str
    explanation: Callable[[], str]
    formatted: bool = False

    @property
    def key(self) -> str:
        """The name without what people spell in different ways."""
        return normalized(self.name)


def normalized(name: str) -> str:
    """Return a name without what people spell in different ways."""
    return re.sub(r"[- ]", "_", name.strip().lower().lstrip("-"))


def entries(context: click.Context) -> Iterator[Entry]:
    """Yield all names that can be explained; of two with the same key the first one is meant."""
    group = context.find_root().command
    assert isinstance(group, click.Group)  # noqa: S101 - help is one of its commands
    commands = {name: command for name in group.list_commands(context) if (command := group.get_command(context, name))}
    for topic in pages():
        yield Entry(topic, partial(_topic, topic, is_command=topic in commands))
    yield Entry(CODES, lambda: "\n\n".join(_explain_code(code) for code in known_codes()))
    for name, command in commands.items():
        yield Entry(name, partial(_usage, name, command, context), formatted=True)
    yield from _statuses()
    for code in known_codes():
        yield Entry(code, partial(_explain_code, code))
    yield from _options(commands)


def find(word: str, names: Iterable[Entry]) -> Entry | None:
    """Return what the word names, however it is spelled; None for nothing."""
    names = list(names)
    if word.startswith("-"):
        names = [entry for entry in names if entry.name.startswith("-")]
    found = next((entry for entry in names if entry.key == normalized(word)), None)
    return found or _code_of_a_family(word) or _mentioned(word)


def near(word: str, names: Iterable[Entry]) -> list[str]:
    """Return the names that are spelled nearly like the word, or hold it as a part."""
    by_key = {entry.key: entry.name for entry in names}
    key = normalized(word)
    part = re.compile(f"(^|[_.]){re.escape(key)}" if len(key) < _LONG else re.escape(key))
    holding = filter(part.search, by_key) if len(key) >= _SHORTEST_MENTION else ()
    return [by_key[each] for each in dict.fromkeys((*near_names(key, by_key), *holding))][:_NEAR]


def contents() -> str:
    """Return the list of topics, each with the summary at the top of its page."""
    summaries = {topic: _(summary(page)) for topic, page in pages().items()}
    summaries[CODES] = _("What the API's error codes mean, and what to do about each.")
    lines = (
        _("- `stopcast help {topic}`: {summary}", topic=topic, summary=summaries[topic]) for topic in sorted(summaries)
    )
    end = _(
        "Commands, statuses, error codes, options and variables are topics too: `stopcast help gave_up`, "
        "`stopcast help InvalidAccessKey`, `stopcast help --resume`."
    )
    return "\n".join([*lines, "", end])


def known_codes() -> list[str]:
    """Return the error codes that have an explanation of their own."""
    from stopcast.api.meanings import meanings
    from stopcast.api.verdict import CODES as VERDICTS

    return list(dict.fromkeys((*VERDICTS, *meanings().codes, "FlowLimitExceeded")))


def _explain_code(code: str) -> str:
    """Return what an error code means and what to do about it."""
    from stopcast.api.meanings import explain

    meaning, advice = explain(code)
    return _("**{code}**: {meaning} {advice}", code=code, meaning=meaning, advice=advice)


def _code_of_a_family(word: str) -> Entry | None:
    """Return a code that is explained as its family, such as InvalidAccessKey.Expired; None for an unknown code."""
    from stopcast.api.answers import Reply
    from stopcast.api.verdict import Verdict, judge

    if _HTTP_STATUS.fullmatch(word):
        return Entry(word.upper(), partial(_explain_code, word.upper()))
    if " " in word or judge(Reply(400, code=word)) is Verdict.UNKNOWN_REFUSAL:
        return None
    return Entry(word, partial(_explain_code, word))


def _topic(topic: str, *, is_command: bool) -> str:
    options = _("Options: `stopcast {topic} --help`", topic=topic) if is_command else ""
    return f"{localized(topic).rstrip()}\n\n{options}"


def _usage(name: str, command: click.Command, context: click.Context) -> str:
    with click.Context(command, info_name=name, parent=context.parent) as inner:
        return command.get_help(inner)


def _statuses() -> Iterator[Entry]:
    """Yield the statuses, explained by their rows in the tables of their page."""
    heads: list[str] = []
    for line in localized("statuses").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if status := re.fullmatch(r"`(\w+)`", cells[0]):
            facts = [
                _("- {commands}: {text}", commands=head, text=cell.rstrip(" |"))
                for head, cell in zip(heads, cells[1:], strict=False)
            ]
            yield Entry(status[1], partial("\n".join, [f"**{status[1]}**", "", *facts]))
        elif line.startswith("|") and not line.startswith("|--"):
            heads = [cell.rstrip(" |") for cell in cells[1:]]


def _options(commands: dict[str, click.Command]) -> Iterator[Entry]:
    """Yield the options, and the variable of each."""
    found: dict[str, dict[str, list[str]]] = {}
    variables: dict[str, str] = {}
    for command_name, option, text in _with_help(commands):
        for name in option.opts:
            found.setdefault(name, {}).setdefault(text, []).append(command_name)
            if option.envvar and name.startswith("--"):
                variables[name] = str(option.envvar)
    for name, by_help in found.items():
        explanation = partial(_option, name, variables.get(name), by_help)
        yield Entry(name, explanation)
        if name in variables:
            yield Entry(variables[name], explanation)


def _with_help(commands: dict[str, click.Command]) -> Iterator[tuple[str, click.Option, str]]:
    """Yield the options that have a help text, each with its command."""
    for name, command in commands.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.help:
                yield name, parameter, parameter.help


def _option(name: str, variable: str | None, by_help: dict[str, list[str]]) -> str:
    lines = [f"**{name}**", ""]
    for text, names in by_help.items():
        lines.append(_("- {commands}: {text}", commands=_(", ").join(names), text=_(text)))
    if variable:
        lines += ["", _("The variable `{variable}` does the same.", variable=variable)]
    return "\n".join(lines)


def _mentioned(word: str) -> Entry | None:
    """Return the pages that mention a name, such as a variable of the vendor's; None for no page."""
    name = re.compile(rf"`[^`\n]*(?<!\w){re.escape(word)}(?!\w)[^`\n]*`", re.IGNORECASE)
    topics = [topic for topic, page in pages().items() if name.search(page)]
    if not topics or len(word) < _SHORTEST_MENTION:
        return None
    commands = "\n".join(f"- `stopcast help {topic}`" for topic in topics)
    text = _("**{name}** is on these pages:", name=word) + f"\n\n{commands}"
    return Entry(word, lambda: text)
