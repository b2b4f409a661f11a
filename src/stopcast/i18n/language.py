"""The language of a command: how it is chosen, and which one messages are translated into now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple


class Language(StrEnum):
    """A language that the commands speak."""

    EN = "en"
    ZH = "zh"

    @classmethod
    def chosen(cls, arguments: Sequence[str], environ: Mapping[str, str]) -> Language:
        """Return the language of ``--lang`` or ``STOPCAST_LANG``, or else Chinese if the locale is, or else English.

        The locale is the first of its variables that is set, in the order of POSIX. Another value than a language's is
        ignored here; the command refuses it when it reads its options.
        """
        for value in (*values_given("--lang", arguments), environ.get("STOPCAST_LANG")):
            if value in set(cls):
                return cls(value)
        names = (environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        return cls.ZH if next(filter(None, names), "").lower().startswith("zh") else cls.EN


def values_given(option: str, arguments: Sequence[str]) -> list[str]:
    """Return the values that the arguments have for an option, before the command has read its options."""
    values = [value for name, value in pairwise(arguments) if name == option]
    return values + [word.removeprefix(f"{option}=") for word in arguments if word.startswith(f"{option}=")]


class Both(NamedTuple):
    """A text in both languages."""

    en: str
    zh: str

    def of(self, language: Language) -> str:
        """Return the text in a language."""
        return self.zh if language is Language.ZH else self.en


_language: ContextVar[Language] = ContextVar("language", default=Language.EN)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Translate messages into a language while the block lasts; outside of any block they are English."""
    before = _language.set(language)
    try:
        yield
    finally:
        _language.reset(before)


def language() -> Language:
    """Return the language that messages are translated into now."""
    return _language.get()
